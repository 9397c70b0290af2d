/** The contract of a catalog: the index of a provider and, for local stores, its commit point. */
import type { ImageRecord } from '../domain/record.ts';
import type { GroupStatistics, ImageFilter, Order, Position } from '../domain/requests.ts';

/** A deleted image: keeps its filename and idempotency key taken for a while. */
export interface Tombstone {
  record: ImageRecord;
  deleteTime: number;
  /** Its files may still be there. */
  unlinkPending: boolean;
}

export type Change =
  | { kind: 'insert'; record: ImageRecord }
  | { kind: 'delete'; filename: string; deleteTime: number; sparePinned: boolean };

/** What became of one change of a committed group. */
export type Outcome =
  | { done: true; record: ImageRecord }
  | { done: false; why: 'filename_taken' | 'not_found' | 'pinned' }
  | { done: false; why: 'key_taken'; record: ImageRecord };

/** A filter in the catalog's terms, with the facade's dates as ms. */
export interface CatalogQuery extends Omit<ImageFilter, 'dateRange'> {
  /** `[start, end)` on timestamp. */
  start?: number;
  end?: number;
  order: Order;
}

export interface PageRequest {
  /** Only what lies behind this in the order; with `inclusive` the position itself, too. */
  after?: Position & { inclusive?: boolean };
  /** Rows at most. */
  limit: number;
  /** Stop before the row that would exceed this many bytes of metadata; one row is always given. */
  maxBytes: number;
}

export interface RecordPage {
  records: ImageRecord[];
  /** At least one more row follows. */
  more: boolean;
}

/** The few columns that Cleanup decides by. */
export interface ImageSize extends Position {
  size: number;
  pinned: boolean;
}

export interface CatalogStatistics {
  count: number;
  bytes: number;
  pinnedCount: number;
  /** ms; unset without images. */
  oldest?: number;
  newest?: number;
  byModel: GroupStatistics[];
  byCategory: GroupStatistics[];
  byDate: GroupStatistics[];
}

/** What a catalog knows of a filename; `unlinking`: deleted, and its files may still be there. */
export type Standing = 'live' | 'unlinking' | 'deleted' | 'absent';

/** A row whose record file is not yet known to be on stable storage. */
export interface UnsyncedRecord {
  /** Ascending; grows with every insert. */
  sequence: number;
  filename: string;
}

/** `[from, to)`, ms since 1970. */
export interface Span {
  from: number;
  to: number;
}

/**
 * An index over the images of one provider.
 *
 * `commit` is atomic and durable: when it resolves, every change that is `done` survives a power cut. Reads see all
 * that was committed before they were called. No read holds a transaction beyond its own call.
 */
export interface Catalog {
  /**
   * Applies the changes in order in one transaction. A change that fails its check fails alone. Rejects with a
   * CatalogError: `definite` nothing of the group happened, else the outcome is unknown until the catalog is opened again.
   */
  commit(changes: readonly Change[]): Promise<Outcome[]>;
  /** The live image of that name. */
  find(filename: string): Promise<ImageRecord | undefined>;
  /** The image that was saved with this key, deleted or not. */
  findByKey(idempotencyKey: string): Promise<{ record: ImageRecord; deleted: boolean } | undefined>;
  /** Of each of the filenames, in their order. */
  standing(filenames: readonly string[]): Promise<Standing[]>;
  page(query: CatalogQuery, request: PageRequest): Promise<RecordPage>;
  /** Like `page`, without the metadata; at most `limit` rows. */
  pageSizes(query: CatalogQuery, request: { after?: Position; limit: number }): Promise<ImageSize[]>;
  statistics(): Promise<CatalogStatistics>;

  /** Deleted images whose files may still be there. */
  pendingUnlinks(limit: number): Promise<ImageRecord[]>;
  clearPendingUnlinks(filenames: readonly string[]): Promise<void>;
  /** Forgets tombstones older than this, except those with files pending. Returns how many. */
  purgeTombstones(deletedBefore: number): Promise<number>;

  /** Live rows above `recordsSynced`, ascending, up to the first that was created in the span; at most `limit`. */
  unsyncedRecords(limit: number, young?: Span): Promise<UnsyncedRecord[]>;
  /** All record files up to this sequence are on stable storage. Never moves backwards. */
  setRecordsSynced(sequence: number): Promise<void>;

  /** `clean`: all record files are synced and nothing is in doubt; the next open says `clean`. */
  close(clean: boolean): Promise<void>;
}

/** Why a catalog failed, in the terms a store decides by. */
export type CatalogFailure =
  /** Nothing of the call happened. */
  | 'full'
  | 'definite'
  /** COMMIT itself failed or the thread died: the restart decides. */
  | 'unknown'
  /** The database is damaged. */
  | 'corrupt';

export class CatalogError extends Error {
  override readonly name = 'CatalogError';
  readonly failure: CatalogFailure;

  constructor(failure: CatalogFailure, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.failure = failure;
  }
}
