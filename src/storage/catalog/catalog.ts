/** The contracts of a catalog: the index that lists are read from, and the commit point of a local store. */
import type { CheckedChanges } from '../domain/changes.ts';
import type { ImageRecord, LoggedImage, StoredRecord, TrashedRecord } from '../domain/record.ts';
import type { GroupBy, GroupStatistics, ImageFilter, Order, Position, Totals, View } from '../domain/requests.ts';

/** A deleted image, which reserves its filename and idempotency key for a while. */
export interface Tombstone {
  record: ImageRecord;
  deleteTime: number;
  /** True while its files may still exist. */
  unlinkPending: boolean;
}

/** The image of the first save with an idempotency key. */
export interface EarlierSave {
  record: ImageRecord;
  /** It was deleted since: it is in the trash, or a tombstone. */
  deleted: boolean;
}

export type Change =
  /** `arrival`: when an image came that was not saved here, ms since 1970. */
  | { kind: 'insert'; record: ImageRecord; arrival?: number }
  /** With a `purgeTime` the image goes into the trash. */
  | { kind: 'delete'; filename: string; deleteTime: number; sparePinned: boolean; purgeTime?: number }
  /** Makes a tombstone of an image in the trash, with `dueBy` only of one that is purged by then. */
  | { kind: 'purge'; filename: string; deleteTime: number; dueBy?: number }
  /** Marks the files of an image in the trash as about to move; until it is restored, a recovery moves them back. */
  | { kind: 'restoring'; filename: string }
  /** Makes an image of the trash live, with a revision above that of the row, and without an expire time. */
  | { kind: 'restore'; filename: string; time: number }
  /** Raises the revision above that of the row and `above`, unless nothing changes. */
  | { kind: 'update'; filename: string; changes: CheckedChanges; above: number; time: number };

/** The result of one change of a committed group. */
export type ChangeOutcome =
  | { done: true; record: ImageRecord }
  | {
      done: false;
      why: 'filename_taken' | 'not_found' | 'not_deleted' | 'pinned' | 'changed' | 'lost' | 'too_many_tags';
    }
  | ({ done: false; why: 'key_taken' } & EarlierSave);

/** A filter in the catalog's terms, with the facade's dates as ms. */
export interface CatalogQuery extends Omit<ImageFilter, 'dateRange'> {
  /** `[start, end)` on timestamp. */
  start?: number;
  end?: number;
  /** Only images with these filenames, which are looked up one by one. */
  only?: readonly string[];
  order: Order;
}

/** A moment of an open index; another one does not know it. */
export interface Moment {
  index: string;
  /** The highest sequence that a row had. */
  sequence: number;
  /** How often live rows had been changed where they are. */
  changes: number;
}

export interface SizesRequest {
  after?: Position;
  /** The most rows to return. */
  limit: number;
  /** Returns this of each image, too. */
  group?: 'model' | 'category' | undefined;
  /** Marks images that the index learnt or changed after this moment, which it remembers. */
  since?: Moment | undefined;
}

export interface PageRequest {
  /** Returns only rows after this position; with `inclusive` the one at it, too. */
  after?: Position & { inclusive?: boolean };
  /** The most rows to return. */
  limit: number;
  /** The most bytes of metadata to return, except for a first row that exceeds them alone. */
  maxBytes: number;
  /** How much of each image is read; default `full`. */
  view?: View;
}

export interface RecordPage {
  records: StoredRecord[];
  /** True when at least one more row follows. */
  more: boolean;
}

/** The columns that cleanup decides by. */
export interface ImageSize extends Position {
  size: number;
  pinned: boolean;
  /** Its model or category, where that was asked for. */
  group?: string;
  /** It was learnt or changed after the moment that was asked for. */
  isChanged?: boolean;
}

export interface CatalogStatistics {
  count: number;
  bytes: number;
  pinnedCount: number;
  /** ms; unset without images. */
  oldest?: number;
  newest?: number;
  trashCount: number;
  trashBytes: number;
  byModel: GroupStatistics[];
  byCategory: GroupStatistics[];
  byDate: GroupStatistics[];
}

/** How to group the images that are counted. */
export interface Grouping {
  /** Unset: not at all. */
  by?: GroupBy;
  /** Of the names of groups, as they are compared: folded. */
  startsWith?: string;
  timeZone?: string;
  /** The most groups; those beyond are one rest. */
  limit: number;
}

/** Times are ms since 1970. */
export type CatalogTotals = Totals<number>;

/**
 * The state of the row of a filename; `unlinking`: deleted, while its files may still exist; `trashing`: in the trash, while
 * its files may lie elsewhere.
 */
export type RowState = 'live' | 'trashing' | 'trashed' | 'unlinking' | 'deleted' | 'absent';

