/** The catalogs of the contracts over two threads with a SQLite connection each: one that writes, one that reads. */
import type { BucketCatalog } from '../bucket-catalog.ts';
import { CatalogError, type CatalogQuery, type LocalCatalog } from '../catalog.ts';
import type { CatalogFile, Opened } from './opening.ts';
import type { Around } from './thread.ts';
import { type CatalogBuilder, CatalogThreads } from './threads.ts';

/** What a thread does for the contracts, by what its callers need besides. `page` and `pageSizes` are not among them. */
const READS = [
  'find',
  'findByKey',
  'rowStates',
  'statistics',
  'pendingUnlinks',
  'unsyncedRecords',
  'isFilled',
  'pendingOperations',
  'known',
  'knownBetween',
  'dueSweeps',
] as const;
const WRITES = ['clearPendingUnlinks', 'purgeTombstones', 'setRecordsSynced'] as const;
/** Of these the caller must know whether they happened, also where their thread died. */
const COMMITS = ['commit', 'apply'] as const;

export interface OpenCatalogOptions extends CatalogFile {
  /** Builds a lost catalog again, at its path; without it a lost one stays lost. */
  build?: (builder: CatalogBuilder, why: string) => Promise<void>;
  /** Takes the catalog for lost, whatever its file holds. */
  rebuild?: boolean;
  /** A thread of the catalog died: what it had in hand is in doubt, and the process must end. */
  onDeath?: (error: Error) => void;
  /** The catalog is damaged; done before the call that met it rejects. */
  onCorrupt?: (error: CatalogError) => Promise<void>;
}

/** One file serves as the catalog of either kind of store. */
export interface WorkerCatalog extends LocalCatalog, BucketCatalog {}

/** `lost`: only a rebuild helps. `clean`: closed so by the last process; until the next close it is not. */
export type OpenedCatalog = { state: 'open'; catalog: WorkerCatalog; clean: boolean } | { state: 'lost'; why: string };

/**
 * Opens a catalog, after a build where it is lost, by the same two threads. Rejects with what the build throws, a
 * StoreOpenError, or a CatalogError `full` when there is no room to open it; neither of the two means lost.
 */
export async function openCatalog(options: OpenCatalogOptions): Promise<OpenedCatalog> {
  const { build, rebuild = false, onDeath, onCorrupt, ...file } = options;
  let isBuilding = false;
  const threads = new CatalogThreads((error) => {
    // The build fails by it, and nothing is in doubt.
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
    if (opened.state === 'open') return { ...opened, catalog: catalogOver(threads, onCorrupt) };
    await threads.stop();
    return opened;
  } catch (error) {
    await threads.stop();
    throw error;
  }
}

function catalogOver(threads: CatalogThreads, onCorrupt: OpenCatalogOptions['onCorrupt']): WorkerCatalog {
  const { writer, reader } = threads;
  const calls = new Calls(threads, onCorrupt);
  return {
    ...reader.methods(READS, calls.read),
    ...writer.methods(WRITES, calls.watch),
    ...writer.methods(COMMITS, calls.watch, 'unknown'),
    page: (query, request) => calls.search(query, () => reader.call('page', [query, request])),
    pageSizes: (query, request) => calls.search(query, () => reader.call('pageSizes', [query, request])),
    close: (clean) => calls.close(clean),
  };
}

/** What an open catalog does around the calls to its threads, and at their end. */
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

  /** Where the table of searches alone is damaged, it is built again and the search repeated. */
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
