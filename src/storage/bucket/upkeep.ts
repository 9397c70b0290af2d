/** The background work of an open store in a bucket: synchronizes, settles operations, sweeps, purges, makes snapshots. */
import { type BucketSettings, DEFAULT_FULL_SYNC_MINUTES, DEFAULT_SYNC_SECONDS } from '../domain/config.ts';
import { StorageError, StoreOpenError } from '../domain/errors.ts';
import { PurgeClock } from '../domain/purge-clock.ts';
import { checkIdentity } from './format.ts';
import { compareInTurn, IndexWatch } from './index-mark.ts';
import { failedWith } from './object-store.ts';
import type { OpenStore } from './open.ts';
import { probe } from './probe.ts';
import { purgeDue } from './purge-due.ts';
import { resolveOperations } from './recover.ts';
import { SnapshotUpkeep } from './snapshots.ts';
import { BUCKET_TOMBSTONE_MS, sweep } from './sweep.ts';

const SETTLE_EVERY_MS = 5_000;
const SWEEP_EVERY_MS = 60_000;
const PURGE_EVERY_MS = 60_000;
const IDENTITY_EVERY_MS = 60_000;
const RECOVERY_EVERY_MS = 5_000;
const TRY_AGAIN_MS = 5_000;
const INDEX_EVERY_MS = 1_000;
const LOOK_AGAIN_MS = 60_000;
const LEFT = 'left';
const PAUSE_FACTOR = 4;
const MINUTE_MS = 60 * 1000;
const SNAPSHOTS_EVERY_MS = 10 * MINUTE_MS;
const DAY_MS = 24 * 60 * MINUTE_MS;

interface Chore {
  /** For the log and the metrics. */
  name: string;
  /** Resolves with `left` where another daemon does it. */
  work: () => Promise<unknown>;
  /** Unset: once is enough. */
  everyMs?: number;
  /** Pauses four times as long as the work took, up to so long: it takes a fifth of the time at most. */
  pausesUpToMs?: number;
}

type SyncSettings = Pick<BucketSettings, 'syncSeconds' | 'fullSyncMinutes'>;

/** Starts the chores. Returns a function that stops them after the work in progress. */
export function startUpkeep(store: OpenStore, settings: SyncSettings): () => Promise<void> {
  // Random for each daemon, so that two hardly ever remove the same tombstone at once.
  const expireAfterMs = BUCKET_TOMBSTONE_MS + Math.floor(Math.random() * DAY_MS);
  const clock = new PurgeClock(store.context);
  const { recentMs, allMs } = intervalsOf(settings);
  const chores: Chore[] = [
    // Also without other writers: it finds what was changed by hand, expired by a rule, or lost with the disk in a crash.
    {
      name: 'sync',
      work: () => compareOnce(store, allMs),
      everyMs: store.shared ? allMs : DAY_MS,
    },
    { name: 'probe', work: () => probeOnce(store) },
    { name: 'settle', work: () => resolveOperations(store, [...store.unsettled.values()]), everyMs: SETTLE_EVERY_MS },
    { name: 'sweep', work: () => sweepAll(store, expireAfterMs), everyMs: SWEEP_EVERY_MS },
    { name: 'purge', work: () => purgeDue(store, clock), everyMs: PURGE_EVERY_MS },
    { name: 'identity', work: () => checkIdentity(store), everyMs: IDENTITY_EVERY_MS },
    // Callers that wait for health send no call that could show that the bucket is back.
    { name: 'recovery', work: () => checkIfDown(store), everyMs: RECOVERY_EVERY_MS },
  ];
  const snapshots = new SnapshotUpkeep(store);
  chores.push({ name: 'snapshots', work: () => snapshots.work(), everyMs: SNAPSHOTS_EVERY_MS });
  const { index } = store;
  // A shared index has the rows of all daemons: what others wrote is there.
  const follows = store.shared && index === undefined && recentMs < allMs;
  if (follows) chores.push({ name: 'follow', work: () => follow(store), everyMs: recentMs, pausesUpToMs: allMs });
  const watch = index && new IndexWatch(store, index);
  if (watch !== undefined) chores.push({ name: 'index', work: () => watch.look(), everyMs: INDEX_EVERY_MS });
  const stops = chores.map((chore) => repeat(chore, store));
  return async () => {
    await Promise.all(stops.map((stop) => stop()));
    await watch?.stop().catch(() => {});
  };
}

