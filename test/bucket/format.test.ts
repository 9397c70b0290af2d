/** The first start of several daemons over one empty bucket. */
import { expect, it } from 'vitest';
import { readOrCreateFormat } from '../../src/storage/bucket/format.ts';
import { type ObjectStore, ObjectStoreError } from '../../src/storage/bucket/object-store.ts';
import { type MemoryBucket, memoryObjects } from '../../src/storage/providers/memory-storage.ts';

const FORMAT = 'outputs/metadata/FORMAT';

/** Refuses the first creates of FORMAT, as S3 does (409) while another one that nobody sees yet is on its way. */
function withConflicts(objects: ObjectStore, conflicts: number): ObjectStore {
  let left = conflicts;
  return Object.assign(Object.create(objects) as ObjectStore, {
    putNew: async (...[key, ...rest]: Parameters<ObjectStore['putNew']>) => {
      if (key === FORMAT && left-- > 0)
        throw new ObjectStoreError('precondition', 'a conflicting request is under way');
      return objects.putNew(key, ...rest);
    },
  });
}

it('waits for the identity that another daemon is about to write, and makes it where that failed', async () => {
  const bucket: MemoryBucket = new Map();
  const made = await readOrCreateFormat(withConflicts(memoryObjects(bucket), 2));
  expect(made.isNew).toBe(true);
  expect(JSON.parse(`${bucket.get(FORMAT)!.bytes}`)).toMatchObject({ storeId: made.storeId });
});

it('says that the bucket is unavailable, not that it is damaged, where neither happens', async () => {
  const opened = readOrCreateFormat(withConflicts(memoryObjects(new Map()), 100));
  await expect(opened).rejects.toMatchObject({ failure: 'unavailable', message: expect.stringContaining(FORMAT) });
});
