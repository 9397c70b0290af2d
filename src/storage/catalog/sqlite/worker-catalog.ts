/** The catalog of the contract over two threads with a SQLite connection each: one that writes, one that reads. */

import type { ImageRecord } from '../../domain/record.ts';
import type { BucketCatalog, BucketChange, DueSweep, KnownRecord, PendingOperation } from '../bucket-catalog.ts';
import type {
  CatalogQuery,
  CatalogStatistics,
  Change,
  ImageSize,
  LocalCatalog,
  Outcome,
  PageRequest,
  RecordPage,
  RowState,
  Span,
  Tombstone,
  UnsyncedRecord,
} from '../catalog.ts';
import { CatalogError } from '../catalog.ts';
import type { CatalogFile } from './opening.ts';
import type { Start } from './query.ts';
import { CatalogThread } from './thread.ts';

export interface OpenCatalogOptions extends CatalogFile {
  /** A thread of the catalog died: what it had in hand is in doubt, and the process must end. */
  onDeath?: (error: Error) => void;
  /** The catalog is damaged; done before the call that met it rejects. */
  onCorrupt?: (error: CatalogError) => Promise<void>;
}

/** `lost`: only a rebuild helps. `clean`: closed so by the last process; until the next close it is not. */
export type OpenedCatalog = { state: 'open'; catalog: WorkerCatalog; clean: boolean } | { state: 'lost'; why: string };

/** Rejects with a StoreOpenError, or a CatalogError `full` when there is no room to open it; neither means lost. */
export async function openCatalog({
  onDeath = () => {},
  onCorrupt,
  ...file
}: OpenCatalogOptions): Promise<OpenedCatalog> {
  const writer = new CatalogThread('writer', file, onDeath);
  const reader = new CatalogThread('reader', file, onDeath);
  try {
    const opened = await writer.call('open', []);
    if (opened.state === 'open') {
      await reader.call('open', []);
      return { ...opened, catalog: new WorkerCatalog(writer, reader, onCorrupt) };
    }
    await Promise.all([writer.stop(), reader.stop()]);
    return opened;
  } catch (error) {
    await Promise.all([writer.stop(), reader.stop()]);
    throw error;
  }
}

/** Creates the file of an empty catalog, to be filled and sealed. Rejects with a StoreOpenError when there is one. */
export async function createCatalog(file: Omit<CatalogFile, 'synchronous'>): Promise<NewCatalog> {
  const writer = new CatalogThread('writer', file, () => {});
  try {
    await writer.call('create', []);
    return new NewCatalog(writer);
  } catch (error) {
    await writer.stop();
    throw error;
  }
}

/** What a lost catalog still tells of deleted images; nothing when it tells nothing. */
export async function salvageTombstones(path: string): Promise<Tombstone[]> {
  const reader = new CatalogThread('reader', { path, storeId: '' }, () => {});
  try {
    await reader.call('open', []);
    return await reader.call('tombstones', []);
  } catch {
    return [];
  } finally {
    await reader.call('close', []).catch(() => {});
    await reader.stop();
  }
}

/** A catalog being built: not durable, and not to be opened, before it is sealed. */
export class NewCatalog {
  readonly #writer: CatalogThread<'writer'>;

  constructor(writer: CatalogThread<'writer'>) {
    this.#writer = writer;
  }

  /** Adds images. A filename that is taken is passed over; a key that is taken stays with the first. */
  load(records: readonly ImageRecord[]): Promise<void> {
    return this.#writer.call('load', [records]);
  }

  /** Adds deleted images by the same rules. */
  loadTombstones(tombstones: readonly Tombstone[]): Promise<void> {
    return this.#writer.call('loadTombstones', [tombstones]);
  }

  /** Puts the file on stable storage and closes it, marked clean. The name in its folder is the caller's to sync. */
  async seal(): Promise<void> {
    try {
      await this.#writer.call('seal', []);
    } finally {
      await this.#writer.stop();
    }
  }
}

export class WorkerCatalog implements LocalCatalog, BucketCatalog {
  readonly #writer: CatalogThread<'writer'>;
  readonly #reader: CatalogThread<'reader'>;
  readonly #reads = new Set<Promise<unknown>>();
  readonly #onCorrupt: OpenCatalogOptions['onCorrupt'];
  #closed: Promise<void> | undefined;

