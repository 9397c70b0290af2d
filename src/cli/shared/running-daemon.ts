/** Finds the daemon that has a store which this process wants to open. */
import { formatAddress, isLocalAddress, parseAddress } from '../../address.ts';
import type { Config } from '../../config.ts';
import type { OnLocked } from '../../storage/domain/lock-holder.ts';
import type { Logger } from '../../storage/domain/logger.ts';

type Listening = Pick<Config, 'listen' | 'tls'>;

/** It is on this machine, and answers at once or not at all. */
const ANSWER_MS = 1_000;

/**
 * Returns what says, where a daemon answers SERVING at one of our addresses, that there is nothing to wait for; one that
 * starts, or drains, is waited for.
 */
export function lockedBy(config: Listening, log: Logger): OnLocked {
  return async ({ path, pid }) => {
    const address = await servingAddress(config);
    if (address !== undefined) return `a daemon serves on ${address}; use it, or end it first`;
    log.warn({ path, pid }, 'another process has the store open: waiting for it (lockWaitSeconds)');
    return undefined;
  };
}

/** Returns the first of our addresses at which a daemon answers SERVING. */
export async function servingAddress({ listen, tls }: Listening): Promise<string | undefined> {
  const addresses = listen.map((address) => fromHere(address, tls.cert !== '')).filter((each) => each !== undefined);
  const answers = await Promise.all(addresses.map(isServing));
  return addresses.find((_, i) => answers[i]);
}

/** Undefined for a port that is not known before the start, and where only TLS is spoken. */
function fromHere(text: string, isTls: boolean): string | undefined {
  const address = parseAddress(text)!;
  if ('path' in address) return text;
  if (address.port === 0 || (isTls && !isLocalAddress(address))) return undefined;
  const host = { '0.0.0.0': '127.0.0.1', '::': '::1' }[address.host] ?? address.host;
  return formatAddress({ host, port: address.port });
}

async function isServing(address: string): Promise<boolean> {
  // Loaded here, so that no other start waits for it.
  const { connect } = await import('../../client.ts');
  const client = connect(address, { retries: 0, deadlineMs: ANSWER_MS, token: '' });
  try {
    return await client.health();
  } catch {
    return false;
  } finally {
    client.close();
  }
}
