/** The catalogs of the contracts over two threads with a SQLite connection each: one that writes, one that reads. */
import type { BucketCatalog } from '../bucket-catalog.ts';
import { CatalogError, type CatalogQuery, type LocalCatalog } from '../catalog.ts';
import { RecentChanges } from '../recent-changes.ts';
import { Indexing } from './indexing.ts';
import type { CatalogFile, Opened, OpenState } from './opening.ts';
import { toPage, unpackSizes } from './rows.ts';
import type { Around } from './thread.ts';
import { type CatalogBuilder, CatalogThreads } from './threads.ts';

/** The methods that the threads carry out unchanged, grouped by what a call needs besides. */
const READS = [
  'find',
  'findByKey',
  'rowStates',
  'statistics',
  'findTrashed',
  'trashPage',
  'dueTrash',
  'expired',
  'arrivedSince',
  'wasDeleted',
  'quietUntil',
  'pendingUnlinks',
  'unsyncedRecords',
  'updatedRecords',
  'lastSequence',
  'isFilled',
  'notes',
  'pendingOperations',
  'known',
  'knownBetween',
  'dueSweeps',
  'unhashed',
] as const;
const WRITES = [
  'clearPendingUnlinks',
  'purgeTombstones',
  'setRecordsSynced',
  'setUpdatedSynced',
  'copyLog',
  'setQuietUntil',
  'setThumbHashes',
  'raiseGeneration',
] as const;
/** Writes of any number of images. */
const LOADS = ['load', 'loadStaged', 'loadDeletes', 'loadTrash', 'forgetDeletes'] as const;

export interface OpenCatalogOptions extends CatalogFile {
  /** Rebuilds a lost catalog at its path. Unset: a lost catalog is only reported. */
  build?: (builder: CatalogBuilder, why: string) => Promise<void>;
  /** Treats the catalog as lost, whatever its file holds. */
  rebuild?: boolean;
  /** Called when a thread of the catalog dies: its running calls are in doubt, and the process must end. */
  onDeath?: (error: Error) => void;
  /** Called when the catalog is damaged, and awaited before the call that found it rejects. */
  onCorrupt?: (error: CatalogError) => Promise<void>;
}

/** One SQLite file serves either kind of store. */
export interface WorkerCatalog extends LocalCatalog, BucketCatalog {}

/** `lost`: only a rebuild helps. An open catalog is marked unclean until the next close. */
export type OpenedCatalog = OpenedState | { state: 'lost'; why: string };

export interface OpenedState extends OpenState {
  catalog: WorkerCatalog;
  /**
   * Resolves once an unchecked catalog was looked through: whether it is sound. `onCorrupt` is called where it is
   * damaged. Never rejects.
   */
  whenChecked: Promise<boolean>;
}

/**
 * Opens a catalog, and first rebuilds it when it is lost, in the same two threads. Rejects with what the build throws,
 * with a StoreOpenError, or with a CatalogError `full` when there is no space to open it; these two never mean lost.
 */
export async function openCatalog(options: OpenCatalogOptions): Promise<OpenedCatalog> {
  const { build, rebuild = false, onDeath, onCorrupt, ...file } = options;
  let isBuilding = false;
  const threads = new CatalogThreads((error) => {
    // The build fails then, and nothing else is in doubt.
    if (!isBuilding) onDeath?.(error);
  });
  try {
    let opened: Opened = rebuild ? { state: 'lost', why: 'a rebuild was asked for' } : await threads.open(file);
    if (opened.state === 'lost' && build !== undefined) {
      isBuilding = true;
      await build(threads, opened.why);
      isBuilding = false;
      opened = await threads.open(file);
    }
    if (opened.state === 'open') return openedOver(threads, opened, options);
    await threads.stop();
    return opened;
  } catch (error) {
    await threads.stop();
    throw error;
  }
}

function openedOver(
  threads: CatalogThreads,
  state: OpenState,
  { onCorrupt, ...file }: OpenCatalogOptions,
): OpenedState {
  const calls = new Calls(threads, onCorrupt);
  const whenChecked = state.checked ? Promise.resolve(true) : calls.check(file);
  return { ...state, catalog: catalogOver(threads, calls), whenChecked };
}

