/** The contract of the catalog of an object store: an index over records whose commit point is the bucket. */
import type { ImageRecord } from '../domain/record.ts';
import type { ImageIndex } from './catalog.ts';

/** What an object store keeps in place of the record of an image that is no more, or never came to be. */
export interface RecordTombstone {
  filename: string;
  /** `failed`: a save gave up, there never was an image. */
  kind: 'deleted' | 'failed';
  /** ms since 1970. */
  deleteTime: number;
  /** Of the save that made the image, or gave up. */
  nonce: string;
  /** Of the delete; empty when the save failed. */
  deleteNonce: string;
  /** Empty means none. */
  idempotencyKey: string;
  fingerprint: string;
  /** Of the image, like the next; ms since 1970. */
  createTime: number;
  timestamp: number;
  pinned: boolean;
}

/** What lies at the key of a record in a bucket. `foreign`: none of our formats. */
export type FoundRecord =
  | { kind: 'absent' }
  | { kind: 'live'; etag: string; record: ImageRecord }
  | { kind: 'tombstone'; etag: string; tombstone: RecordTombstone }
  | { kind: 'foreign'; etag: string };

/** The key of a record, as it was found last. */
export interface KnownRecord {
  filename: string;
  etag: string;
}

/** A save or delete in a bucket whose outcome is not settled yet; `cleanup` is a delete that spares what is pinned. */
export interface PendingOperation {
  nonce: string;
  kind: 'save' | 'delete' | 'cleanup';
  filename: string;
  /** Of the save. */
  idempotencyKey: string;
  /** Of the save. */
  fingerprint: string;
}

/** A tombstone whose object is to be removed once more. */
export interface DueSweep extends KnownRecord {
  /** ms since 1970. */
  deleteTime: number;
}

export type BucketChange =
  /** Before anything is sent; the next start finds it. A save whose key an image has already is not begun. */
  | { kind: 'begin'; operation: PendingOperation }
  | { kind: 'end'; nonce: string }
  /**
   * What was found at the key of a record. A tombstone is always taken over, and is due for a sweep `sweepTime`; anything
   * else only where the catalog still knows the ETag `over` (unset: nothing) for that key. An image whose idempotency key
   * another has is indexed without it.
   */
  | { kind: 'found'; filename: string; found: FoundRecord; over?: string; sweepTime?: number }
  /** When the object of a known tombstone is to be removed next; nothing where none is known. */
  | { kind: 'sweep'; filename: string; sweepTime: number }
  /** The catalog has been compared with the whole bucket. */
  | { kind: 'filled' };

/**
 * The catalog of an object store: an index over the records of a bucket, which may be lost, and the operations that are
 * not settled, which must not.
 *
 * `apply` is atomic, and durable when it resolves; every read sees it from then on. What rejects with `full` or
 * `definite` has changed nothing; after `unknown` every further change rejects, and the next open decides.
 */
export interface BucketCatalog extends ImageIndex {
  /**
   * Applies the changes in order, in one transaction. Returns for each of them, where it is a save that was not begun, the
   * image that has its key, deleted or not.
   */
  apply(changes: readonly BucketChange[]): Promise<(ImageRecord | undefined)[]>;
  /** Returns the image that was saved with this key, deleted or not. */
  findByKey(idempotencyKey: string): Promise<{ record: ImageRecord; deleted: boolean } | undefined>;
  /** Returns whether it was ever compared with the whole bucket. */
  isFilled(): Promise<boolean>;
  /** Returns all operations that were begun and not ended. */
  pendingOperations(): Promise<PendingOperation[]>;
  /** Returns what was found last at the key of this image's record; undefined for nothing. */
  known(filename: string): Promise<KnownRecord | undefined>;
  /** Returns in the order of the keys of their records those behind `after`, up to and including `upTo`; at most `limit`. */
  knownBetween(range: { after?: string; upTo?: string; limit: number }): Promise<KnownRecord[]>;
  /** Returns the tombstones whose time has come, the longest due first; at most `limit`. */
  dueSweeps(now: number, limit: number): Promise<DueSweep[]>;

  /** Waits for the reads that run, and frees the file. `clean` requires that no change is in doubt; the next open says so. */
  close(clean: boolean): Promise<void>;
}
