/** Concurrent savers, updaters, deleters, restorers and purgers that work on a store until it stops answering, all of it written into a ledger. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { ImageChanges } from '../../src/storage/index.ts';
import { imageOf, type Ledger, type LedgerEntry, type Target, type TrashTarget } from './ledger.ts';
import { seed } from './scale.ts';

const SAVERS = 4;
const SIZES_BYTES = [2_000, 8_000, 20_000, 60_000];

/** Numbers in [0, 1), the same for the same seed (mulberry32). */
export function randomOf(start: number): () => number {
  let state = start >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

export const random = randomOf(seed);

/** The images of one test, numbered on from the last. */
export function* endlessImages(): Generator<ReturnType<typeof imageOf>> {
  for (let number = 1; ; number += 1) yield imageOf(number, { sizeBytes: SIZES_BYTES[number % SIZES_BYTES.length] });
}

export interface LoadOptions {
  images: Iterator<ReturnType<typeof imageOf>>;
  /** Stops on its own after so many saves; default never. */
  saves?: number;
}

/** Four savers, an updater and a deleter, with a trash a restorer and a purger, too; resolves with what ended each of them, nothing for those that finished. */
export async function putUnderLoad(
  store: Target | TrashTarget,
  ledger: Ledger,
  { images, saves = Number.POSITIVE_INFINITY }: LoadOptions,
): Promise<unknown[]> {
  let left = saves;
  let savers = SAVERS;
  const saveOn = async () => {
    try {
      while (left-- > 0) await ledger.save(store, images.next().value);
    } finally {
      savers -= 1;
    }
  };
  /** Of all images of this kind, one after the other, with pauses. */
  const workOn = async (
    imagesNow: () => LedgerEntry[],
    share: number,
    work: (filename: string) => Promise<unknown>,
  ) => {
    while (savers > 0) {
      const known = imagesNow();
      const victim = known[Math.floor(random() * known.length)];
      if (victim !== undefined && random() < share) await work(victim.filename);
      else await sleep(1);
    }
  };
  const [live, trashed] = [() => ledger.live(), () => ledger.trashed()];
  const deleters = [workOn(live, 0.5, (filename) => ledger.delete(store, filename))];
  if (ledger.hasTrash && 'restore' in store) {
    deleters.push(workOn(trashed, 0.3, (filename) => ledger.restore(store, filename)));
    deleters.push(workOn(trashed, 0.1, (filename) => ledger.purge(store, filename)));
    deleters.push(workOn(live, 0.05, (filename) => ledger.delete(store, filename, { permanent: true })));
  }
  const updateOn = async () => {
    for (let turn = 1; savers > 0; turn += 1) {
      const live = ledger.live();
      const image = live[Math.floor(random() * live.length)];
      if (image === undefined) await sleep(1);
      else await ledger.update(store, image.filename, changesOf(turn)).catch(ignoreDeleted);
    }
  };
  const workers = await Promise.allSettled([...Array.from({ length: SAVERS }, saveOn), updateOn(), ...deleters]);
  return workers.filter((worker) => worker.status === 'rejected').map(({ reason }) => reason);
}

function changesOf(turn: number): ImageChanges {
  const [addTags, removeTags] = [[`update${turn % 5}`], [`update${(turn + 1) % 5}`]];
  return { pinned: turn % 2 === 0, addTags, removeTags, ...(turn % 3 === 0 && { category: `turn ${turn % 9}` }) };
}

/** The deleter may be faster. */
function ignoreDeleted(error: unknown): void {
  if ((error as { reason?: string }).reason !== 'IMAGE_NOT_FOUND') throw error;
}