/** A deleted image whose files may lie in a wrong place. */
export interface PendingUnlink extends LoggedImage {
  /** When it was deleted, ms since 1970. */
  deleteTime: number;
  inTrash: boolean;
  /** How often its files were about to be moved out of the trash. */
  attempts: number;
}

export interface TrashPage {
  records: TrashedRecord[];
  /** True when at least one more follows. */
  more: boolean;
}

/** An image in the trash, without its metadata. */
export interface DueTrash {
  filename: string;
  size: number;
  /** ms since 1970. */
  purgeTime: number;
}

/** A live image whose time is over. */
export interface Expired {
  filename: string;
  /** ms since 1970. */
  expireTime: number;
}

/** A row whose record file is not yet known to be on stable storage. */
export interface UnsyncedRecord {
  /** Ascending; grows with every insert and is never reused. */
  sequence: number;
  filename: string;
}

/** An updated image whose record file of this revision is not yet known to be on stable storage. */
export interface UpdatedRecord {
  filename: string;
  revision: number;
}

/** The ThumbHash of an image, base64; empty: it cannot be decoded. */
export interface ThumbHash {
  filename: string;
  thumbHash: string;
}

/** A live image of which no ThumbHash was made. */
export type UnhashedImage = Pick<ImageRecord, 'filename' | 'sha256' | 'size' | 'contentType' | 'width' | 'height'>;

export interface UnhashedPage {
  /** The newest first. */
  images: UnhashedImage[];
  /** Where to go on; 0: nothing is left. */
  before: number;
}

/** Whether the log is in the database; `busy`: readers still need a part of it; `full`: there is no space for it. */
export type LogState = 'copied' | 'busy' | 'full';

/** `[from, to)`, ms since 1970. */
export interface Span {
  from: number;
  to: number;
}

/**
 * An index over the live images of one provider: all that lists, statistics, cleanup and copies read.
 *
 * A read sees every change that was committed before it was called. It holds no transaction beyond its own call:
 * between two pages of a walk others may commit. Every method rejects with a CatalogError, `corrupt` or `definite`; a
 * query for settings of images that are not read yet with a StorageError, CATALOG_REBUILDING.
 */
export interface ImageIndex {
  /** Returns the live image of that name, or undefined. */
  find(filename: string): Promise<StoredRecord | undefined>;
  /** Returns the images that match, in the order of the query. */
  page(query: CatalogQuery, request: PageRequest): Promise<RecordPage>;
  /** Returns the same images as `page`, without their metadata; at most `limit`. */
  pageSizes(query: CatalogQuery, request: SizesRequest): Promise<ImageSize[]>;
  /** Returns the totals of all live images and of their groups, in a time that does not grow with the images. */
  statistics(): Promise<CatalogStatistics>;
  /** Returns the totals of the images that match, whatever the order; of the newest of them where they are many. */
  totals(query: CatalogQuery, grouping: Grouping): Promise<CatalogTotals>;

  /** Notes ThumbHashes, of each image the first that is not empty; passes over images that are gone. */
  setThumbHashes(hashes: readonly ThumbHash[]): Promise<void>;
  /**
   * Returns some of the images without a ThumbHash that came before this place (as an earlier call returned it, or the
   * largest number there is), at most `limit`; it may be none although there are more.
   */
  unhashed(before: number, limit: number): Promise<UnhashedPage>;

  /** Returns the image of that name in the trash, or undefined. */
  findTrashed(filename: string): Promise<TrashedRecord | undefined>;
  /** Returns the images in the trash that match the query, the last deleted first; positions are those of deletes. */
  trashPage(query: string, request: PageRequest): Promise<TrashPage>;
  /** Returns images in the trash with a purge time up to `until` (unset: all), the first due first; at most `limit`. */
  dueTrash(limit: number, until?: number): Promise<DueTrash[]>;
  /** Returns live images that are not pinned and expire up to `until`, the first due first; at most `limit`. */
  expired(limit: number, until: number): Promise<Expired[]>;
  /**
   * Returns whether the last that happened to an image of these bytes, within about a year, was a delete; an equal image
   * may be live.
   */
  wasDeleted(sha256: string): Promise<boolean>;
  /** Returns until when nothing goes by itself, ms since 1970; 0: no such time was noted. */
  quietUntil(): Promise<number>;
  /** Notes until when nothing goes by itself. Never moves backwards. */
  setQuietUntil(time: number): Promise<void>;
  /** Returns those of the live images that were saved, or arrived otherwise, after a time, in any order. */
  arrivedSince(filenames: readonly string[], time: number): Promise<string[]>;

