/** Makes a ZIP archive of images while it is sent: each is known to be sound before its entry begins. */
import { crc32 } from 'node:zlib';
import type { CallMemory } from '../rpc/memory.ts';
import { closedOn } from '../rpc/routes.ts';
import { turnOf } from '../storage/async/fair-turn.ts';
import type { Caller } from '../storage/domain/caller.ts';
import { type StorageError, throwIfCancelled, toStorageError } from '../storage/domain/errors.ts';
import type { StoredImage } from '../storage/domain/image.ts';
import { CHUNK_BYTES } from '../storage/transfer/body.ts';
import type { Storage } from '../storage/types.ts';
import { ZipRecords } from './zip-records.ts';

/** Images up to this are read once, and larger ones twice. */
const KEPT_BYTES = 4 * 1024 * 1024;
const LIST_OF_MISSING = 'MISSING.txt';
const MAX_NAME_CHARACTERS = 200;
const CONTROL = /\p{C}/gu;

/** An image as it is asked for. */
export interface ImageName {
  filename: string;
  /** Its provider's name. */
  provider: string;
}

/** One that is there. */
export interface FoundImage extends ImageName {
  sizeBytes: number;
  time: Date;
}

/** One that is left out. */
export interface MissingImage extends ImageName {
  error: StorageError;
}

export interface ArchiveOptions {
  storage: Pick<Storage, 'get'>;
  memory: CallMemory;
  caller: Caller;
  /** Fires when nobody waits for the archive any more. */
  signal: AbortSignal;
}

/** A sound image. */
interface Checked {
  crc32: number;
  /** The bytes again, each piece until the next is asked for. */
  bytes: AsyncIterable<Uint8Array> | Iterable<Uint8Array>;
}

export class ZipArchive {
  /** In the order in which they were asked for. */
  readonly found: FoundImage[] = [];
  readonly missing: MissingImage[] = [];
  readonly #options: ArchiveOptions;
  /** Providers that do not answer, which are not asked for each of their images. */
  readonly #down = new Map<string, StorageError>();

  constructor(options: ArchiveOptions) {
    this.#options = options;
  }

  /** Looks for an image. Rejects with FIELD_INVALID or PROVIDER_NOT_FOUND. */
  async add(name: ImageName): Promise<void> {
    const found = await this.#get(name).catch((error) => this.#leftOut(name, error));
    if (found === undefined) return;
    const { size: sizeBytes, metadata } = found.item;
    this.found.push({ ...name, sizeBytes, time: metadata.timestamp });
  }

  /** Of all images that were found. */
  get bytes(): number {
    return this.found.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  }

  /** What `pieces` takes of memory. */
  get cost(): number {
    return this.#roomBytes + 2 * CHUNK_BYTES;
  }

  get #roomBytes(): number {
    return this.found.reduce((most, { sizeBytes }) => Math.max(most, Math.min(sizeBytes, KEPT_BYTES)), 0);
  }

  /**
   * Yields the archive, each piece until the next is asked for. Leaves out what cannot be read, and what is not as it was
   * saved; throws where that shows only when the entry of a large image has begun.
   */
  async *pieces(): AsyncGenerator<Uint8Array> {
    const records = new ZipRecords();
    const room = Buffer.allocUnsafeSlow(this.#roomBytes);
    const nameOf = namer();
    for (const image of this.found) {
      const checked = await this.#check(image, room).catch((error) => this.#leftOut(image, error));
      if (checked === undefined) continue;
      const { sizeBytes, time } = image;
      yield records.begin({ name: nameOf(image), sizeBytes, time, crc32: checked.crc32 });
      yield* checked.bytes;
    }
    if (this.missing.length > 0) yield* this.#listOfMissing(records);
    yield records.end();
  }

  /** Reads an image once, into the room where it fits, and returns it once it is known to be sound. */
  async #check(image: FoundImage, room: Buffer): Promise<Checked> {
    const { sizeBytes } = image;
    const isKept = sizeBytes <= room.length;
    let crc = 0;
    let at = 0;
    for await (const piece of await this.#bytesOf(image)) {
      crc = crc32(piece, crc);
      if (isKept) room.set(piece, at);
      at += piece.length;
    }
    if (isKept) return { crc32: crc, bytes: slicesOf(room.subarray(0, sizeBytes)) };
    const bytes = await this.#bytesOf(image);
    // Opens the file: from here on, a delete does not take it away.
    const first = await bytes.next();
    return { crc32: crc, bytes: withFirst(first, bytes) };
  }

  async #bytesOf(image: ImageName): Promise<AsyncGenerator<Uint8Array>> {
    const { body } = await this.#get(image);
    const { caller, signal } = this.#options;
    return inTurns(closedOn(signal, body), caller, signal);
  }

  async #get({ filename, provider }: ImageName): Promise<StoredImage> {
    const failure = this.#down.get(provider);
    if (failure !== undefined) throw failure;
    const { storage, memory, caller, signal } = this.#options;
    const turn = await memory.atWork.hold(caller, 1, { signal });
    return await storage.get(filename, { provider, reuseMemory: true }).finally(turn.release);
  }

  /** Throws where it is not the image that is missing. */
  #leftOut({ filename, provider }: ImageName, thrown: unknown): undefined {
    throwIfCancelled(this.#options.signal);
    const error = toStorageError(thrown);
    if (error.code === 'invalid_argument' || error.reason === 'PROVIDER_NOT_FOUND') throw error;
    if (error.code === 'unavailable') this.#down.set(provider, error);
    this.missing.push({ filename, provider, error });
  }

  *#listOfMissing(records: ZipRecords): Generator<Uint8Array> {
    const lines = this.missing.map(
      ({ filename, provider, error }) => `${shown(filename)} (${provider}): ${error.message} (${error.reason})`,
    );
    const text = Buffer.from(`Not in this archive:\n\n${lines.join('\n')}\n`);
    yield records.begin({
      name: LIST_OF_MISSING,
      sizeBytes: text.length,
      time: new Date(),
      crc32: crc32(text),
    });
    yield text;
  }
}

/** Returns the name of each image within the archive: where one is taken, it lies in a folder of its provider. */
function namer(): (image: ImageName) => string {
  const taken = new Set<string>();
  return ({ filename, provider }) => {
    const name = taken.has(filename) ? `${provider}/${filename}` : filename;
    taken.add(name);
    return name;
  };
}

async function* inTurns(
  pieces: AsyncIterable<Uint8Array>,
  caller: Caller,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  for await (const piece of pieces) {
    await turnOf(caller);
    throwIfCancelled(signal);
    yield piece;
  }
}

async function* withFirst<T>(first: IteratorResult<T>, rest: AsyncGenerator<T>): AsyncGenerator<T> {
  if (first.done) return;
  yield first.value;
  yield* rest;
}

/** As an image is sent: a client has the same time to read each. */
function* slicesOf(bytes: Buffer): Generator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += CHUNK_BYTES) yield bytes.subarray(at, at + CHUNK_BYTES);
}

/** As it was sent, it may be anything. */
function shown(filename: string): string {
  return filename.slice(0, MAX_NAME_CHARACTERS).replace(CONTROL, '?');
}
