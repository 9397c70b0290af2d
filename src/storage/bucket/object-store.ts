/** The contract of an object store: the five primitives that the protocol of object-storage.ts is built on. */
import type { Readable } from 'node:stream';

/** Bytes to be sent, as often as it takes. */
export interface Payload {
  size: number;
  /** Lower-case hex. */
  sha256: string;
  /** The bytes from their beginning; each call gives them anew. */
  open(): AsyncIterable<Uint8Array> | Iterable<Uint8Array>;
}

/** What is kept beside the bytes of an object. */
export interface ObjectHeaders {
  contentType: string;
  cacheControl?: string;
  contentDisposition?: string;
  /** Names and values in ASCII, names in lower case. */
  metadata?: Record<string, string>;
}

export interface ByteRange {
  /** First byte. */
  offset: number;
  /** At least 1; less is given where the object ends before. */
  length: number;
}

export interface StoredObject {
  etag: string;
  /** Of the whole object, whatever the range. */
  size: number;
  metadata: Record<string, string>;
  /** To be read to its end or destroyed. Errors of the connection surface here as they are; it may also end early. */
  body: Readable;
}

export interface ListedObject {
  key: string;
  etag: string;
  size: number;
  /** ms since 1970, by the clock of the store. */
  lastModified: number;
}

export interface ObjectPage {
  /** In the order of the bytes of their keys. */
  objects: ListedObject[];
  /** Something may follow behind the last of them. */
  more: boolean;
}

/**
 * Objects by key, in one bucket below one prefix, which the keys here leave out.
 *
 * Promises: a write is atomic, whole or not at all, and durable once its call resolves; reads and lists see every write
 * that had resolved before they were called. Of writes that race for one key, at most one wins each precondition. ETags
 * are opaque, equal in answers and lists, and differ where the bytes differ. Every method rejects with an
 * ObjectStoreError; a write that rejects with `maybeApplied` may have happened or may still happen, any other did not.
 */
export interface ObjectStore {
  /** Which store this is, in words for people: endpoint, bucket and prefix, never a secret. */
  readonly location: string;

  /** Creates an object. `precondition`: there is one, which may be the fruit of an earlier attempt of the same call. */
  putNew(key: string, body: Payload, headers: ObjectHeaders): Promise<{ etag: string }>;
  /** Overwrites the object of that ETag. `precondition`: another ETag, perhaps that of our own earlier attempt. `not_found`. */
  replaceIf(key: string, body: Payload, headers: ObjectHeaders, etag: string): Promise<{ etag: string }>;
  /** `not_found`. A range that begins behind the end of the object is the caller's error. */
  get(key: string, range?: ByteRange): Promise<StoredObject>;
  /** The next objects whose key begins with the prefix and lies behind `after`; usually 1,000. */
  list(prefix: string, after?: string): Promise<ObjectPage>;
  /** Resolves also where there is no such object. */
  remove(key: string): Promise<void>;
  /** Ends what is under way, which may have been applied, and frees connections; later calls fail. Idempotent. */
  close?(): void;
}

/** Why a call failed, in the terms a protocol decides by. */
export type ObjectFailure =
  | 'precondition'
  | 'not_found'
  /** Unreachable, overloaded, timed out, failed within, or in conflict with another write to the key; trying again may help. */
  | 'unavailable'
  /** The credentials are wrong or do not permit it. */
  | 'auth'
  /** No such bucket, or a store that lacks what the protocol needs. */
  | 'misconfigured';

export interface ObjectStoreErrorOptions {
  maybeApplied?: boolean;
  /** Default `store`. */
  scope?: 'request' | 'store';
  cause?: unknown;
}

/** `message` says what to change; no path, stack or secret. */
export class ObjectStoreError extends Error {
  override readonly name = 'ObjectStoreError';
  readonly failure: ObjectFailure;
  /** The write may have happened, or may still. */
  readonly maybeApplied: boolean;
  /** `request`: this one is refused, and others may be granted; for want of a permission, or as too large. */
  readonly scope: 'request' | 'store';

  constructor(
    failure: ObjectFailure,
    message: string,
    { maybeApplied = false, scope = 'store', cause }: ObjectStoreErrorOptions = {},
  ) {
    super(message, cause === undefined ? undefined : { cause });
    this.failure = failure;
    this.maybeApplied = maybeApplied;
    this.scope = scope;
  }
}

/** Whether it failed for this reason. */
export function failedWith(error: unknown, ...failures: ObjectFailure[]): error is ObjectStoreError {
  return error instanceof ObjectStoreError && failures.includes(error.failure);
}
