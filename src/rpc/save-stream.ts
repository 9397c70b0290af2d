/** Takes the request stream of a Save apart: header, bytes, trailer; and gives up on a client that stalls or leaves. */
import type { SaveHeader, SaveRequest } from '../../gen/imagestorage/v1/image_storage_pb.ts';
import { StorageError } from '../storage/domain/errors.ts';
import type { Declared } from '../storage/domain/requests.ts';
import { cancelled } from './call.ts';
import { declaredOf } from './convert.ts';

/** What Node never allocates from a shared pool. */
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

/** What a client sends in a Save. */
export interface SaveStream {
  header: SaveHeader;
  /** The image's bytes, readable once; ends when the client has half-closed. */
  chunks: AsyncIterable<Uint8Array>;
  /** What the client declared behind the last chunk; ask once `chunks` has ended. */
  trailer: () => Declared;
  /** Aborted with a StorageError when the client leaves or takes too long. */
  signal: AbortSignal;
}

type Requests = AsyncIterable<SaveRequest>;
/** The next request, or undefined at the end of the stream. */
type ReadRequest = (waitMs: number) => Promise<SaveRequest | undefined>;

/**
 * Hands the stream to `store` once the header is there. No timer runs beyond the end of the stream or of `store`.
 * Rejects with FIRST_MESSAGE_NOT_HEADER, MESSAGE_OUT_OF_ORDER, MESSAGE_TOO_LARGE, SAVE_STALLED or CANCELLED.
 */
export async function receiveSave<T>(
  requests: Requests,
  limits: SaveStreamLimits,
  callSignal: AbortSignal,
  store: (stream: SaveStream) => Promise<T>,
): Promise<T> {
  const stop = new AbortController();
  const onCallEnd = () => stop.abort(cancelled(callSignal.reason));
  callSignal.addEventListener('abort', onCallEnd, { once: true });
  if (callSignal.aborted) onCallEnd();
  const wholeSave = setTimeout(() => stop.abort(stalled(limits.saveMs, 'the whole save')), limits.saveMs);
  try {
    const read = readerOf(requests, stop.signal);
    return await store(await openStream(read, limits, stop.signal, () => clearTimeout(wholeSave)));
  } catch (error) {
    throw isCancelled(error) && stop.signal.aborted ? stop.signal.reason : error;
  } finally {
    clearTimeout(wholeSave);
    callSignal.removeEventListener('abort', onCallEnd);
  }
}

async function openStream(
  read: ReadRequest,
  limits: SaveStreamLimits,
  signal: AbortSignal,
  onEnd: () => void,
): Promise<SaveStream> {
  const first = (await read(limits.firstMessageMs))?.payload;
  if (first?.case !== 'header') throw new StorageError('FIRST_MESSAGE_NOT_HEADER', 'a Save begins with its header');
  let declared: Declared = {};

  async function* chunks(): AsyncGenerator<Uint8Array> {
    let ended = false;
    for (;;) {
      const payload = (await read(limits.chunkGapMs))?.payload;
      if (payload === undefined) break;
      if (ended) throw outOfOrder('nothing follows a trailer');
      if (payload.case === 'trailer') {
        declared = declaredOf(payload.value);
        ended = true;
      } else if (payload.case === 'chunk') {
        checkChunk(payload.value, limits.maxChunkBytes);
        if (payload.value.length > 0) yield payload.value;
        release(payload.value);
      } else {
        throw outOfOrder(payload.case === 'header' ? 'a Save has one header' : 'a message carries nothing');
      }
    }
    onEnd();
  }
  return { header: first.value, chunks: chunks(), trailer: () => declared, signal };
}

/** Reads on, for as long as the client may take and the signal allows. */
function readerOf(requests: Requests, signal: AbortSignal): ReadRequest {
  const iterator = requests[Symbol.asyncIterator]();
  return (waitMs) =>
    new Promise((resolve, reject) => {
      const onAbort = () => reject(signal.reason);
      if (signal.aborted) return onAbort();
      signal.addEventListener('abort', onAbort, { once: true });
      const timer = setTimeout(() => reject(stalled(waitMs, 'the next message')), waitMs);
      const settled = () => {
        clearTimeout(timer);
        signal.removeEventListener('abort', onAbort);
      };
      iterator
        .next()
        .then(({ done, value }) => resolve(done ? undefined : value), reject)
        .finally(settled);
    });
}

/**
 * Frees a chunk that nobody reads any more at once: left to the garbage collector, chunks pile up by the 64 MB. Only one
 * that fills the buffer of its message: smaller ones may share theirs with others.
 */
function release({ buffer, byteLength }: Uint8Array): void {
  const isAlone = byteLength >= RELEASED_BYTES && buffer.byteLength - byteLength <= MESSAGE_OVERHEAD_BYTES;
  if (isAlone) (buffer as ArrayBuffer).transfer(0);
}

function checkChunk(chunk: Uint8Array, maxBytes: number): void {
  if (chunk.length <= maxBytes) return;
  throw new StorageError('MESSAGE_TOO_LARGE', `a chunk of ${chunk.length} bytes, at most ${maxBytes} are accepted`);
}

function outOfOrder(message: string): StorageError {
  return new StorageError('MESSAGE_OUT_OF_ORDER', message);
}

function stalled(waitedMs: number, forWhat: string): StorageError {
  return new StorageError('SAVE_STALLED', `waited ${waitedMs / 1000} s for ${forWhat}`);
}

function isCancelled(error: unknown): boolean {
  return error instanceof StorageError && error.reason === 'CANCELLED';
}
