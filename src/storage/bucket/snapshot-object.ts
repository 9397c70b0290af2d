/**
 * Reads and writes snapshots: objects with the records of about a thousand images, from which a catalog is filled with few
 * requests. What they say counts for nothing: an entry is a copy of the object that has its ETag, or of none.
 */
import { createHash } from 'node:crypto';
import { promisify } from 'node:util';
import { constants, zstdCompress, zstdDecompress } from 'node:zlib';
import { inParallel } from '../async/parallel.ts';
import { folderOf, KEY_ROOT, recordKey } from '../domain/naming.ts';
import { listPages } from './listing.ts';
import type { ListedObject, ObjectHeaders, ObjectStore } from './object-store.ts';
import { readSmall } from './reading.ts';
import { payloadOf } from './record-object.ts';

const compress = promisify(zstdCompress);
const decompress = promisify(zstdDecompress);

const FORMAT = 'image-storage-snapshot';
const VERSION = 1;
/** Another version has another folder. Neither an image's folder nor a record's, so that no reader takes one for these. */
export const SNAPSHOTS: string = `${KEY_ROOT}metadata/snapshots/${VERSION}/`;

/** Of the text of a snapshot; the object is never larger than what `readSmall` reads. */
const MAX_TEXT_BYTES = 13 * 1024 * 1024;
const MAX_ENTRIES = 10_000;
/** A snapshot is unpacked in a few pieces. */
const PIECE_BYTES = 1024 * 1024;
/** A frame may ask for a window of 128 MiB; ours need a few. */
const MAX_WINDOW_LOG = 24;
const REMOVED_AT_ONCE = 8;
const HEADERS: ObjectHeaders = { contentType: 'application/zstd', cacheControl: 'no-store' };
const LAST_PART = /^(.+\.[a-z]+)\.(\d{1,5})\.([0-9a-f]{32})\.ndjson\.zst$/;

/** A copy of a record. */
export interface SnapshotEntry {
  filename: string;
  etag: string;
  /** The object at the key of the record. */
  text: string;
}

/** A snapshot, by its name. */
export interface Snapshot {
  key: string;
  /** The filename of its first entry, in the order of the keys of records. */
  first: string;
  count: number;
  /** Of what it was made of. */
  digest: string;
  sizeBytes: number;
  /** ms since 1970, by the clock of the bucket. */
  lastModified: number;
}

/** `unusable`: why the object is none of this store, or none at all. */
export type ReadSnapshot = SnapshotEntry[] | { unusable: string };

/** Returns the snapshots of a bucket in the order of the keys of their first records. */
export async function listSnapshots(objects: ObjectStore): Promise<Snapshot[]> {
  const snapshots: Snapshot[] = [];
  for await (const page of listPages(objects, SNAPSHOTS)) {
    snapshots.push(...page.objects.flatMap((object) => snapshotIn(object) ?? []));
  }
  const keyed = snapshots.map((snapshot) => ({ snapshot, key: recordKey(snapshot.first) }));
  keyed.sort((a, b) => (a.key === b.key ? 0 : a.key < b.key ? -1 : 1));
  return keyed.map(({ snapshot }) => snapshot);
}

export async function removeSnapshots(objects: ObjectStore): Promise<void> {
  for await (const page of listPages(objects, SNAPSHOTS)) {
    await inParallel(REMOVED_AT_ONCE, page.objects, ({ key }) => objects.remove(key));
  }
}

/** Returns what the name of an object tells, or undefined where it is no name of a snapshot. */
function snapshotIn({ key, size: sizeBytes, lastModified }: ListedObject): Snapshot | undefined {
  const [, first = '', count, digest = ''] = LAST_PART.exec(key.slice(key.lastIndexOf('/') + 1)) ?? [];
  const snapshot = { key, first, count: Number(count), digest, sizeBytes, lastModified };
  return folderOf(first) !== undefined && snapshotKey(snapshot) === key ? snapshot : undefined;
}

