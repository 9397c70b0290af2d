/** Writes the snapshots of a part of the records from what the bucket holds; what older ones have is not read again. */
import { mapInParallel } from '../async/parallel.ts';
import { recordKey } from '../domain/naming.ts';
import { listPages } from './listing.ts';
import type { ListedObject } from './object-store.ts';
import { isRefused } from './probe.ts';
import { mayBelongTogether, readSmall } from './reading.ts';
import { filenameAt, parseFound, RECORDS } from './record-object.ts';
import { Piece, readSnapshot, type Snapshot, type SnapshotEntry, snapshotBytes } from './snapshot-object.ts';
import type { Part } from './snapshot-survey.ts';
import type { BucketStore } from './store.ts';

/** Of one snapshot. */
const BYTES_IN_ONE = 6 * 1024 * 1024;
/** A longer record is in none. */
const MAX_RECORD_BYTES = 1024 * 1024;
const READS_AT_ONCE = 8;
/** Bounds the memory of records in flight. */
const GROUP = 32;

/** What was written. */
export interface Written {
  snapshots: number;
  records: number;
}

export interface WritingOptions {
  /** About how many records there are. */
  count: number;
  /** How many a snapshot has; a last one up to a half more. */
  size: number;
  /** Awaited before the bucket is asked for much. */
  pause: () => Promise<void>;
}

/** Replaces the snapshots of a part. What a crash leaves is put right by the next call. */
export async function rewritePart(store: BucketStore, part: Part, options: WritingOptions): Promise<Written> {
  const writing = new Writing(store, options);
  for (const snapshot of part.snapshots) await writing.takeFrom(snapshot);
  await writing.copy(part);
  // Last: the new ones have what is left of them by now.
  for (const { key } of part.snapshots) if (!writing.keys.has(key)) await store.objects.remove(key);
  return writing.written;
}

/** What lies at the key of a record. Without a text it is in no snapshot, and counts among what one was made of. */
type Copied = Pick<SnapshotEntry, 'filename' | 'etag'> & Partial<SnapshotEntry>;

class Writing {
  readonly #store: BucketStore;
  readonly #options: WritingOptions;
  readonly #older = new Map<string, SnapshotEntry>();
  #piece = new Piece();
  /** Of those that stand. */
  readonly keys = new Set<string>();
  readonly written: Written = { snapshots: 0, records: 0 };

  constructor(store: BucketStore, options: WritingOptions) {
    this.#store = store;
    this.#options = options;
  }

  async takeFrom(snapshot: Snapshot): Promise<void> {
    const { objects, storeId } = this.#store;
    const bytes = await snapshotBytes(objects, snapshot);
    if (bytes === undefined) return;
    const read = await readSnapshot(bytes, snapshot, storeId);
    // A new one may get its name.
    if ('unusable' in read) await objects.remove(snapshot.key);
    else for (const entry of read) this.#older.set(entry.filename, entry);
  }

  async copy(part: Part): Promise<void> {
    let left = this.#options.count;
    for await (const group of this.#groupsOf(part)) {
      await this.#options.pause();
      const tombstones = await this.#tombstonesIn(group);
      for await (const copied of mapInParallel(READS_AT_ONCE, group, (listed) => this.#copied(listed, tombstones))) {
        if (copied === undefined) continue;
        this.#piece.add(copied);
        left -= 1;
        if (this.#isFull(left)) await this.#put();
      }
    }
    await this.#put();
  }

  /** A few that would be left for the next one are added. */
  #isFull(left: number): boolean {
    const { count, sizeBytes } = this.#piece;
    const { size } = this.#options;
    return sizeBytes >= BYTES_IN_ONE || count >= 2 * size || (count >= size && left > size / 2);
  }

  /** Yields what is listed of a part. */
  async *#groupsOf({ after, upTo }: Part): AsyncGenerator<ListedObject[]> {
    for await (const page of listPages(this.#store.objects, RECORDS, after)) {
      const within = page.objects.filter(({ key }) => upTo === undefined || key <= upTo);
      for (let start = 0; start < within.length; start += GROUP) yield within.slice(start, start + GROUP);
      if (within.length < page.objects.length) return;
    }
  }

  /** Returns the ETags of those that are known to be tombstones, as far as not all are in older snapshots. */
  async #tombstonesIn(group: readonly ListedObject[]): Promise<Map<string, string>> {
    if (group.every(({ key, etag }) => this.#older.get(filenameAt(key) ?? '')?.etag === etag)) return new Map();
    const range = { after: group[0]!.key.slice(0, -1), upTo: group.at(-1)!.key, limit: 2 * GROUP };
    const known = await this.#store.catalog.knownBetween(range);
    return new Map(known.filter(({ deleted }) => deleted).map(({ filename, etag }) => [filename, etag]));
  }

  /** Returns undefined where there is no image. */
  async #copied({ key, etag }: ListedObject, tombstones: Map<string, string>): Promise<Copied | undefined> {
    const filename = filenameAt(key);
    if (filename === undefined) return undefined;
    const older = this.#older.get(filename);
    if (older?.etag === etag && this.#isTrue(older)) return older;
    return tombstones.get(filename) === etag ? undefined : this.#read(filename);
  }

  #isTrue({ etag, text }: SnapshotEntry): boolean {
    return mayBelongTogether(this.#store.objects, { etag, bytes: text });
  }

  async #read(filename: string): Promise<Copied | undefined> {
    const read = await readSmall(this.#store.objects, recordKey(filename));
    if (read === undefined) return undefined;
    const { etag, bytes } = read;
    const text = bytes.toString();
    const { kind } = parseFound(text, etag, filename);
    if (kind === 'tombstone') return undefined;
    const isExact = bytes.length <= MAX_RECORD_BYTES && bytes.equals(Buffer.from(text));
    return { filename, etag, ...(kind !== 'foreign' && isExact && { text }) };
  }

  async #put(): Promise<void> {
    const piece = this.#piece;
    this.#piece = new Piece();
    if (piece.count === 0) return;
    await this.#options.pause();
    const { objects, storeId } = this.#store;
    const { key, put } = await piece.end(storeId);
    // One that is there already has the same content.
    if (!(await isRefused(put(objects)))) {
      this.written.snapshots += 1;
      this.written.records += piece.count;
    }
    this.keys.add(key);
  }
}
