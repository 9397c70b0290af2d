/** Answers what lies at the keys of records from snapshots, in the order of these keys, as long as the listing agrees. */
import type { FoundRecord } from '../catalog/bucket-catalog.ts';
import { recordKey } from '../domain/naming.ts';
import { HELP } from './help.ts';
import { mayBelongTogether } from './reading.ts';
import { parseFound } from './record-object.ts';
import { listSnapshots, readSnapshot, type Snapshot, type SnapshotEntry, snapshotBytes } from './snapshot-object.ts';
import type { BucketStore } from './store.ts';

/** Entries that are there before two pages of the listing are read, which have a thousand keys each. */
const AHEAD = 4_000;
/** Bounds the memory of what is read ahead. */
const MAX_AHEAD_BYTES = 32 * 1024 * 1024;
const READS_AT_ONCE = 4;
/** The one that is looked up in, and the next. */
const DECODED = 2;

type ReadStore = Pick<BucketStore, 'objects' | 'storeId' | 'context' | 'closing'>;

export class SnapshotReader {
  readonly #store: ReadStore;
  readonly #snapshots: readonly Snapshot[];
  readonly #firstKeys: readonly string[];
  /** As they were read, by their place; undefined: nothing to decode. */
  readonly #ahead = new Map<number, Buffer | undefined>();
  readonly #decoded = new Map<number, Promise<Map<string, SnapshotEntry>>>();
  /** The place of the next one that is read. */
  #next = 0;

  static async over(store: ReadStore): Promise<SnapshotReader> {
    return new SnapshotReader(store, await listSnapshots(store.objects));
  }

  private constructor(store: ReadStore, snapshots: readonly Snapshot[]) {
    this.#store = store;
    this.#snapshots = snapshots;
    this.#firstKeys = snapshots.map(({ first }) => recordKey(first));
  }

  /**
   * Reads the snapshots of some thousand records whose keys follow `after`. Called before these are listed: what the
   * listing shows is newer then than what was read.
   */
  async readAhead(after = ''): Promise<void> {
    const current = Math.max(this.#placeOf(after), 0);
    for (const places of [this.#ahead, this.#decoded]) {
      for (const place of places.keys()) if (place < current) places.delete(place);
    }
    this.#next = Math.max(this.#next, current);
    while (this.#next < this.#snapshots.length && !this.#hasEnough()) {
      this.#store.closing.signal.throwIfAborted();
      const first = this.#next;
      this.#next = Math.min(first + READS_AT_ONCE, this.#snapshots.length);
      const places = Array.from({ length: this.#next - first }, (_, at) => first + at);
      await Promise.all(places.map((place) => this.#read(place)));
    }
  }

  #hasEnough(): boolean {
    const ahead = [...this.#ahead];
    const bytes = ahead.reduce((sum, [, read]) => sum + (read?.length ?? 0), 0);
    // Of the first one, some are behind.
    const entries = ahead.slice(1).reduce((sum, [place]) => sum + this.#snapshots[place]!.count, 0);
    return entries >= AHEAD || bytes >= MAX_AHEAD_BYTES;
  }

  async #read(place: number): Promise<void> {
    this.#ahead.set(place, await snapshotBytes(this.#store.objects, this.#snapshots[place]!));
  }

  /** Returns the record with this ETag, and the length of its text, or undefined where it is to be read. */
  async find(filename: string, etag: string): Promise<{ found: FoundRecord; chars: number } | undefined> {
    const place = this.#placeOf(recordKey(filename));
    if (!this.#ahead.has(place)) return undefined;
    const entries = this.#entriesOf(place);
    // Unpacked while this one is looked up in.
    if (this.#ahead.has(place + 1)) this.#entriesOf(place + 1);
    const entry = (await entries).get(filename);
    if (entry?.etag !== etag) return undefined;
    // Whoever reads the record will find out whether an ETag is an MD5 in this bucket.
    if (!mayBelongTogether(this.#store.objects, { etag, bytes: entry.text })) return undefined;
    const found = parseFound(entry.text, etag, filename);
    return found.kind === 'foreign' ? undefined : { found, chars: entry.text.length };
  }

  /** Never rejects. */
  #entriesOf(place: number): Promise<Map<string, SnapshotEntry>> {
    const known = this.#decoded.get(place);
    if (known !== undefined) return known;
    const byName = this.#decode(place).then((entries) => new Map(entries.map((entry) => [entry.filename, entry])));
    this.#decoded.set(place, byName);
    for (const oldest of this.#decoded.keys()) if (this.#decoded.size > DECODED) this.#decoded.delete(oldest);
    return byName;
  }

  /** Never rejects. */
  async #decode(place: number): Promise<SnapshotEntry[]> {
    const bytes = this.#ahead.get(place);
    if (bytes === undefined) return [];
    const { context, objects, storeId } = this.#store;
    const snapshot = this.#snapshots[place]!;
    const read = await readSnapshot(bytes, snapshot, storeId);
    if (!('unusable' in read)) return read;
    const facts = { provider: context.name, key: snapshot.key, why: read.unusable };
    context.log.warn(facts, `a snapshot cannot be used: its records are read one by one (${HELP.snapshots})`);
    // By its name it fits, so that nobody would make another.
    await objects.remove(snapshot.key).catch(() => {});
    return [];
  }

  /** Returns the place of the last snapshot that begins at or before this key; -1: none does. */
  #placeOf(key: string): number {
    let [low, high] = [0, this.#firstKeys.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#firstKeys[middle]! <= key) low = middle + 1;
      else high = middle;
    }
    return low - 1;
  }
}
