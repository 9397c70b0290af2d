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
import { describeSelections } from './selection-cases.ts';
import { type OpenOptions, type ProviderSuite, useProvider } from './tested-provider.ts';
import { describeTrash } from './trash-cases.ts';
import { describeUpdates } from './update-cases.ts';

export interface Opening extends OpenOptions {
  /** The settings of the provider `main`, given the folder that is its own. */
  settings(folder: string): ProviderSettings;
  leftovers(storage: Storage, folder: string): Promise<string[]>;
}

/** Opens a storage of one provider, `main`, in a folder that its `close` removes. */
export async function openMain({ settings, leftovers, shortIds = [], trashDays }: Opening) {
  const folder = await mkdtemp(join(tmpdir(), 'image-storage-'));
  const withTrash = (days = trashDays) => (days === undefined ? {} : { trash: { days } });
  const main = { ...settings(folder), lockWaitSeconds: 1 };
  const config: StorageConfig = {
    defaultProvider: 'main',
    providers: { main: { ...main, ...withTrash() } },
    // So that a size can be declared that no disk has room for.
    limits: { maxImageBytes: Number.MAX_SAFE_INTEGER },
  };
  const open = (days?: number) => {
    const providers = { main: { ...main, ...withTrash(days) } };
    return createStorage({ ...config, providers }, { shortId: () => shortIds.shift() ?? shortId() });
  };
  let storage = await open();
  return {
    folder,
    config,
    get storage() {
      return storage;
    },
    async reopen(options: Pick<OpenOptions, 'trashDays'> = {}) {
      await storage.close();
      storage = await open(options.trashDays);
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
    describeSelections(tested);
  });
  if (suite.hasTrash) describe(`${title}, with a trash`, () => describeTrash(useProvider(suite, { trashDays: 3 })));
}