/** Names a set of records, in the order of their keys, by what their listing shows. */
export class Digest {
  readonly #hash = createHash('sha256');
  count = 0;

  add({ filename, etag }: Pick<SnapshotEntry, 'filename' | 'etag'>): void {
    this.count += 1;
    this.#hash.update(`${filename} ${etag}\n`);
  }

  end(): string {
    return this.#hash.digest('hex').slice(0, 32);
  }
}

/** A snapshot that is being made. */
export class Piece {
  readonly #digest = new Digest();
  readonly #lines: string[] = [];
  #first = '';
  /** Of its lines. */
  sizeBytes = 0;

  get count(): number {
    return this.#lines.length;
  }

  /** Adds what follows in the order of the keys of records. One without a text is only among what it was made of. */
  add({ filename, etag, text }: Pick<SnapshotEntry, 'filename' | 'etag'> & { text?: string }): void {
    this.#digest.add({ filename, etag });
    if (this.#first === '') this.#first = filename;
    if (text === undefined) return;
    const line = `${JSON.stringify({ filename, etag, record: text })}\n`;
    this.#lines.push(line);
    this.sizeBytes += Buffer.byteLength(line);
  }

  /** Returns its key, and what creates it, which rejects with `precondition` where it is there. Ends the piece. */
  async end(storeId: string): Promise<{ key: string; put: (objects: ObjectStore) => Promise<unknown> }> {
    const { count } = this;
    const head = `${JSON.stringify({ format: FORMAT, version: VERSION, storeId, records: count })}\n`;
    const params = { [constants.ZSTD_c_checksumFlag]: 1 };
    const bytes = await compress(head + this.#lines.join(''), { params });
    const key = snapshotKey({ first: this.#first, count, digest: this.#digest.end() });
    return { key, put: (objects) => objects.putNew(key, payloadOf(bytes), HEADERS) };
  }
}

function snapshotKey({ first, count, digest }: Pick<Snapshot, 'first' | 'count' | 'digest'>): string {
  return `${SNAPSHOTS}${folderOf(first)}/${first}.${count}.${digest}.ndjson.zst`;
}

/** Returns the bytes of a snapshot, or undefined where it is gone. */
export async function snapshotBytes(objects: ObjectStore, { key }: Snapshot): Promise<Buffer | undefined> {
  return (await readSmall(objects, key))?.bytes;
}

/** Never rejects. */
export async function readSnapshot(bytes: Buffer, { count }: Snapshot, storeId: string): Promise<ReadSnapshot> {
  try {
    const params = { [constants.ZSTD_d_windowLogMax]: MAX_WINDOW_LOG };
    const text = (
      await decompress(bytes, { maxOutputLength: MAX_TEXT_BYTES, chunkSize: PIECE_BYTES, params })
    ).toString();
    return entriesIn(text, count, storeId);
  } catch (error) {
    return { unusable: `it cannot be decoded (${(error as Error).message})` };
  }
}

/** Throws where a line is no JSON. */
function entriesIn(text: string, count: number, storeId: string): ReadSnapshot {
  const lines = text.split('\n', MAX_ENTRIES + 2);
  const head = JSON.parse(lines[0]!) as Record<string, unknown> | null;
  if (head?.format !== FORMAT || head.version !== VERSION) return { unusable: 'it has another format' };
  if (head.storeId !== storeId) return { unusable: 'it is of another store' };
  if (lines.length !== count + 2 || head.records !== count || lines.at(-1) !== '') {
    return { unusable: 'it has another number of records than it says' };
  }
  const entries = lines.slice(1, -1).flatMap((line) => entryIn(line) ?? []);
  return entries.length === count ? entries : { unusable: 'it has an entry that is none' };
}

function entryIn(line: string): SnapshotEntry | undefined {
  const json = JSON.parse(line) as Record<string, unknown> | null;
  const { filename, etag, record: text } = { ...json };
  const isEntry = typeof filename === 'string' && typeof etag === 'string' && typeof text === 'string';
  return isEntry ? { filename, etag, text } : undefined;
}
