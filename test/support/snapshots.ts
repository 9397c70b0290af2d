/** Buckets full of records without images, and what their snapshots hold. */
import { zstdDecompressSync } from 'node:zlib';
import type { ObjectStore } from '../../src/storage/bucket/object-store.ts';
import { payloadOf } from '../../src/storage/bucket/record-object.ts';
import { SNAPSHOTS } from '../../src/storage/bucket/snapshot-object.ts';
import { recordKey } from '../../src/storage/domain/naming.ts';
import type { ImageRecord } from '../../src/storage/domain/record.ts';
import { formatRecord } from '../../src/storage/domain/record-file.ts';
import type { MemoryBucket } from '../../src/storage/providers/memory-storage.ts';
import { recordOf } from './many-images.ts';

export { SNAPSHOTS };

/** Puts the records of images from one number up to another. */
export async function putRecords(objects: ObjectStore, from: number, to: number): Promise<ImageRecord[]> {
  const records = Array.from({ length: to - from }, (_, at) => recordOf(from + at));
  for (const record of records) {
    await objects.putNew(recordKey(record.filename), payloadOf(formatRecord(record)), { contentType: 'text/plain' });
  }
  return records;
}

export function snapshotsIn(bucket: MemoryBucket): string[] {
  return [...bucket.keys()].filter((key) => key.startsWith(SNAPSHOTS)).sort();
}

/** Returns the records that any snapshot has, by their filenames. */
export function copiesIn(bucket: MemoryBucket): Map<string, string> {
  const lines = snapshotsIn(bucket).flatMap((key) => linesOf(bucket, key).slice(1));
  const entries = lines.map((line) => JSON.parse(line) as { filename: string; record: string });
  return new Map(entries.map(({ filename, record }) => [filename, record]));
}

export function linesOf(bucket: MemoryBucket, key: string): string[] {
  return zstdDecompressSync(bucket.get(key)!.bytes).toString().trimEnd().split('\n');
}

/** Counts the requests for single records, and for snapshots. */
export function counting(objects: ObjectStore): {
  objects: ObjectStore;
  reads: { records: number; snapshots: number };
} {
  const reads = { records: 0, snapshots: 0 };
  const get: ObjectStore['get'] = (key, range) => {
    if (key.startsWith(SNAPSHOTS)) reads.snapshots += 1;
    else if (key.startsWith('outputs/metadata/generations/')) reads.records += 1;
    return objects.get(key, range);
  };
  const counted: ObjectStore = {
    location: objects.location,
    get,
    putNew: (...args) => objects.putNew(...args),
    replaceIf: (...args) => objects.replaceIf(...args),
    list: (...args) => objects.list(...args),
    remove: (key) => objects.remove(key),
    close: () => objects.close?.(),
  };
  return { objects: counted, reads };
}