function catalogOver(threads: CatalogThreads, calls: Calls): WorkerCatalog {
  const { writer, reader } = threads;
  const indexing = new Indexing(() =>
    calls.watch(async () => (await writer.call('indexOlder', [])) || writer.call('countOlder', [])),
  );
  const recent = new RecentChanges();
  const load: Around = (call) => calls.watch(call).finally(() => recent.noteMany());
  return {
    ...reader.methods(READS, calls.read),
    ...writer.methods(WRITES, calls.watch),
    ...writer.methods(LOADS, load),
    // When the thread dies during one of these, the outcome is unknown.
    ...writer.methods(['apply', 'fill'], calls.watch, 'unknown'),
    async commit(changes) {
      const outcomes = await calls.watch(() => writer.call('commit', [changes], 'unknown'));
      recent.note(changes, outcomes);
      return outcomes;
    },
    moment: async () => recent.momentAt(await calls.read(() => reader.call('lastSequence', []))),
    remembers: (moment) => recent.remembers(moment),
    async changedSince(filenames, since) {
      const newer = new Set(await calls.read(() => reader.call('newerThan', [filenames, since.sequence])));
      return filenames.filter((filename) => newer.has(filename) || recent.isChangedSince(filename, since));
    },
    page: async (query, request) =>
      toPage(await calls.search(query, () => reader.call('packedPage', [query, request]))),
    async pageSizes(query, request) {
      const packed = await calls.search(query, () => reader.call('packedSizes', [query, request]));
      return recent.mark(unpackSizes(packed), request.since);
    },
    totals: (query, grouping) => calls.search(query, () => reader.call('totals', [query, grouping])),
    async close(clean) {
      await indexing.stop();
      await calls.close(clean);
    },
  };
}

/** Wraps the calls to the threads of an open catalog: reports damage, repairs searches, and closes the threads. */
class Calls {
  readonly #threads: CatalogThreads;
  readonly #onCorrupt: OpenCatalogOptions['onCorrupt'];
  readonly #reads = new Set<Promise<unknown>>();
  #closed: Promise<void> | undefined;

  constructor(threads: CatalogThreads, onCorrupt: OpenCatalogOptions['onCorrupt']) {
    this.#threads = threads;
    this.#onCorrupt = onCorrupt;
  }

  readonly watch: Around = async (call) => {
    try {
      return await call();
    } catch (error) {
      if (isCorrupt(error)) await this.#onCorrupt?.(error);
      throw error;
    }
  };

  /** A read may pause, and its connection must not be closed before it ends. */
  readonly read: Around = async (call) => {
    const read = call();
    this.#reads.add(read);
    try {
      return await this.watch(() => read);
    } finally {
      this.#reads.delete(read);
    }
  };

  /** Returns whether the catalog is sound. Its connection counts as a read. */
  async check({ path, storeId }: CatalogFile): Promise<boolean> {
    try {
      await this.read(() => this.#threads.check({ path, storeId }));
      return true;
    } catch {
      return false;
    }
  }

  /** Repeats a search that fails on a damaged search table, once the table was rebuilt. */
  search<T>(query: CatalogQuery, call: () => Promise<T>): Promise<T> {
    return this.read(async () => {
      try {
        return await call();
      } catch (error) {
        if (!query.query || !isCorrupt(error)) throw error;
        await this.#threads.writer.call('repairSearch', []);
        return call();
      }
    });
  }

  close(clean: boolean): Promise<void> {
    this.#closed ??= this.#close(clean);
    return this.#closed;
  }

  async #close(clean: boolean): Promise<void> {
    const { reader, writer } = this.#threads;
    try {
      await Promise.allSettled(this.#reads);
      await reader.call('close', []);
      await writer.call('close', [clean]);
    } finally {
      await this.#threads.stop();
    }
  }
}

function isCorrupt(error: unknown): error is CatalogError {
  return error instanceof CatalogError && error.failure === 'corrupt';
}