/** Everything is compared at least as seldom as what is recent. */
function intervalsOf({ syncSeconds = DEFAULT_SYNC_SECONDS, fullSyncMinutes }: SyncSettings) {
  const recentMs = syncSeconds * 1000;
  return { recentMs, allMs: Math.max(recentMs, (fullSyncMinutes ?? DEFAULT_FULL_SYNC_MINUTES) * MINUTE_MS) };
}

/** Records that are gone are counted by a comparison of all. */
async function follow(store: OpenStore): Promise<void> {
  if (await store.synchronizer.follow()) await compare(store);
}

/** Rejects with STORE_REPLACED when most images are missing. */
async function compare({ synchronizer, condition }: OpenStore): Promise<void> {
  await synchronizer.run();
  condition.checkComplete();
}

/** One daemon of those that share an index compares for all of them. */
async function compareOnce(store: OpenStore, everyMs: number): Promise<typeof LEFT | undefined> {
  const { index, synchronizer, condition, context } = store;
  if (index === undefined) {
    await compare(store);
    return undefined;
  }
  try {
    if (!(await compareInTurn(index, synchronizer, { everyMs, now: context.now() }))) return LEFT;
    condition.noteIndex();
    condition.checkComplete();
    return undefined;
  } catch (error) {
    synchronizer.noteFailure();
    throw error;
  }
}

/** Probes a bucket whose store another daemon made, or an older version, which did not probe; once for a catalog. */
async function probeOnce({ catalog, condition, journal, objects }: OpenStore): Promise<void> {
  if ((await catalog.notes()).probed) return;
  try {
    await probe(objects);
    await journal.write({ kind: 'probed' });
  } catch (error) {
    if (!(error instanceof StoreOpenError || failedWith(error, 'misconfigured'))) throw error;
    condition.noteUnfit(error);
  }
}

async function checkIfDown(store: OpenStore): Promise<void> {
  if (store.condition.isDown) await checkIdentity(store);
}

async function sweepAll(store: OpenStore, expireAfterMs: number): Promise<void> {
  while (await sweep(store, expireAfterMs)) store.closing.signal.throwIfAborted();
}

function repeat(
  { name, work, everyMs, pausesUpToMs = everyMs }: Chore,
  { context, condition }: OpenStore,
): () => Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  let stopped = false;
  const run = async () => {
    let pauseMs = everyMs;
    const began = performance.now();
    try {
      const outcome = (await work()) === LEFT ? LEFT : 'done';
      const tookMs = performance.now() - began;
      context.meter?.choreRan(name, outcome, tookMs);
      if (everyMs !== undefined && pausesUpToMs !== undefined) {
        pauseMs = Math.min(Math.max(everyMs, PAUSE_FACTOR * tookMs), pausesUpToMs);
      }
    } catch (error) {
      context.meter?.choreRan(name, 'failed', performance.now() - began);
      // Neither a replaced bucket nor lost images come back by themselves.
      const isFinal = error instanceof StorageError || failedWith(error, 'misconfigured');
      pauseMs = isFinal ? Math.min(LOOK_AGAIN_MS, everyMs ?? LOOK_AGAIN_MS) : TRY_AGAIN_MS;
      // An unreachable or replaced bucket, or one without most images, has been logged already.
      if (!stopped && condition.health.serving) {
        context.log.warn({ err: error, provider: context.name, chore: name }, 'upkeep failed; it is tried again');
      }
    }
    if (pauseMs !== undefined && !stopped) timer = setTimeout(start, pauseMs).unref();
  };
  let running = run();
  const start = () => {
    running = run();
  };
  return async () => {
    stopped = true;
    clearTimeout(timer);
    await running;
  };
}
