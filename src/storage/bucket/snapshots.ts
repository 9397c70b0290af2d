/** Keeps the snapshots of a bucket: makes them behind the answers, and writes those again that no longer fit. */
import { setTimeout as sleep } from 'node:timers/promises';
import { KEY_ROOT } from '../domain/naming.ts';
import { claimAt } from './claim-run.ts';
import { checkIdentity } from './format.ts';
import type { OpenStore } from './open.ts';
import { listSnapshots, type Snapshot } from './snapshot-object.ts';
import { joined, type Known, type Part, partsOf, survey } from './snapshot-survey.ts';
import { rewritePart, type Written } from './snapshot-writer.ts';

const MINUTE_MS = 60_000;
/** A daemon that was just started has other things to do. */
const FIRST_AFTER_MS = 10 * MINUTE_MS;
const EVERY_MS = 60 * MINUTE_MS;
/** A turn that takes longer is noted again, so that nobody else begins one. */
const NOTED_EVERY_MS = 10 * MINUTE_MS;
const TURN = `${KEY_ROOT}metadata/snapshots/turn.json`;
/** Of one snapshot. */
const RECORDS = 1_000;
/** A part with less than this share of them, and less than these bytes, is made one with the next. */
const FEW = 0.3;
const FEW_BYTES = 128 * 1024;
/** How long it rests for each time that it worked, while nothing is saved and while something is. */
const REST = 1;
const REST_DURING_SAVES = 4;
const LOOK_AGAIN_MS = 100;

/** The turns of one daemon. */
export class SnapshotUpkeep {
  readonly #store: OpenStore;
  #nextAt: number;

  constructor(store: OpenStore, { firstAfterMs = FIRST_AFTER_MS } = {}) {
    this.#store = store;
    this.#nextAt = performance.now() + firstAfterMs;
  }

  /** Takes a turn where it is time for one, and no other daemon has taken it. */
  async work(): Promise<void> {
    const now = performance.now();
    const { shared, condition } = this.#store;
    if (now < this.#nextAt || condition.isDown) return;
    await checkIdentity(this.#store);
    if (shared && !(await this.#claim(EVERY_MS))) return;
    this.#nextAt = now + EVERY_MS;
    let notedAt = now;
    const onProgress = async () => {
      if (!shared || performance.now() - notedAt < NOTED_EVERY_MS) return;
      notedAt = performance.now();
      await this.#claim(0);
    };
    await makeSnapshots(this.#store, { onProgress });
  }

  #claim(everyMs: number): Promise<boolean> {
    return claimAt(this.#store, TURN, everyMs);
  }
}

export interface MakingOptions {
  /** How many records a snapshot has. */
  size?: number;
  /** Awaited at times. */
  onProgress?: () => Promise<void>;
}

/** Writes what is to be written. Rejects with errors of bucket or catalog. */
export async function makeSnapshots(
  store: OpenStore,
  { size = RECORDS, onProgress = async () => {} }: MakingOptions = {},
): Promise<Written> {
  const { catalog, condition, context, objects, closing } = store;
  condition.checkWritable();
  condition.checkComplete();
  const written = { snapshots: 0, records: 0 };
  // One that is not filled has nothing to compare with.
  if (!(await catalog.isFilled())) return written;
  const pause = pacing(store, onProgress);
  const parts = partsOf(await listSnapshots(objects));
  while (parts.length > 0) {
    closing.signal.throwIfAborted();
    let part = parts.shift()!;
    let known = await survey(catalog, part, { now: context.now(), size });
    if (known === undefined) continue;
    while (parts.length > 0 && isSmall(part, known, size)) {
      part = joined(part, parts.shift()!);
      known = (await survey(catalog, part, { now: context.now(), size })) ?? known;
    }
    const { snapshots, records } = await rewritePart(store, part, { count: known.count, size, pause });
    written.snapshots += snapshots;
    written.records += records;
    context.meter?.choreDid('snapshots', 'written', snapshots);
    context.meter?.choreDid('snapshots', 'records', records);
  }
  if (written.snapshots > 0) context.log.debug({ provider: context.name, ...written }, 'snapshots were written');
  return written;
}

function isSmall({ snapshots }: Part, { count }: Known, size: number): boolean {
  const sum = (of: (snapshot: Snapshot) => number) => snapshots.reduce((before, each) => before + of(each), 0);
  const bytesEach =
    sum(({ sizeBytes }) => sizeBytes) /
    Math.max(
      sum((each) => each.count),
      1,
    );
  return count < FEW * size && count * bytesEach < FEW_BYTES;
}

/** Returns what rests for as long as was worked since, and while saves wait. */
function pacing(
  { saves, closing: { signal } }: Pick<OpenStore, 'saves' | 'closing'>,
  onProgress: () => Promise<void>,
): () => Promise<void> {
  let startedAt = performance.now();
  const rest = (ms: number) => sleep(ms, undefined, { signal, ref: false });
  return async () => {
    const workedMs = performance.now() - startedAt;
    await rest(workedMs * (saves().inFlight > 0 ? REST_DURING_SAVES : REST));
    while (saves().waiting > 0) await rest(LOOK_AGAIN_MS);
    await onProgress();
    startedAt = performance.now();
  };
}
