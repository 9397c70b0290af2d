/** The provider `memory`, and so the protocol of object stores: the conformance suite, and what only a bucket has. */
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createStorage, type Storage, type StorageConfig } from '../src/storage/index.ts';
import { shortId } from '../src/storage/naming.ts';
import type { MemoryBucket } from '../src/storage/providers/memory-storage.ts';
import { strayObjects } from './support/bucket.ts';
import { describeProvider } from './support/provider-suite.ts';

async function openMemory({ shortIds = [] as string[] } = {}) {
  const bucket: MemoryBucket = new Map();
  const stateDir = await mkdtemp(join(tmpdir(), 'image-storage-'));
  const main = { type: 'memory', bucket, stateDir, lockWaitSeconds: 1 } as const;
  const config: StorageConfig = { defaultProvider: 'main', providers: { main } };
  const open = () => createStorage(config, { shortId: () => shortIds.shift() ?? shortId() });
  let storage: Storage = await open();
  return {
    bucket,
    config,
    get storage() {
      return storage;
    },
    async reopen() {
      await storage.close();
      storage = await open();
      return storage;
    },
    leftovers: async () => [...strayObjects(bucket), ...(await readdir(join(stateDir, 'spool', 'main')))],
    async close() {
      await storage.close();
      await rm(stateDir, { recursive: true, force: true });
    },
  };
}

describeProvider('memory', { open: openMemory, storageType: 'memory', urlOf: (key) => new RegExp(`^memory:///${key}$`) });
