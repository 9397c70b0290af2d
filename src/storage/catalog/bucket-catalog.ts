/** The contract of the catalog of an object store: an index over records whose commit point is the bucket. */
import type { IndexLoad } from '../domain/meter.ts';
import type { ImageRecord, TrashTimes } from '../domain/record.ts';
import type { EarlierSave, ImageIndex } from './catalog.ts';
import type { SearchedText } from './searched-text.ts';

/** Replaces the record of an image that was deleted, or whose save failed. */
export interface RecordTombstone {
  filename: string;
  /** `failed`: a save gave up, and no image ever existed. */
  kind: 'deleted' | 'failed';
  /** ms since 1970. */
  deleteTime: number;
  /** The nonce of the save that made the image, or gave up. */
  nonce: string;
  /** The nonce of the delete; empty when the save failed. */
  deleteNonce: string;
  /** Empty means none. */
  idempotencyKey: string;
  fingerprint: string;
  /** The image's, as the fields below; ms since 1970. */
  createTime: number;
  timestamp: number;
  pinned: boolean;
}

/** Replaces the record of an image in the trash, whose object stays. */
export interface RecordInTrash extends TrashTimes {
  /** As it was, and as it is again when the image is brought back, but for its revision and its expire time. */
  record: ImageRecord;
  /** The nonce of the delete. */
  deleteNonce: string;
}

/** The object at the key of a record; `foreign`: not in a format of ours. */
export type FoundRecord =
  | { kind: 'absent' }
  | { kind: 'live'; etag: string; record: ImageRecord }
  | { kind: 'trashed'; etag: string; trashed: RecordInTrash }
  | { kind: 'tombstone'; etag: string; tombstone: RecordTombstone }
  | { kind: 'foreign'; etag: string };

/** The record of an image, and the ETag that it was last found with. */
export interface KnownRecord {
  filename: string;
  etag: string;
}

/** The ETag of an image whose record is gone from the bucket although no daemon deleted it. */
export const MISSING_ETAG = '';

/** A record of the catalog, in the order of its key. */
export interface ListedRecord extends KnownRecord {
  /** A tombstone. */
  deleted: boolean;
}

/** What the catalog notes of its bucket. */
export interface BucketNotes {
  /** When the last comparison with the whole bucket began, in ms since 1970. Unset: never, or by an older version. */
  comparedAt?: number;
  /** The bucket passed the probe of conditional writes and listings. */
  probed: boolean;
}

/** An operation in a bucket whose outcome is not settled yet; `cleanup` is a delete that spares what is pinned. */
export interface PendingOperation {
  nonce: string;
  kind: 'save' | 'delete' | 'cleanup' | 'update' | 'restore' | 'purge';
  filename: string;
  /** Of the save. */
  idempotencyKey: string;
  /** Of the save. */
  fingerprint: string;
  /**
   * Of a delete, restore or purge: the nonce of the last delete that had put the image into the trash when this one began;
   * unset: none had. Where another one has since, this one is not carried out any more.
   */
  lastDelete?: string;
  /** Of a delete into the trash: for how long. */
  keepMs?: number;
}

/** A tombstone whose object is due to be removed again. */
export interface DueSweep extends KnownRecord {
  /** ms since 1970. */
  deleteTime: number;
}

/** A change of the catalog of an object store. */
export type BucketChange =
  /**
   * Written before the first request, for the next start to find. A save whose idempotency key is used is not begun.
   */
  | { kind: 'begin'; operation: PendingOperation }
  | { kind: 'end'; nonce: string }
  /**
   * The object that was found at the key of a record. A tombstone is always applied, and swept at `sweepTime`; anything
   * else is applied only while `over` is the ETag that the catalog knows for that key (unset: none), or where it follows
   * on what the catalog has of the image: a later revision, or its trash. An image whose idempotency key another image has
   * is indexed without it. `arrival` is the time now: that of an image which is live or unpinned by it; unset for one that
   * was saved here. `searched`: what is searched of a live image, where that is at hand.
   */
  | {
      kind: 'found';
      filename: string;
      found: FoundRecord;
      over?: string;
      sweepTime?: number;
      arrival?: number | undefined;
      searched?: SearchedText;
    }
  /** Sets when the object of a tombstone is removed next; does nothing when no tombstone is known. */
  | { kind: 'sweep'; filename: string; sweepTime: number }
  /** Marks a live image whose record is gone, while `over` is the ETag that the catalog knows. The image stays live. */
  | { kind: 'missing'; filename: string; over: string }
  /**
   * The catalog has been compared with the whole bucket, beginning at `comparedAt`. Forgets old arrivals. `epoch`: that of a
   * shared index when the comparison began; where it has another one by now, the group fails.
   */
  | { kind: 'filled'; comparedAt?: number; epoch?: string | undefined }
  /** The bucket has passed the probe. */
  | { kind: 'probed' };

