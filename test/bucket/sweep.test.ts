/** The sweep of a daemon that was away for long: what stands in the bucket counts, not what it remembers. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { openStore } from '../../src/storage/bucket/open.ts';
import { BUCKET_TOMBSTONE_MS, sweep } from '../../src/storage/bucket/sweep.ts';
import type { MemoryBucket } from '../../src/storage/providers/memory-storage.ts';
import { memoryObjects, memoryStorage } from '../../src/storage/providers/memory-storage.ts';
import { ObjectStorage } from '../../src/storage/providers/object-storage.ts';
import { contextOf } from '../support/bucket.ts';
import { collect } from '../support/bytes.ts';
import { imageOf } from '../support/ledger.ts';

it('spares an image that another daemon saved under the name of one deleted long ago', async () => {
  const bucket: MemoryBucket = new Map();
  const folder = await mkdtemp(join(tmpdir(), 'image-storage-'));
  let now = Date.UTC(2026, 0, 1);
  const start = async (name: string) => {
    const objects = memoryObjects(bucket);
    const options = { objects, stateDir: join(folder, name), shared: true };
    const store = await openStore(options, contextOf({ now: () => now }));
    await store.synchronizer.run();
    return { store, provider: new ObjectStorage(store, memoryStorage(objects), async () => {}) };
  };
  const { bytes, metadata, options } = imageOf(1);
  const away = await start('away');
  const { filename } = await away.provider.save(bytes, metadata, options);
  await away.provider.delete(filename);

  const other = await start('other');
  now += BUCKET_TOMBSTONE_MS;
  await sweep(other.store, BUCKET_TOMBSTONE_MS);
  expect(await other.provider.save(bytes, metadata, options)).toMatchObject({ filename, replayed: false });

  await sweep(away.store, BUCKET_TOMBSTONE_MS);
  for (const { provider } of [away, other]) {
    expect((await collect((await provider.get(filename)).body)).equals(bytes)).toBe(true);
    expect((await provider.list()).map((item) => item.filename)).toEqual([filename]);
    await provider.close();
  }
  await rm(folder, { recursive: true });
});
