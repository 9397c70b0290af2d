/** What every provider must do, written once: run over each of them with its own way to open a store. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe } from 'vitest';
import { shortId } from '../../src/storage/domain/naming.ts';
import { createStorage, type ProviderSettings, type Storage, type StorageConfig } from '../../src/storage/index.ts';
import { describeDeletes } from './delete-cases.ts';
import { describeLists } from './list-cases.ts';
import { describeSaves } from './save-cases.ts';
import { type ProviderSuite, useProvider } from './tested-provider.ts';
import { describeUpdates } from './update-cases.ts';

export interface Opening {
  /** The settings of the provider `main`, given the folder that is its own. */
  settings(folder: string): ProviderSettings;
  leftovers(storage: Storage, folder: string): Promise<string[]>;
  shortIds?: string[] | undefined;
}

/** Opens a storage of one provider, `main`, in a folder that its `close` removes. */
export async function openMain({ settings, leftovers, shortIds = [] }: Opening) {
  const folder = await mkdtemp(join(tmpdir(), 'image-storage-'));
  const config: StorageConfig = {
    defaultProvider: 'main',
    providers: { main: { ...settings(folder), lockWaitSeconds: 1 } },
    // So that a size can be declared that no disk has room for.
    limits: { maxImageBytes: Number.MAX_SAFE_INTEGER },
  };
  const open = () => createStorage(config, { shortId: () => shortIds.shift() ?? shortId() });
  let storage = await open();
  return {
    folder,
    config,
    get storage() {
      return storage;
    },
    async reopen() {
      await storage.close();
      storage = await open();
      return storage;
    },
    leftovers: () => leftovers(storage, folder),
    async close() {
      await storage.close();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

export function describeProvider(title: string, suite: ProviderSuite): void {
  describe(title, () => {
    const tested = useProvider(suite);
    describeSaves(tested);
    describeLists(tested);
    describeUpdates(tested);
    describeDeletes(tested);
  });
}