  /** Returns the present moment. */
  moment(): Promise<Moment>;
  /** Returns whether it can tell what it learnt and changed since: it is open since then, and has not changed too much. */
  remembers(moment: Moment): boolean;
  /** Returns those of the live images that it learnt or changed after the moment, in any order. */
  changedSince(filenames: readonly string[], moment: Moment): Promise<string[]>;
}

/**
 * The catalog of a local store and its commit point: an image exists if and only if its row is live.
 *
 * A method that changes something runs in one transaction: it is atomic, and when it resolves it survives a power cut.
 * It rejects with a CatalogError. `full` and `definite` have changed nothing; after `unknown` every further change
 * rejects, since nothing may build on an uncertain commit, and the next open decides.
 */
export interface LocalCatalog extends ImageIndex {
  /** Applies the changes in order. One that fails its check fails alone; the others are committed. */
  commit(changes: readonly Change[]): Promise<ChangeOutcome[]>;
  /** Returns the state of each of the filenames, in their order. */
  rowStates(filenames: readonly string[]): Promise<RowState[]>;

  /** Returns deleted images whose files may lie in a wrong place; at most `limit`. */
  pendingUnlinks(limit: number): Promise<PendingUnlink[]>;
  /**
   * Clears the marks of these deletes, unless the image was deleted again. Requires that the files are where they belong,
   * and their folders synced.
   */
  clearPendingUnlinks(done: readonly PendingUnlink[]): Promise<void>;
  /**
   * Forgets tombstones older than this, except those with files pending, a thousand a transaction, and arrivals as old
   * unless they are to be kept. Returns how many tombstones.
   */
  purgeTombstones(deletedBefore: number, keepsArrivals?: boolean): Promise<number>;

  /**
   * Returns live rows above the synced sequence, ascending, before the first that was created in the span; at most
   * `limit`.
   */
  unsyncedRecords(limit: number, young?: Span): Promise<UnsyncedRecord[]>;
  /** Returns the highest sequence that a row ever had, or 0. */
  lastSequence(): Promise<number>;
  /** Notes that all record files up to this sequence are on stable storage. Never moves backwards. */
  setRecordsSynced(sequence: number): Promise<void>;
  /** Returns live images whose record file may be older than the row, by an update; at most `limit`. */
  updatedRecords(limit: number): Promise<UpdatedRecord[]>;
  /** Notes that these record files are on stable storage, unless their images were updated again. */
  setUpdatedSynced(updated: readonly UpdatedRecord[]): Promise<void>;

  /**
   * Adds images that have no row; an idempotency key that is taken stays with the first image. Where the filename is
   * taken, a live image of the same save takes the labels of a record with a higher revision, and one of the trash is
   * live again. Returns how many rows it added or changed.
   */
  load(records: readonly ImageRecord[]): Promise<number>;
  /**
   * Adds the images of uploads in staging by the same rules, but none whose idempotency key an image has that is live or in
   * the trash: the upload is a repeated save that was never committed. Returns how many.
   */
  loadStaged(records: readonly ImageRecord[]): Promise<number>;
  /**
   * Adds deleted images by the same rules, and replaces the rows of those that are live or in the trash. Returns how many
   * these were.
   */
  loadDeletes(tombstones: readonly Tombstone[]): Promise<number>;
  /**
   * Puts images into the trash that have no row, and those that are live; a tombstone stays. One that is there takes the
   * later purge time. A record with a higher revision than the row gives it its labels. The files of all are to be moved.
   * Returns how many rows it added or changed.
   */
  loadTrash(records: readonly TrashedRecord[]): Promise<number>;
  /** Forgets deletes of these filenames before a time, ms since 1970. Returns how many. */
  forgetDeletes(broughtBack: readonly { filename: string; time: number }[]): Promise<number>;
  /** Raises the catalog's generation above this one. Returns it once it survives a power cut. */
  raiseGeneration(above: number): Promise<number>;
  /**
   * Copies the log of the last changes into the database: the next ones then overwrite it, and need next to no space.
   */
  copyLog(): Promise<LogState>;

  /**
   * Waits for running reads, and closes the file. `clean` requires that all record files are synced and nothing is in
   * doubt; it survives a power cut once this resolves, and the next open reports `clean`.
   */
  close(clean: boolean): Promise<void>;
}

/** Why a call of a catalog failed, in the terms a store decides by. */
export type CatalogFailure =
  /** No space: nothing of the call was applied, and it may succeed once there is some. */
  | 'full'
  /** Nothing of the call was applied. */
  | 'definite'
  /** COMMIT itself failed or the thread died: the outcome is known only once the catalog is opened again. */
  | 'unknown'
  /** The database is damaged: only a rebuild helps. */
  | 'corrupt';

export class CatalogError extends Error {
  override readonly name = 'CatalogError';
  readonly failure: CatalogFailure;

  constructor(failure: CatalogFailure, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.failure = failure;
  }
}
