/** What a bucket in memory holds, read without any provider: the truth that a provider's answers are held against. */

import { readRecord } from '../../src/storage/bucket/record-object.ts';
import type { FoundRecord, RecordInTrash } from '../../src/storage/catalog/bucket-catalog.ts';
import type { MemoryBucket } from '../../src/storage/providers/memory-storage.ts';
import { memoryObjects } from '../../src/storage/providers/memory-storage.ts';
import type { Subject } from './protocol-model.ts';

/** Whatever lies at the keys of records. */
export async function recordsIn(bucket: MemoryBucket): Promise<FoundRecord[]> {
  const objects = memoryObjects(bucket);
  const keys = [...bucket.keys()].filter((key) => key.startsWith('outputs/metadata/generations/'));
  return Promise.all(keys.map((key) => readRecord(objects, key.slice(key.lastIndexOf('/') + 1, -'.json'.length))));
}

/** The filenames of the images, in order. */
export function liveNames(records: readonly FoundRecord[]): string[] {
  return records.flatMap((found) => (found.kind === 'live' ? [found.record.filename] : [])).sort();
}

/** The filenames of the images in the trash, in order. */
export function trashedNames(records: readonly FoundRecord[]): string[] {
  return trashedIn(records)
    .map(({ record }) => record.filename)
    .sort();
}

function trashedIn(records: readonly FoundRecord[]): RecordInTrash[] {
  return records.flatMap((found) => (found.kind === 'trashed' ? [found.trashed] : []));
}

/** Once nothing is under way any more: each subject is found as its answers promised, and is known by what was found. */
export function settleSubjects(subjects: readonly Subject[], records: readonly FoundRecord[]): void {
  const byIdentity = Map.groupBy(records, identityOf);
  for (const subject of subjects) {
    const found = byIdentity.get(subject.key || subject.variants[0]!.sha256) ?? [];
    const deleted = found.flatMap((each) =>
      each.kind === 'tombstone' && each.tombstone.kind === 'deleted' ? [each.tombstone.filename] : [],
    );
    const purgeTime = trashedIn(found)[0]?.purgeTime;
    subject.settle({ live: liveNames(found), trashed: trashedNames(found), deleted, purgeTime });
    for (const each of found) {
      const record = each.kind === 'live' ? each.record : each.kind === 'trashed' ? each.trashed.record : undefined;
      if (record !== undefined) subject.knownAs(record.prompt, record.sha256, record.tags);
    }
  }
}

/** Whether any record is that of this image. */
export function holdsImageOf(bucket: MemoryBucket, subject: Subject): boolean {
  const mark = JSON.stringify(subject.key || subject.variants[0]!.sha256);
  return [...bucket.values()].some(({ bytes }) => bytes.includes(mark) && !bytes.includes('"tombstone"'));
}

/** What an image is told apart by: its key, where it has one. */
function identityOf(found: FoundRecord): string {
  if (found.kind === 'live') return found.record.idempotencyKey || found.record.sha256;
  if (found.kind === 'trashed') return found.trashed.record.idempotencyKey || found.trashed.record.sha256;
  return found.kind === 'tombstone' ? found.tombstone.idempotencyKey : '';
}
