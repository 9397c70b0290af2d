/** Receives the bytes of an image: counts, hashes and inspects them as they pass, and commits them once they are whole. */
import { createHash } from 'node:crypto';
import { setImmediate } from 'node:timers/promises';
import { forEachChunk } from '../async/byte-source.ts';
import { turnOf } from '../async/fair-turn.ts';
import type { Slot } from '../async/slots.ts';
import { THIS_PROCESS } from '../domain/caller.ts';
import { folded, StorageError, throwIfCancelled } from '../domain/errors.ts';
import { fingerprint } from '../domain/fingerprint.ts';
import { imageFilename, imageKey, modelSlug, withSlug } from '../domain/naming.ts';
import type { ImageRecord } from '../domain/record.ts';
import type { ByteBatch, ByteSource, SaveOptions } from '../domain/requests.ts';
import { type CheckedMetadata, checkAgainst, checkImageSize, checkType } from '../domain/validation.ts';
import { type DetectedType, ImageInspector } from '../formats/inspector.ts';
import type { Committed, CopyUpload, ProviderContext, Upload } from '../types.ts';
import { bytesCorrupt } from './body.ts';
import { fillFrom } from './fill.ts';

/** The most bytes that are parsed in one go. */
const PIECE_BYTES = 256 * 1024;

type ReceivedBytes = Pick<ImageRecord, 'size' | 'sha256' | 'contentType' | 'width' | 'height'>;

/** The provider that a save is received for. */
export interface Receiver {
  context: ProviderContext;
  slot: Slot;
  /** `expectedBytes` is the size that the caller declared. */
  openUpload(filename: string, expectedBytes?: number): Promise<Upload>;
  /** Rejects where an image of these bytes is not to be committed. */
  checkBytes?(sha256: string): Promise<void>;
}

/**
 * Commits the source as an image once all of its bytes have arrived and are sound. Leaves nothing behind when it
 * throws.
 */
export async function receiveImage(
  source: ByteSource,
  metadata: CheckedMetadata,
  options: SaveOptions,
  receiver: Receiver,
): Promise<Committed> {
  const { slot, context } = receiver;
  const { meter } = context;
  const began = performance.now();
  const signal = options.signal === undefined ? slot.signal : AbortSignal.any([options.signal, slot.signal]);
  const image = new IncomingImage(metadata, options, receiver, signal);
  try {
    await forEachChunk(source, signal, async (bytes) => {
      const isBatch = !(bytes instanceof Uint8Array);
      const chunks = isBatch ? bytes : [bytes];
      const sizeBytes = lengthOf(chunks);
      slot.received(sizeBytes);
      meter?.received(sizeBytes);
      await image.take(chunks);
      if (!isBatch) await image.written();
      slot.awaits();
    });
    slot.complete();
    const bytes = image.finish();
    meter?.stage('receive', performance.now() - began);
    // Node's gRPC client cancels with a half-close followed by a reset: one turn later the reset has been read.
    await setImmediate();
    throwIfCancelled(options.signal);
    return await image.commit(bytes);
  } catch (error) {
    await image.discard();
    throw error;
  }
}

function lengthOf(chunks: ByteBatch): number {
  let bytes = 0;
  for (const { length } of chunks) bytes += length;
  return bytes;
}

class IncomingImage {
  readonly #metadata: CheckedMetadata;
  readonly #options: SaveOptions;
  readonly #receiver: Receiver;
  readonly #timestamp: number;
  readonly #inspector: ImageInspector;
  readonly #hash = createHash('sha256');
  #size = 0;
  /** Chunks that arrived before the type, and so the filename, was known. */
  readonly #undetected: Uint8Array[] = [];
  #upload: Upload | undefined;
  /** The write that is under way. */
  #writing: Promise<void> | undefined;

  constructor(metadata: CheckedMetadata, options: SaveOptions, receiver: Receiver, signal: AbortSignal) {
    this.#metadata = metadata;
    this.#options = options;
    this.#receiver = receiver;
    this.#inspector = new ImageInspector(receiver.context.limits.imageCheck, signal);
    this.#timestamp = metadata.timestamp ?? receiver.context.now();
  }

