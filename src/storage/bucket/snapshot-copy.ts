/** Writes to a catalog what snapshots have of the records that it lacks, while the next ones are looked up. */
import { setImmediate } from 'node:timers/promises';
import type { FoundChange, FoundRecord } from '../catalog/bucket-catalog.ts';
import { searchedTextOf } from '../catalog/searched-text.ts';
import type { ComparisonWrites } from './comparison-writes.ts';
import { SnapshotReader } from './snapshot-reader.ts';
import { type BucketStore, discovery } from './store.ts';

/** Written together, but for the last ones of a page. A shared index has its other writers wait for as long. */
const AT_ONCE = 500;
/** About how many characters of them. */
const CHARS_AT_ONCE = 4_000_000;
/** Looked up before other work of the process has its turn. */
const IN_ONE_TURN = 100;

/** A record that a catalog does not have as it is listed; `etag` is what it knows, if anything. */
interface Wanted {
  filename: string;
  listed?: string | undefined;
  etag?: string;
}

export class SnapshotCopy {
  readonly #store: BucketStore;
  readonly #reader: SnapshotReader;
  readonly #writes: ComparisonWrites;
  #group: FoundChange[] = [];
  #chars = 0;

  static async over(store: BucketStore, writes: ComparisonWrites): Promise<SnapshotCopy> {
    return new SnapshotCopy(store, await SnapshotReader.over(store), writes);
  }

  private constructor(store: BucketStore, reader: SnapshotReader, writes: ComparisonWrites) {
    this.#store = store;
    this.#reader = reader;
    this.#writes = writes;
  }

  /** Called before the records whose keys follow `after` are listed. */
  readAhead(after?: string): Promise<void> {
    return this.#reader.readAhead(after);
  }

  /** Returns the records that are to be read; of all others the last ones may not be written yet. */
  async copy<W extends Wanted>(records: readonly W[]): Promise<W[]> {
    const others: W[] = [];
    for (const [at, record] of records.entries()) {
      if (at % IN_ONE_TURN === 0) await setImmediate();
      const { filename, listed, etag: known } = record;
      // What the catalog has of it may be newer than the listing.
      const isNew = listed !== undefined && known === undefined;
      const copy = isNew ? await this.#reader.find(filename, listed) : undefined;
      if (copy === undefined) others.push(record);
      else {
        this.#group.push(this.#changeOf(filename, copy.found));
        this.#chars += copy.chars;
      }
      if (this.#group.length === AT_ONCE || this.#chars >= CHARS_AT_ONCE) await this.#write();
    }
    await this.#write();
    return others;
  }

  #changeOf(filename: string, found: FoundRecord): FoundChange {
    const change = discovery(this.#store, filename, found);
    // Postgres has its text made here in any case.
    if (found.kind !== 'live' || this.#store.index !== undefined) return change;
    return { ...change, searched: searchedTextOf(found.record) };
  }

  async #write(): Promise<void> {
    const { closing, context } = this.#store;
    closing.signal.throwIfAborted();
    const group = this.#group;
    if (group.length === 0) return;
    [this.#group, this.#chars] = [[], 0];
    await this.#writes.add(group);
    context.meter?.choreDid('sync', 'copied', group.length);
  }
}
