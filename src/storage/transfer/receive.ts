/** Receives the bytes of an image: counts, hashes and inspects them as they pass, and commits them once they are whole. */
import { createHash } from 'node:crypto';
import { setImmediate } from 'node:timers/promises';
import { forEachChunk } from '../async/byte-source.ts';
import { turnOf } from '../async/fair-turn.ts';
import type { Slot } from '../async/slots.ts';
import { THIS_PROCESS } from '../domain/caller.ts';
import { folded, StorageError, throwIfCancelled } from '../domain/errors.ts';
import { fingerprint } from '../domain/fingerprint.ts';
import { imageFilename, imageKey, modelSlug } from '../domain/naming.ts';
import type { ImageRecord } from '../domain/record.ts';
import type { ByteSource, SaveOptions } from '../domain/requests.ts';
import { type CheckedMetadata, checkAgainst, checkImageSize, checkType } from '../domain/validation.ts';
import { type DetectedType, ImageInspector } from '../formats/inspector.ts';
import type { Committed, CopyUpload, ProviderContext, Upload } from '../types.ts';
import { bytesCorrupt } from './body.ts';

/** The most bytes that are parsed in one go. */
const PIECE_BYTES = 256 * 1024;

type ReceivedBytes = Pick<ImageRecord, 'size' | 'sha256' | 'contentType' | 'width' | 'height'>;

/** The provider that a save is received for. */
export interface Receiver {
  context: ProviderContext;
  slot: Slot;
  /** `expectedBytes` is the size that the caller declared. */
  openUpload(filename: string, expectedBytes?: number): Promise<Upload>;
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
  const image = new IncomingImage(metadata, options, receiver);
  const { slot } = receiver;
  const signal = options.signal === undefined ? slot.signal : AbortSignal.any([options.signal, slot.signal]);
  try {
    await forEachChunk(source, signal, async (chunk) => {
      slot.received(chunk.length);
      await image.take(chunk);
      slot.awaits();
    });
    slot.complete();
    const bytes = image.finish();
    // Node's gRPC client cancels with a half-close followed by a reset: one turn later the reset has been read.
    await setImmediate();
    throwIfCancelled(options.signal);
    return await image.commit(bytes);
  } catch (error) {
    await image.discard();
    throw error;
  }
}

class IncomingImage {
  readonly #metadata: CheckedMetadata;
  readonly #options: SaveOptions;
  readonly #receiver: Receiver;
  readonly #timestamp: number;
  readonly #inspector = new ImageInspector();
  readonly #hash = createHash('sha256');
  #size = 0;
  /** Chunks that arrived before the type, and so the filename, was known. */
  readonly #undetected: Uint8Array[] = [];
  #upload: Upload | undefined;

  constructor(metadata: CheckedMetadata, options: SaveOptions, receiver: Receiver) {
    this.#metadata = metadata;
    this.#options = options;
    this.#receiver = receiver;
    this.#timestamp = metadata.timestamp ?? receiver.context.now();
  }

  async take(chunk: Uint8Array): Promise<void> {
    this.#size += chunk.length;
    checkImageSize(this.#size, this.#receiver.context.limits);
    await this.#inspect(chunk);
    const { detected } = this.#inspector;
    if (detected === undefined) {
      this.#undetected.push(new Uint8Array(chunk));
      return;
    }
    this.#upload ??= await this.#open(detected);
    for (const bytes of this.#undetected.splice(0)) await folded(this.#upload.write(bytes));
    await folded(this.#upload.write(chunk));
  }

  /** Gives the event loop back between pieces: parsing the worst image takes 20 ms a MB. */
  async #inspect(chunk: Uint8Array): Promise<void> {
    const { caller = THIS_PROCESS } = this.#options;
    for (let at = 0; at < chunk.length; at += PIECE_BYTES) {
      const piece = chunk.subarray(at, at + PIECE_BYTES);
      this.#inspector.push(piece);
      this.#hash.update(piece);
      if (at + PIECE_BYTES < chunk.length) await turnOf(caller);
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
  commit(bytes: ReceivedBytes): Promise<Committed> {
    const upload = this.#upload;
    if (upload === undefined) throw new StorageError('IMAGE_TRUNCATED', 'the image ends before its type is known');
    this.#upload = undefined;
    return folded(upload.commit(this.#record(upload.filename, bytes), this.#options.signal));
  }

  #record(filename: string, bytes: ReceivedBytes): ImageRecord {
    const { prompt, model, category, parametersJson, tags } = this.#metadata;
    return {
      filename,
      key: imageKey(filename),
      ...bytes,
      createTime: this.#receiver.context.now(),
      pinned: this.#options.pinned ?? false,
      prompt,
      model,
      timestamp: this.#timestamp,
      category,
      tags: [...new Set(tags)],
      parametersJson,
      idempotencyKey: this.#options.idempotencyKey ?? '',
      fingerprint: fingerprint(bytes.sha256, this.#metadata),
    };
  }

  /** Does nothing once the commit has begun. */
  async discard(): Promise<void> {
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
      hash.update(chunk);
      await folded(upload.write(chunk));
    });
    if (hash.digest('hex') !== record.sha256) throw bytesCorrupt();
  } catch (error) {
    await upload.discard().catch(() => undefined);
    throw error;
  }
  return folded(upload.commit(record));
}
