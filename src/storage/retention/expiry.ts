/** Removes images whose time is over, the first due first. */
import type { ImageIndex } from '../catalog/catalog.ts';
import { throwIfCancelled } from '../domain/errors.ts';
import { NEW_MS } from './rules.ts';

const GROUP_SIZE = 100;
/** The most images that are looked at in one run. */
const MAX_KEPT = 10_000;

export interface Expiring {
  now: number;
  signal: AbortSignal;
  /** Spares an image that is pinned by then. Returns whether it removed one. */
  remove: (filename: string) => Promise<boolean>;
}

/** Returns what went. Images that came less than a day ago stay for now. Rejects once all others went where one cannot. */
export async function removeExpired(
  catalog: Pick<ImageIndex, 'expired' | 'arrivedSince' | 'find'>,
  { now, signal, remove }: Expiring,
): Promise<{ count: number; bytes: number }> {
  const gone = { count: 0, bytes: 0 };
  const kept = new Set<string>();
  const failures: unknown[] = [];
  const expire = async (filename: string) => {
    const record = await catalog.find(filename);
    // Without a time: restored since.
    if (record?.expireTime === undefined || !(await remove(filename))) return kept.add(filename);
    gone.count += 1;
    gone.bytes += record.size;
  };
  while (kept.size <= MAX_KEPT) {
    throwIfCancelled(signal);
    const expired = (await catalog.expired(GROUP_SIZE + kept.size, now)).map(({ filename }) => filename);
    const due = expired.filter((filename) => !kept.has(filename));
    if (due.length === 0) break;
    for (const filename of await catalog.arrivedSince(due, now - NEW_MS)) kept.add(filename);
    const going = due.filter((filename) => !kept.has(filename));
    const outcomes = await Promise.allSettled(going.map(expire));
    for (const [at, outcome] of outcomes.entries()) {
      if (outcome.status === 'fulfilled') continue;
      kept.add(going[at]!);
      failures.push(outcome.reason);
    }
  }
  if (failures.length > 0) throw failures[0];
  return gone;
}
