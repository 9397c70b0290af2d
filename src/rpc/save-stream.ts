/**
 * Splits the request stream of a Save into header, bytes and trailer, and gives up on a client that stalls or leaves.
 */
import type { SaveHeader, SaveRequest } from '../../gen/imagestorage/v1/image_storage_pb.ts';
import { unlessCancelled } from '../storage/async/byte-source.ts';
import { StorageError } from '../storage/domain/errors.ts';
import type { ByteBatch, Declared } from '../storage/domain/requests.ts';
import { cancelled, type Messages } from './call.ts';
import { declaredOf } from './convert.ts';
import { checkEmptyChunks } from './empty-chunks.ts';
import { foldReadError } from './errors.ts';

/** The size from which Node allocates no buffer from a shared pool. */
const RELEASED_BYTES = 64 * 1024;
/** The tag and the length before the bytes of a chunk. */
const MESSAGE_OVERHEAD_BYTES = 16;

/** How much and how long a Save may take. */
export interface SaveStreamLimits {
  maxChunkBytes: number;
  /** How long the header may take to arrive. */
  firstMessageMs: number;
  /** How long the next message may take, counted only while the daemon waits for it. */
  chunkGapMs: number;
  /** How long the client may take for the whole stream. */
  saveMs: number;
}

/** The messages of a Save, as a protocol receives them. Its bytes end when the client has half-closed. */
export interface IncomingSave extends AsyncIterable<Uint8Array | ByteBatch> {
  /** Rejects with FIRST_MESSAGE_NOT_HEADER. */
  header(): Promise<SaveHeader>;
  /** Of the trailer; empty until it has been read. */
  readonly declared: Declared;
  stopTimers(): void;
}

/** The request of a Save. */
export interface SaveStream {
  header: SaveHeader;
  /** The image's bytes, readable once; ends when the client has half-closed. */
  chunks: AsyncIterable<Uint8Array | ByteBatch>;
  /** Returns what the client declared behind the last chunk; to be called once `chunks` has ended. */
  trailer: () => Declared;
  /** Aborted with a StorageError when the client leaves or takes too long. */
  signal: AbortSignal;
}

/**
 * Calls `store` with the stream once the header is there, and returns its result. No timer runs beyond the end of the
 * stream or of `store`. Rejects with FIRST_MESSAGE_NOT_HEADER, MESSAGE_OUT_OF_ORDER, MESSAGE_TOO_LARGE, SAVE_STALLED or
 * CANCELLED.
 */
export function receiveSave<T>(
  requests: AsyncIterable<SaveRequest>,
  limits: SaveStreamLimits,
  callSignal: AbortSignal,
  store: (stream: SaveStream) => Promise<T>,
  messages: Messages,
): Promise<T> {
  return storeIncoming((stop) => new SaveMessages(requests, limits, stop, messages), callSignal, store);
}

/** The same for any protocol. Who gives up on a client aborts the controller with the reason. */
export async function storeIncoming<T>(
  receive: (stop: AbortController) => IncomingSave,
  callSignal: AbortSignal,
  store: (stream: SaveStream) => Promise<T>,
): Promise<T> {
  const stop = new AbortController();
  const { signal } = stop;
  const onCallEnd = () => stop.abort(cancelled(callSignal.reason));
  callSignal.addEventListener('abort', onCallEnd, { once: true });
  if (callSignal.aborted) onCallEnd();
  const messages = receive(stop);
  try {
    const header = await unlessCancelled(messages.header(), signal);
    return await store({ header, chunks: messages, trailer: () => messages.declared, signal });
  } catch (error) {
    throw isCancelled(error) && signal.aborted ? signal.reason : error;
  } finally {
    messages.stopTimers();
    callSignal.removeEventListener('abort', onCallEnd);
  }
}

/**
 * Reads the messages of one Save; iterates over its chunks. A read that takes too long aborts `stop` and does not settle
 * by itself: its reader gives up by the signal.
 */
class SaveMessages implements IncomingSave, AsyncIterableIterator<Uint8Array, undefined> {
  /** Empty until the trailer has been read. */
  declared: Declared = {};
  readonly #iterator: AsyncIterator<SaveRequest>;
  readonly #limits: SaveStreamLimits;
  readonly #stop: AbortController;
  readonly #messages: Messages;
  readonly #wholeSave: NodeJS.Timeout;
  #nextMessage: NodeJS.Timeout | undefined;
  /** The last chunk; its buffer is freed when the next one is requested. */
  #given: Uint8Array | undefined;
  #hasTrailer = false;
  #empty = 0;

