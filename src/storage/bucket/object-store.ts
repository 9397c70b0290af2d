/** The contract of an object store: the five primitives that the protocol of object-storage.ts is built on. */
import type { Readable } from 'node:stream';

/** Bytes to send, readable again for each attempt. */
export interface Payload {
  size: number;
  /** Lower-case hex. */
  sha256: string;
  /** Returns the bytes from their beginning, on every call. */
  open(): AsyncIterable<Uint8Array> | Iterable<Uint8Array>;
}

/** The headers and metadata stored with an object. */
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
  /** At least 1; fewer bytes come back where the object ends before. */
  length: number;
}

export interface StoredObject {
  etag: string;
  /** Of the whole object, whatever the range. */
  size: number;
  metadata: Record<string, string>;
  /** Must be read to its end or destroyed. Connection errors surface here untranslated; it may also end early. */
  body: Readable;
}

export interface ListedObject {
  key: string;
  etag: string;
  size: number;
  /** ms since 1970, by the store's clock. */
  lastModified: number;
}

export interface ObjectPage {
  /** In the byte order of their keys. */
  objects: ListedObject[];
  /** More objects may follow the last one. */
  more: boolean;
}

/**
 * Objects by key, in one bucket below one prefix; keys do not include the prefix.
 *
 * Promises: a write is atomic, and durable once its call resolves; reads and lists see every write that resolved before
 * they were called. Of concurrent writes to one key, at most one wins each precondition. ETags are opaque, equal in
 * answers and lists, and differ where the bytes differ. Every method rejects with an ObjectStoreError; a write that
 * rejects with `maybeApplied` may have happened or may still happen, any other did not.
 */
export interface ObjectStore {
  /** Names the store for people: endpoint, bucket and prefix, never a secret. */
  readonly location: string;

  /** Creates an object. Rejects with `precondition` on an existing one, perhaps from an earlier attempt of the call. */
  putNew(key: string, body: Payload, headers: ObjectHeaders): Promise<{ etag: string }>;
  /**
   * Overwrites the object with this ETag. Rejects with `precondition` on another ETag, perhaps from an earlier attempt
   * of the call, or with `not_found`.
   */
  replaceIf(key: string, body: Payload, headers: ObjectHeaders, etag: string): Promise<{ etag: string }>;
  /** Rejects with `not_found`. Requires a range that begins before the end of the object. */
  get(key: string, range?: ByteRange): Promise<StoredObject>;
  /** Returns the next objects whose keys have the prefix and follow `after`; usually 1,000. */
  list(prefix: string, after?: string): Promise<ObjectPage>;
  /** Removes the object; resolves also where there is none. */
  remove(key: string): Promise<void>;
  /** Aborts calls in progress, which may have been applied, and frees connections; later calls fail. Idempotent. */
  close?(): void;
}

/** Why a call failed, in the terms a protocol decides by. */
export type ObjectFailure =
  | 'precondition'
  | 'not_found'
  /**
   * Unreachable, overloaded, timed out, failed internally, or in conflict with a write to the key; a retry may help.
   */
  | 'unavailable'
  /** The credentials are wrong or lack a permission. */
  | 'auth'
  /** No such bucket, or a store that lacks what the protocol needs. */
  | 'misconfigured';

/** What the service itself said of a failed request. */
export interface ServiceAnswer {
  /** The HTTP status. */
  status: number;
  /** Such as `SlowDown`; letters, digits, `.`, `_` and `-`, at most 64. */
  code?: string;
  /** Names no key id, signature or canonical request; at most 300 characters. */
  message?: string;
}

export interface ObjectStoreErrorOptions {
  maybeApplied?: boolean;
  /** Default `store`. */
  scope?: 'request' | 'store';
  /** Follows the message in words. */
  answer?: ServiceAnswer;
  cause?: unknown;
}

/** `message` says what to change, and then what the service said; no path, stack or secret. */
export class ObjectStoreError extends Error {
  override readonly name = 'ObjectStoreError';
  readonly failure: ObjectFailure;
  /** The write may have happened or may still happen. */
  readonly maybeApplied: boolean;
  /** `request`: only this request is refused, for lack of a permission or as too large; others may succeed. */
  readonly scope: 'request' | 'store';
  /** The message without the words of the service. */
  readonly guess: string;
  readonly answer: ServiceAnswer | undefined;

  constructor(
    failure: ObjectFailure,
    guess: string,
    { maybeApplied = false, scope = 'store', answer, cause }: ObjectStoreErrorOptions = {},
  ) {
    super(guess + inWords(answer), cause === undefined ? undefined : { cause });
    this.guess = guess;
    this.answer = answer;
    this.failure = failure;
    this.maybeApplied = maybeApplied;
    this.scope = scope;
  }
}

const MAY_PASS: readonly number[] = [408, 409, 425, 429];

/** Returns whether a status says that the same request will be refused again. */
export function isFinal(status: number): boolean {
  return status >= 400 && status < 500 && !MAY_PASS.includes(status);
}

/** `; the service answered 403 AccessDenied: Access Denied` */
function inWords(answer: ServiceAnswer | undefined): string {
  if (answer === undefined) return '';
  const { status, code, message } = answer;
  return `; the service answered ${status}${code ? ` ${code}` : ''}${message ? `: ${message}` : ''}`;
}

/** Returns whether the error is an ObjectStoreError with one of these failures. */
export function failedWith(error: unknown, ...failures: ObjectFailure[]): error is ObjectStoreError {
  return error instanceof ObjectStoreError && failures.includes(error.failure);
}
