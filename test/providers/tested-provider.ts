/** A provider under test, with a new store for each case, and what the cases save. */
import { afterEach, beforeEach } from 'vitest';
import type { ImageMetadata, SaveOptions, Storage, StorageItem, StorageResult } from '../../src/storage/index.ts';
import { pngOf } from '../support/images.ts';

export const DAY: number = 24 * 60 * 60 * 1000;
export const T0: number = Date.UTC(2024, 8, 27, 14, 15, 22);
export const META: ImageMetadata = { prompt: 'p', model: 'm' };

export interface OpenOptions {
  /** Handed out in order before random ones. */
  shortIds?: string[] | undefined;
  /** Default: that of the provider. */
  trashDays?: number | undefined;
}

export interface OpenedProvider {
  /** The one that was opened last. */
  readonly storage: Storage;
  /** Closes it and opens it again over the same data. */
  reopen(options?: Pick<OpenOptions, 'trashDays'>): Promise<Storage>;
  /** Every object below the root of no image, live or in the trash, by name; empty when nothing was left behind. */
  leftovers(): Promise<string[]>;
  close(): Promise<void>;
}

export interface ProviderSuite {
  /** Opens an empty store. */
  open(options?: OpenOptions): Promise<OpenedProvider>;
  storageType: string;
  /** The provider has a trash. */
  hasTrash?: boolean;
  /** A plan is good after a restart, too: the index is not the provider's own. */
  plansLast?: boolean;
  /** The URL an image of that key gets. */
  urlOf(key: string): RegExp;
}

/** A new store for each case. */
export interface TestedProvider extends Omit<ProviderSuite, 'open'> {
  readonly storage: Storage;
  leftovers(): Promise<string[]>;
  /** Over the same data. */
  reopen(options?: Pick<OpenOptions, 'trashDays'>): Promise<void>;
  /** Instead of the store that the case began with. */
  openAnew(options: OpenOptions): Promise<void>;
  /** Saves a small image whose timestamp is `at` seconds after T0. */
  saveAt(at: number, metadata?: Partial<ImageMetadata>, options?: SaveOptions): Promise<StorageResult>;
}

/** Opens a store before each case of the `describe` that it is called in, and closes it after. */
export function useProvider({ open, ...named }: ProviderSuite, options?: OpenOptions): TestedProvider {
  let opened: OpenedProvider;
  let storage: Storage;
  const openAnew = async (given = options) => {
    opened = await open(given);
    storage = opened.storage;
  };
  beforeEach(() => openAnew());
  afterEach(() => opened.close());
  return {
    ...named,
    get storage() {
      return storage;
    },
    leftovers: () => opened.leftovers(),
    async reopen(given) {
      storage = await opened.reopen(given);
    },
    async openAnew(given) {
      await opened.close();
      await openAnew(given);
    },
    saveAt: (at, metadata = {}, options = {}) =>
      storage.save(
        pngOf({ width: 8, height: 8, seed: at }),
        { prompt: '', model: 'flux-schnell', timestamp: new Date(T0 + at * 1000), ...metadata },
        options,
      ),
  };
}

/** An item without the answer to one save, and with its parameters evaluated. */
export function plain(item: StorageItem & { replayed?: boolean; deleted?: boolean }): object {
  const { replayed: _, deleted: __, metadata, ...rest } = item;
  return { ...rest, metadata: { ...metadata } };
}
