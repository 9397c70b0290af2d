/** Keeps in the bucket how far its shared index was: one that is behind that was restored, or emptied. */
import type { IndexMark, SharedCatalog } from '../catalog/bucket-catalog.ts';
import { removeDatabase } from '../catalog/sqlite/database-files.ts';
import { KEY_ROOT } from '../domain/naming.ts';
import { checkIdentity } from './format.ts';
import type { ObjectStore } from './object-store.ts';
import { isRefused } from './probe.ts';
import { readSmall } from './reading.ts';
import { payloadOf } from './record-object.ts';
import { asideOf, type StateFiles } from './state-files.ts';
import { type BucketStore, owesOutcomes } from './store.ts';
import type { Synchronizer } from './sync.ts';

const KEY = `${KEY_ROOT}metadata/INDEX`;
const HEADERS = { contentType: 'application/json', cacheControl: 'no-store' };
const MARKED_EVERY_MS = 5_000;
const COMPARISON = 'comparison';

interface IndexedStore extends BucketStore {
  synchronizer: Synchronizer;
  state: StateFiles;
}

export class IndexWatch {
  readonly #store: IndexedStore;
  readonly #index: SharedCatalog;
  /** As it is in the bucket; unset: not read yet. */
  #marked: IndexMark | undefined;
  /** When it was looked at, as `performance.now()` has it. */
  #markedAt = Number.NEGATIVE_INFINITY;
  /** Whether the index that this daemon had in a file may still be there. */
  #mayHaveFile: boolean;

  constructor(store: IndexedStore, index: SharedCatalog) {
    this.#store = store;
    this.#mayHaveFile = store.hasPostgres;
    this.#index = index;
  }

  /** Looks where the index stands; notes it in the bucket where it is further, and compares where it lacks images. */
  async look(): Promise<void> {
    const { mark, isFilled } = await this.#index.look();
    const { synchronizer, condition } = this.#store;
    synchronizer.noteIndex(isFilled);
    await this.#index.answerCall(() => owesOutcomes(this.#store));
    if (!isFilled) {
      condition.noteIndex(new Error('the index is being filled from the bucket'));
      await fillInTurn(this.#index, synchronizer);
      if (!(await this.#index.isFilled())) return;
      // Noted at once: a daemon that starts would compare once more.
      this.#markedAt = Number.NEGATIVE_INFINITY;
    }
    // Also where nobody calls, and no row has shown that it can be used again.
    condition.noteIndex();
    if (performance.now() < this.#markedAt + MARKED_EVERY_MS) return;
    this.#markedAt = performance.now();
    await this.raise(mark);
    if (!this.#mayHaveFile) return;
    // Nothing goes back to it: its bucket has another kind of index now.
    await removeDatabase(asideOf(this.#store.state.catalog));
    this.#mayHaveFile = false;
  }

  /** Notes where the index stands in the end. */
  async stop(): Promise<void> {
    const { mark, isFilled } = await this.#index.look();
    if (isFilled) await this.raise(mark);
  }

  /** Notes how far the index is, unless the bucket knows that it was further. */
  async raise(mark: IndexMark): Promise<void> {
    const { objects } = this.#store;
    if (this.#marked !== undefined && !isFurther(mark, this.#marked)) return;
    await checkIdentity(this.#store);
    const found = await readSmall(objects, KEY);
    const known = markIn(found?.bytes.toString());
    if (known === undefined || isFurther(mark, known)) {
      const payload = payloadOf(`${JSON.stringify(mark)}\n`);
      // Where another daemon was faster, its mark is as good.
      await isRefused(
        found === undefined
          ? objects.putNew(KEY, payload, HEADERS)
          : objects.replaceIf(KEY, payload, HEADERS, found.etag),
      );
    }
    this.#marked = mark;
  }
}

/** Compares an index that lacks images with the bucket, unless another daemon does. */
export async function fillInTurn(index: SharedCatalog, synchronizer: Synchronizer): Promise<void> {
  synchronizer.noteIndex(false);
  await index.alone(COMPARISON, () => synchronizer.resume());
}

/** Compares an index with the bucket where that is due, unless another daemon does. Returns whether it did. */
export async function compareInTurn(
  index: SharedCatalog,
  synchronizer: Synchronizer,
  { everyMs, now }: { everyMs: number; now: number },
): Promise<boolean> {
  if (synchronizer.filled && !(await index.claim(COMPARISON, everyMs, now))) return false;
  return index.alone(COMPARISON, () => synchronizer.resume());
}

function isFurther(mark: IndexMark, than: IndexMark): boolean {
  return mark.incarnation !== than.incarnation || mark.change > than.change;
}

/** Returns how far the index was when it was noted last; undefined where nothing is known. */
export async function readMark(objects: ObjectStore): Promise<IndexMark | undefined> {
  return markIn((await readSmall(objects, KEY))?.bytes.toString());
}

/** Returns undefined where it is none of ours: then nothing is known. */
function markIn(text: string | undefined): IndexMark | undefined {
  try {
    const { incarnation, change } = JSON.parse(text ?? '{}') as Partial<IndexMark>;
    return typeof incarnation === 'string' && typeof change === 'number' ? { incarnation, change } : undefined;
  } catch {
    return undefined;
  }
}
