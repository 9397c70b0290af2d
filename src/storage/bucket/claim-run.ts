/** Lets one of several daemons with a bucket do what is to be done once: the one that notes its run there first. */
import { KEY_ROOT } from '../domain/naming.ts';
import type { ObjectHeaders } from './object-store.ts';
import { readSmall } from './reading.ts';
import { payloadOf } from './record-object.ts';
import { type BucketStore, isInDoubt } from './store.ts';

const HEADERS: ObjectHeaders = { contentType: 'application/json', cacheControl: 'no-store' };
/** A run that lies further ahead was noted under a wrong clock. */
const MAX_AHEAD_MS = 5 * 60_000;

type ClaimingStore = Pick<BucketStore, 'objects' | 'context'>;

/** Returns false where another daemon has run the policy within the time, or has just begun to. */
export function claimRun(store: ClaimingStore, policy: string, everyMs: number): Promise<boolean> {
  return claimAt(store, `${KEY_ROOT}metadata/retention/${policy}.json`, everyMs);
}

/** The same for any work, whose runs are noted in the object of this key. */
export async function claimAt({ objects, context }: ClaimingStore, key: string, everyMs: number): Promise<boolean> {
  const now = context.now();
  const noted = await readSmall(objects, key);
  const lastRun = noted && lastRunIn(noted.bytes.toString());
  if (lastRun !== undefined && lastRun <= now + MAX_AHEAD_MS && now < lastRun + everyMs) return false;
  const body = payloadOf(`${JSON.stringify({ lastRun: new Date(now).toISOString() })}\n`);
  try {
    if (noted === undefined) await objects.putNew(key, body, HEADERS);
    else await objects.replaceIf(key, body, HEADERS, noted.etag);
    return true;
  } catch (error) {
    // Another was first; or this one was, and says so no more: it runs the next time.
    if (isInDoubt(error)) return false;
    throw error;
  }
}

function lastRunIn(text: string): number | undefined {
  try {
    const time = Date.parse(JSON.parse(text).lastRun);
    return Number.isNaN(time) ? undefined : time;
  } catch {
    return undefined;
  }
}
