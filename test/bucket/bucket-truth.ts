/** What a bucket in memory holds, read without any provider: the truth that a provider's answers are held against. */

import { readRecord } from '../../src/storage/bucket/record-object.ts';
import type { FoundRecord } from '../../src/storage/catalog/bucket-catalog.ts';
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

/** Once nothing is under way any more: each subject is found as its answers promised, and is known by what was found. */
export function settleSubjects(subjects: readonly Subject[], records: readonly FoundRecord[]): void {
  const byIdentity = Map.groupBy(records, identityOf);
  for (const subject of subjects) {
    const found = byIdentity.get(subject.key || subject.variants[0]!.sha256) ?? [];
    const deleted = found.flatMap((each) =>
      each.kind === 'tombstone' && each.tombstone.kind === 'deleted' ? [each.tombstone.filename] : [],
    );
    subject.settle({ live: liveNames(found), deleted });
    for (const each of found) {
      if (each.kind === 'live') subject.knownAs(each.record.prompt, each.record.sha256, each.record.tags);
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
  return found.kind === 'tombstone' ? found.tombstone.idempotencyKey : '';
}
