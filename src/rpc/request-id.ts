/** Names a call in the log: as its client does, or by a name of our own. */
import { randomBytes } from 'node:crypto';

/** What cannot break a line of the log, or fill it. */
const SANE = /^[\w.:+/=@-]{1,128}$/;

/** Ids of this process begin with it. */
const prefix = randomBytes(4).toString('hex');
let count = 0;

/** `given` is the header `x-request-id`. */
export function requestIdOf(given: string | readonly string[] | null | undefined): string {
  if (typeof given === 'string' && SANE.test(given)) return given;
  count += 1;
  return `${prefix}-${count.toString(36)}`;
}