  /** Begins to write the chunks once those before are written. */
  async take(chunks: ByteBatch): Promise<void> {
    this.#size += lengthOf(chunks);
    checkImageSize(this.#size, this.#receiver.context.limits);
    await this.#inspect(chunks);
    const { detected } = this.#inspector;
    if (detected === undefined) {
      for (const chunk of chunks) this.#undetected.push(new Uint8Array(chunk));
      return;
    }
    this.#upload ??= await this.#open(detected);
    await this.#writing;
    this.#writing = folded(this.#upload.write([...this.#undetected.splice(0), ...chunks]));
    // Whoever waits for it hears of its failure.
    this.#writing.catch(() => undefined);
  }

  /** Resolves when all chunks are written. */
  async written(): Promise<void> {
    await this.#writing;
  }

  /** Gives the event loop back between pieces: parsing the worst image takes 20 ms a MB. */
  async #inspect(chunks: ByteBatch): Promise<void> {
    const { caller = THIS_PROCESS } = this.#options;
    let inspected = 0;
    for (const chunk of chunks) {
      for (let at = 0; at < chunk.length; at += PIECE_BYTES) {
        const piece = chunk.length <= PIECE_BYTES ? chunk : chunk.subarray(at, at + PIECE_BYTES);
        if (inspected + piece.length > PIECE_BYTES) {
          await turnOf(caller);
          inspected = 0;
        }
        inspected += piece.length;
        // First, since hashing is slow enough for bytes that are not in the cache yet.
        this.#hash.update(piece);
        const checking = this.#inspector.push(piece);
        if (checking !== undefined) await checking;
      }
    }
  }

  #open({ contentType, extension }: DetectedType): Promise<Upload> {
    checkType(this.#options.contentType, contentType);
    const shortId = this.#receiver.context.shortId();
    const filename = imageFilename(this.#timestamp, modelSlug(this.#metadata.model), shortId, extension);
    return folded(this.#receiver.openUpload(filename, this.#options.size));
  }

  /** Throws unless the bytes are a whole image and match what was declared. */
  finish(): ReceivedBytes {
    const { extension: _, ...format } = this.#inspector.finish();
    const [size, sha256] = [this.#size, this.#hash.digest('hex')];
    const { trailer } = this.#options;
    for (const declared of [this.#options, trailer?.() ?? {}]) checkAgainst(declared, { size, sha256 });
    return { size, sha256, ...format };
  }

  /** Leaves nothing to discard: an upload removes what it cannot commit. */
  async commit(bytes: ReceivedBytes): Promise<Committed> {
    await this.#writing;
    const upload = this.#upload;
    if (upload === undefined) throw new StorageError('IMAGE_TRUNCATED', 'the image ends before its type is known');
    await this.#receiver.checkBytes?.(bytes.sha256);
    const kept = await this.#described(upload);
    this.#upload = undefined;
    const isDated = this.#metadata.timestamp !== undefined;
    return folded(upload.commit(this.#record(upload.filename, kept, bytes), this.#options.signal, isDated));
  }

  /** Returns the metadata that the record keeps. */
  async #described(upload: Upload): Promise<CheckedMetadata> {
    if (this.#options.embedded === 'ignore' || this.#inspector.isBare) return this.#metadata;
    const { limits } = this.#receiver.context;
    return fillFrom((position, lengthBytes) => upload.readAt(position, lengthBytes), this.#metadata, limits);
  }

  #record(opened: string, kept: CheckedMetadata, bytes: ReceivedBytes): ImageRecord {
    const { prompt, model, category, parametersJson, tags } = kept;
    const filename = withSlug(opened, modelSlug(model));
    const createTime = this.#receiver.context.now();
    const { ttlMs } = this.#options;
    return {
      filename,
      key: imageKey(filename),
      ...bytes,
      createTime,
      pinned: this.#options.pinned ?? false,
      prompt,
      model,
      timestamp: this.#timestamp,
      category,
      tags: [...new Set(tags)],
      parametersJson,
      idempotencyKey: this.#options.idempotencyKey ?? '',
      // Over what was sent: a retry through a daemon that reads more, or less, is the same save.
      fingerprint: fingerprint(bytes.sha256, this.#metadata),
      ...(ttlMs !== undefined && { expireTime: createTime + ttlMs }),
    };
  }

  /** Does nothing once the commit has begun. */
  async discard(): Promise<void> {
    await this.#writing?.catch(() => undefined);
    try {
      await this.#upload?.discard();
    } catch (error) {
      const { log, name: provider } = this.#receiver.context;
      log.warn({ err: error, provider }, 'an upload could not be cleaned up; the next start does it');
    }
  }
}

/**
 * Commits the image of another store. Returns false when its filename is taken; throws BYTES_CORRUPT for other bytes.
 */
export async function receiveCopy(
  record: ImageRecord,
  bytes: AsyncIterable<Uint8Array>,
  signal: AbortSignal | undefined,
  openCopy: (filename: string, expectedBytes: number) => Promise<CopyUpload | undefined>,
): Promise<boolean> {
  const upload = await folded(openCopy(record.filename, record.size));
  if (upload === undefined) return false;
  try {
    const hash = createHash('sha256');
    await forEachChunk(bytes, signal, async (chunk) => {
      const chunks = chunk instanceof Uint8Array ? [chunk] : chunk;
      for (const each of chunks) hash.update(each);
      await folded(upload.write(chunks));
    });
    if (hash.digest('hex') !== record.sha256) throw bytesCorrupt();
  } catch (error) {
    await upload.discard().catch(() => undefined);
    throw error;
  }
  return folded(upload.commit(record));
}