/** A change that a comparison with the bucket makes. */
export type FoundChange = Extract<BucketChange, { kind: 'found' | 'missing' }>;

/**
 * The catalog of an object store: an index over its records, which the bucket can fill again, and the operations that a
 * crash leaves open.
 *
 * `apply` is atomic, and when it resolves it survives a power cut. It rejects with a CatalogError. `full` and
 * `definite` have changed nothing; after `unknown` every further change rejects, and the next open decides.
 */
export interface BucketCatalog extends ImageIndex {
  /**
   * Applies the changes in order, in one transaction. Returns for each save that was not begun the image that has its
   * key, deleted or not, and undefined for every other change.
   */
  apply(changes: readonly BucketChange[]): Promise<(EarlierSave | undefined)[]>;
  /**
   * As `apply`, of a catalog that is not filled: what it writes survives a power cut only once a later `apply` does. Several
   * may run at once.
   */
  fill(changes: readonly FoundChange[]): Promise<void>;
  /** Returns the image that was saved with this key, deleted or not, or undefined. */
  findByKey(idempotencyKey: string): Promise<EarlierSave | undefined>;
  /** Returns whether the catalog was ever compared with the whole bucket. */
  isFilled(): Promise<boolean>;
  notes(): Promise<BucketNotes>;
  /** Returns all operations that were begun and not ended. */
  pendingOperations(): Promise<PendingOperation[]>;
  /** Returns the record of this image as it was found last, or undefined when none was. */
  known(filename: string): Promise<KnownRecord | undefined>;
  /**
   * Returns the records with keys above `after` up to and including `upTo`, in the order of their keys; at most
   * `limit`.
   */
  knownBetween(range: { after?: string; upTo?: string; limit: number }): Promise<ListedRecord[]>;
  /** Returns the tombstones that are due, the longest due first; at most `limit`. */
  dueSweeps(now: number, limit: number): Promise<DueSweep[]>;

  /** Waits for running reads, and closes the file. `clean` requires that no change is in doubt. */
  close(clean: boolean): Promise<void>;
}

/** Where an index stands; kept in the bucket, too, by which an index that was restored or emptied is found out. */
export interface IndexMark {
  incarnation: string;
  /** The highest number that a change had. */
  change: number;
}

/** How far the comparison of a shared index with its bucket has come, for whichever daemon goes on with it. */
export interface WalkPosition {
  /** That of the index when it began. */
  epoch: string;
  /** ms since 1970. */
  beganAt: number;
  /** The records up to this key have been compared. */
  upTo: string;
  /** How many of their images have no record any more. */
  missing: number;
}

/**
 * A catalog whose index all daemons of a bucket share, and that may be out of reach, or behind the bucket: lists and sums
 * reject then with INDEX_UNAVAILABLE. `apply` resolves all the same, and what it was given is written later; operations that
 * are not written stay pending.
 */
export interface SharedCatalog extends BucketCatalog {
  /** Rejects with INDEX_UNAVAILABLE where the index cannot be reached. */
  readonly strict: Pick<BucketCatalog, 'apply' | 'fill'>;
  /** Returns what is read, or rejects with INDEX_UNAVAILABLE where that takes longer than a call may wait for it. */
  inTime<T>(read: () => Promise<T>): Promise<T>;
  /** Rejects with INDEX_UNAVAILABLE where it cannot tell whether a save has this key. */
  checkKey(idempotencyKey: string): Promise<void>;
  /** Operations that are settled, and not written yet. */
  readonly waiting: number;
  /** For metrics. */
  readonly load: IndexLoad;
  /** Looks where the index stands, and returns it. Where it is behind what was seen, its lists wait for a comparison. */
  look(): Promise<{ mark: IndexMark; isFilled: boolean }>;
  /** Returns another text whenever the index was found to be behind: a comparison that began before is not enough. */
  epoch(): Promise<string>;
  /** Returns whether it is time for this daemon to do what one of all does, so many ms after it was last begun. */
  claim(work: string, everyMs: number, now: number): Promise<boolean>;
  /**
   * Runs the work, and returns true, unless another daemon does the same work now. Whoever is killed, or loses its
   * connection, leaves it to the next: two may do it at once then.
   */
  alone(work: string, run: () => Promise<void>): Promise<boolean>;
  /**
   * Says that this daemon is there, and whether rows of it wait: where none does, and `owes` returns false, all that it has
   * acknowledged is in the index.
   */
  answerCall(owes: () => boolean): Promise<void>;
  /**
   * Returns whether the index has all that any daemon had acknowledged when this was called; false also where that is not
   * known: a comparison that begins now tells. Requires that this daemon owes nothing else.
   */
  isWhole(): Promise<boolean>;
  /** Returns where a comparison stopped that nobody has completed. */
  walkPosition(): Promise<WalkPosition | undefined>;
  noteWalk(position: WalkPosition): Promise<void>;
}
