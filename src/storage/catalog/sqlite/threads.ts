/** The two threads of a catalog, which outlive its file: a lost catalog is rebuilt and opened in the same threads. */
import type { ImageRecord, TrashedRecord } from '../../domain/record.ts';
import type { Tombstone } from '../catalog.ts';
import { Gate } from './gate.ts';
import type { Role } from './messages.ts';
import type { CatalogFile, Opened } from './opening.ts';
import { CatalogThread } from './thread.ts';

/**
 * Builds a catalog in the threads that will open it. Requires that a created one is sealed before the next is created.
 */
export type CatalogBuilder = Pick<CatalogThreads, 'salvage' | 'create'>;

/** A catalog that is being built: neither durable nor ready to be opened before it is sealed. */
export interface NewCatalog {
  /** As that of a LocalCatalog. */
  load(records: readonly ImageRecord[]): Promise<number>;
  /** As that of a LocalCatalog. */
  loadStaged(records: readonly ImageRecord[]): Promise<number>;
  /** As that of a LocalCatalog. */
  loadTrash(records: readonly TrashedRecord[]): Promise<number>;
  /** Adds deleted images by the same rules. */
  loadTombstones(tombstones: readonly Tombstone[]): Promise<void>;
  /** Puts the file on stable storage and closes it, marked clean. The caller syncs its folder. */
  seal(): Promise<void>;
}

export class CatalogThreads {
  readonly #onDeath: (error: Error) => void;
  readonly #gate = new Gate();
  readonly writer: CatalogThread<'writer'>;
  #reader: CatalogThread<'reader'>;

  /** Calls `onDeath` when one of them ends without `stop`. */
  constructor(onDeath: (error: Error) => void) {
    this.#onDeath = onDeath;
    this.writer = this.#start('writer');
    this.#reader = this.#start('reader');
  }

  get reader(): CatalogThread<'reader'> {
    return this.#reader;
  }

  /**
   * Opens the catalog in this file for both, unless it is lost. Rejects with a StoreOpenError, or a CatalogError
   * `full`.
   */
  async open(file: CatalogFile): Promise<Opened> {
    this.writer.use(file);
    const opened = await this.writer.call('open', []);
    if (opened.state === 'lost') return opened;
    this.#reader.use(file);
    await this.#reader.call('open', []);
    return opened;
  }

  /** Looks through the catalog, in a thread of its own. Rejects with a CatalogError, `corrupt` where it is damaged. */
  async check(file: CatalogFile): Promise<void> {
    // Neither checkpoints nor other reads wait for it. What it dies of, its call rejects with.
    const checker = new CatalogThread('reader', new Gate(), () => {});
    checker.use(file);
    try {
      await checker.call('open', []);
      await checker.call('check', []);
      await checker.call('close', []);
    } finally {
      await checker.stop();
    }
  }

  /** Returns the deleted images that can still be read from a lost catalog. Never rejects. */
  async salvage(path: string): Promise<Tombstone[]> {
    this.#reader.use({ path, storeId: '' });
    try {
      await this.#reader.call('open', []);
      return await this.#reader.call('tombstones', []);
    } catch {
      return [];
    } finally {
      await this.#reader.call('close', []).catch(() => {});
      // A damaged file may exhaust the memory of the thread.
      if (this.#reader.isDead) {
        this.#gate.reset();
        this.#reader = this.#start('reader');
      }
    }
  }

  /** Creates the file of an empty catalog, to be filled and sealed. Rejects with a StoreOpenError when there is one. */
  async create(file: Pick<CatalogFile, 'path' | 'storeId' | 'indexLater'>): Promise<NewCatalog> {
    this.writer.use(file);
    await this.writer.call('create', []);
    return this.writer.methods(['load', 'loadStaged', 'loadTombstones', 'loadTrash', 'seal']);
  }

  async stop(): Promise<void> {
    await Promise.all([this.writer.stop(), this.#reader.stop()]);
  }

  #start<R extends Role>(role: R): CatalogThread<R> {
    return new CatalogThread(role, this.#gate, this.#onDeath);
  }
}
