/** Purges the images of the trash whose time is over, once the clocks of the daemon and the bucket agree. */
import { nanoid } from 'nanoid';
import { inParallel } from '../async/parallel.ts';
import type { PurgeClock } from '../domain/purge-clock.ts';
import { HELP } from './help.ts';
import type { ObjectStore } from './object-store.ts';
import type { OpenStore } from './open.ts';
import { SCRATCH } from './probe.ts';
import { purgeImage } from './purge.ts';
import { payloadOf } from './record-object.ts';

const BATCH = 200;
const AT_ONCE = 8;
/** How far the clock of the bucket may be apart. */
const MAX_SKEW_MS = 5 * 60_000;

/** Rejects with errors of bucket or catalog. `clock` is looked at on every call. */
export async function purgeDue(store: OpenStore, clock: Pick<PurgeClock, 'mayPurge'>): Promise<void> {
  const { catalog, context, condition, synchronizer, closing } = store;
  const isQuiet = !clock.mayPurge();
  const now = context.now();
  if (isQuiet || !synchronizer.filled || now < (await catalog.quietUntil())) return;
  let due = await catalog.dueTrash(BATCH, now);
  if (due.length === 0) return;
  condition.checkComplete();
  if (!(await agree(store, now))) return;
  for (let last = ''; due.length > 0 && due[0]!.filename !== last; due = await catalog.dueTrash(BATCH, now)) {
    last = due[0]!.filename;
    await inParallel(AT_ONCE, due, async ({ filename }) => {
      closing.signal.throwIfAborted();
      await purgeImage(store, filename, now);
    });
  }
}

/** Returns whether the bucket's clock agrees with ours: other daemons and the purge times go by theirs. */
export async function agree(
  { objects, context }: Pick<OpenStore, 'objects' | 'context'>,
  now: number,
): Promise<boolean> {
  const skewMs = (await clockOf(objects)) - now;
  if (Math.abs(skewMs) <= MAX_SKEW_MS) return true;
  const { log, name: provider } = context;
  log.warn({ provider, skewMs }, `nothing is purged while the clock differs from that of the bucket (${HELP.clock})`);
  return false;
}

/** Returns the bucket's time, in ms since 1970. */
async function clockOf(objects: ObjectStore): Promise<number> {
  const key = `${SCRATCH}${nanoid()}`;
  try {
    await objects.putNew(key, payloadOf('scratch of image-storage'), { contentType: 'text/plain' });
    const { objects: listed } = await objects.list(key);
    return listed[0]?.lastModified ?? Number.NaN;
  } finally {
    await objects.remove(key).catch(() => {});
  }
}