  constructor(
    writer: CatalogThread<'writer'>,
    reader: CatalogThread<'reader'>,
    onCorrupt: OpenCatalogOptions['onCorrupt'],
  ) {
    this.#writer = writer;
    this.#reader = reader;
    this.#onCorrupt = onCorrupt;
  }

  commit(changes: readonly Change[]): Promise<Outcome[]> {
    return this.#watch(this.#writer.call('commit', [changes], 'unknown'));
  }

  find(filename: string): Promise<ImageRecord | undefined> {
    return this.#read(this.#reader.call('find', [filename]));
  }

  findByKey(idempotencyKey: string): Promise<{ record: ImageRecord; deleted: boolean } | undefined> {
    return this.#read(this.#reader.call('findByKey', [idempotencyKey]));
  }

  rowStates(filenames: readonly string[]): Promise<RowState[]> {
    return this.#read(this.#reader.call('rowStates', [filenames]));
  }

  page(query: CatalogQuery, request: PageRequest): Promise<RecordPage> {
    return this.#read(this.#repairingSearch(query, () => this.#reader.call('page', [query, request])));
  }

  pageSizes(query: CatalogQuery, request: { after?: Start; limit: number }): Promise<ImageSize[]> {
    return this.#read(this.#repairingSearch(query, () => this.#reader.call('pageSizes', [query, request])));
  }

  statistics(): Promise<CatalogStatistics> {
    return this.#read(this.#reader.call('statistics', []));
  }

  pendingUnlinks(limit: number): Promise<ImageRecord[]> {
    return this.#read(this.#reader.call('pendingUnlinks', [limit]));
  }

  clearPendingUnlinks(filenames: readonly string[]): Promise<void> {
    return this.#watch(this.#writer.call('clearPendingUnlinks', [filenames]));
  }

  purgeTombstones(deletedBefore: number): Promise<number> {
    return this.#watch(this.#writer.call('purgeTombstones', [deletedBefore]));
  }

  unsyncedRecords(limit: number, young?: Span): Promise<UnsyncedRecord[]> {
    return this.#read(this.#reader.call('unsyncedRecords', [limit, young]));
  }

  setRecordsSynced(sequence: number): Promise<void> {
    return this.#watch(this.#writer.call('setRecordsSynced', [sequence]));
  }

  apply(changes: readonly BucketChange[]): Promise<(ImageRecord | undefined)[]> {
    return this.#writer.call('apply', [changes], 'unknown');
  }

  isFilled(): Promise<boolean> {
    return this.#read(this.#reader.call('isFilled', []));
  }

  pendingOperations(): Promise<PendingOperation[]> {
    return this.#read(this.#reader.call('pendingOperations', []));
  }

  known(filename: string): Promise<KnownRecord | undefined> {
    return this.#read(this.#reader.call('known', [filename]));
  }

  knownBetween(range: { after?: string; upTo?: string; limit: number }): Promise<KnownRecord[]> {
    return this.#read(this.#reader.call('knownBetween', [range]));
  }

  dueSweeps(now: number, limit: number): Promise<DueSweep[]> {
    return this.#read(this.#reader.call('dueSweeps', [now, limit]));
  }

  close(clean: boolean): Promise<void> {
    this.#closed ??= this.#close(clean);
    return this.#closed;
  }

  async #close(clean: boolean): Promise<void> {
    try {
      await Promise.allSettled(this.#reads);
      await this.#reader.call('close', []);
      await this.#writer.call('close', [clean]);
    } finally {
      await Promise.all([this.#reader.stop(), this.#writer.stop()]);
    }
  }

  /** A read may pause, and its connection must not be closed before it ends. */
  async #read<T>(read: Promise<T>): Promise<T> {
    this.#reads.add(read);
    try {
      return await this.#watch(read);
    } finally {
      this.#reads.delete(read);
    }
  }

  async #watch<T>(call: Promise<T>): Promise<T> {
    try {
      return await call;
    } catch (error) {
      if (error instanceof CatalogError && error.failure === 'corrupt') await this.#onCorrupt?.(error);
      throw error;
    }
  }

  async #repairingSearch<T>(query: CatalogQuery, read: () => Promise<T>): Promise<T> {
    try {
      return await read();
    } catch (error) {
      if (!query.query || !(error instanceof CatalogError) || error.failure !== 'corrupt') throw error;
      await this.#writer.call('repairSearch', []);
      return read();
    }
  }
}