  constructor(
    requests: AsyncIterable<SaveRequest>,
    limits: SaveStreamLimits,
    stop: AbortController,
    messages: Messages,
  ) {
    this.#iterator = requests[Symbol.asyncIterator]();
    this.#limits = limits;
    this.#stop = stop;
    this.#messages = messages;
    this.#wholeSave = this.#stopAfter(limits.saveMs, 'the whole save');
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async header(): Promise<SaveHeader> {
    const payload = await this.#read(this.#limits.firstMessageMs);
    return headerOf(payload);
  }

  async next(): Promise<IteratorResult<Uint8Array, undefined>> {
    if (this.#given !== undefined) release(this.#given);
    for (;;) {
      const payload = await this.#read(this.#limits.chunkGapMs);
      if (payload === undefined) break;
      this.#given = this.#chunkOf(payload);
      if (this.#given !== undefined) return { done: false, value: this.#given };
    }
    this.stopTimers();
    return { done: true, value: undefined };
  }

  stopTimers(): void {
    clearTimeout(this.#wholeSave);
    clearTimeout(this.#nextMessage);
  }

  /** Returns undefined at the end of the stream. */
  async #read(waitMs: number): Promise<SaveRequest['payload'] | undefined> {
    this.#nextMessage = this.#stopAfter(waitMs, 'the next message');
    try {
      const { done, value } = await this.#iterator.next();
      if (done) return undefined;
      this.#messages.received += 1;
      return value.payload;
    } catch (error) {
      throw foldReadError(error);
    } finally {
      clearTimeout(this.#nextMessage);
    }
  }

  /** Returns undefined for a message without bytes. */
  #chunkOf(payload: SaveRequest['payload']): Uint8Array | undefined {
    if (this.#hasTrailer) throw outOfOrder('nothing follows a trailer');
    if (payload.case === 'chunk') {
      checkChunk(payload.value.length, this.#limits.maxChunkBytes);
      if (payload.value.length > 0) return payload.value;
      this.#empty += 1;
      checkEmptyChunks(this.#empty);
      return undefined;
    }
    this.declared = trailerOf(payload);
    this.#hasTrailer = true;
    return undefined;
  }

  #stopAfter(waitMs: number, forWhat: string): NodeJS.Timeout {
    return setTimeout(() => this.#stop.abort(stalled(waitMs, forWhat)), waitMs);
  }
}

/**
 * Frees a used chunk at once: left to the garbage collector, chunks pile up, 64 MB at a time. Frees only one that fills
 * the buffer of its message: smaller ones may share theirs with others.
 */
function release({ buffer, byteLength }: Uint8Array): void {
  const isAlone = byteLength >= RELEASED_BYTES && buffer.byteLength - byteLength <= MESSAGE_OVERHEAD_BYTES;
  if (isAlone) (buffer as ArrayBuffer).transfer(0);
}

/** Returns the header, which the first message must be. */
export function headerOf(payload: SaveRequest['payload'] | undefined): SaveHeader {
  if (payload?.case === 'header') return payload.value;
  throw notHeader();
}

export function notHeader(): StorageError {
  return new StorageError('FIRST_MESSAGE_NOT_HEADER', 'a Save begins with its header');
}

/** Returns what the trailer declares, which a message behind the first must be, if it is no chunk. */
export function trailerOf(payload: SaveRequest['payload']): Declared {
  if (payload.case === 'trailer') return declaredOf(payload.value);
  throw outOfOrder(payload.case === 'header' ? 'a Save has one header' : 'a message carries nothing');
}

export function checkChunk(bytes: number, maxBytes: number): void {
  if (bytes <= maxBytes) return;
  throw new StorageError('MESSAGE_TOO_LARGE', `a chunk of ${bytes} bytes, at most ${maxBytes} are accepted`);
}

export function outOfOrder(message: string): StorageError {
  return new StorageError('MESSAGE_OUT_OF_ORDER', message);
}

export function stalled(waitedMs: number, forWhat: string): StorageError {
  return new StorageError('SAVE_STALLED', `waited ${waitedMs / 1000} s for ${forWhat}`);
}

function isCancelled(error: unknown): boolean {
  return error instanceof StorageError && error.reason === 'CANCELLED';
}
