/** How many chunks of a Save may bring nothing: each costs as much as one that does. */
import { invalidField } from '../storage/domain/errors.ts';

const MAX_EMPTY_CHUNKS = 1_000;

/** Throws FIELD_INVALID when there are more than 1,000. */
export function checkEmptyChunks(count: number): void {
  if (count <= MAX_EMPTY_CHUNKS) return;
  throw invalidField('chunk', `more than ${MAX_EMPTY_CHUNKS.toLocaleString('en')} of them are empty`);
}
