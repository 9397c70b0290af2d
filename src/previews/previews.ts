/** The previews of a storage: made of its images, kept in its folders, their ThumbHashes in its catalogs. */
import { toStorageError } from '../storage/domain/errors.ts';
import type { StoredImage } from '../storage/domain/image.ts';
import type { Logger } from '../storage/domain/logger.ts';
import type { PreviewMeter } from '../storage/domain/meter.ts';
import { PREVIEW_WIDTHS, type PreviewSource, type PreviewWidth } from '../storage/domain/preview.ts';
import type { Previewed, Storage } from '../storage/types.ts';
import type { PreviewCache } from './cache.ts';
import { PreviewCaches } from './caches.ts';
import { Decoder } from './decoder.ts';
import { HashNotes } from './hash-notes.ts';
import { makeOlder } from './older-images.ts';
import { type ImageDecoder, Previewer } from './previewer.ts';

/** What is made of each image before anybody asks. */
const FIRST_WIDTHS = [PREVIEW_WIDTHS[0]];

export interface Previews {
  /** The same storage; what is saved by it gets a preview. */
  storage: Storage;
  /** Returns a preview that was made before, or undefined. */
  find(source: PreviewSource, width: PreviewWidth): Promise<Uint8Array | undefined>;
  /** Returns undefined where none can be made, or nobody waits for it any more. Rejects as a read of the image. */
  make(source: PreviewSource, width: PreviewWidth, signal: AbortSignal): Promise<Uint8Array | undefined>;
  /** `unavailable`: nothing here decodes images, which is known from the first attempt on. */
  readonly state: 'made' | 'off' | 'unavailable';
  close(): Promise<void>;
}

export interface PreviewSettings {
  enabled: boolean;
  /** Of each folder. */
  maxBytes: number;
  /** How long older images wait behind the start, in ms; default: 5 s. */
  firstRestMs?: number;
}

export interface PreviewDependencies {
  log: Logger;
  meter: PreviewMeter;
  /** Default: a process beside this one. */
  decoder?: ImageDecoder;
}

/** Where they are not enabled, there are none. */
export function createPreviews(
  storage: Storage,
  settings: PreviewSettings,
  dependencies: PreviewDependencies,
): Previews {
  if (settings.enabled) return new StoredPreviews(storage, settings, dependencies);
  const none = async () => undefined;
  return { storage, find: none, make: none, state: 'off', close: none };
}

class StoredPreviews implements Previews {
  readonly storage: Storage;
  readonly #storage: Storage;
  readonly #caches: PreviewCaches;
  readonly #previewer: Previewer;
  readonly #notes = new Map<string, HashNotes>();
  readonly #closing = new AbortController();

  constructor(
    storage: Storage,
    { maxBytes, firstRestMs }: PreviewSettings,
    { log, meter, decoder }: PreviewDependencies,
  ) {
    this.#storage = storage;
    this.#caches = new PreviewCaches(maxBytes);
    this.#previewer = new Previewer({
      log,
      meter,
      decoder: decoder ?? new Decoder({ log, onStart: () => meter.decoderStarted() }),
      cacheOf: (provider) => this.#cacheOf(provider),
      read: async (source) => (await this.#get(source)).body,
      exists: (source) => this.#exists(source),
      onHash: (source, hash) => this.#noteHash(source, hash),
    });
    meter.watch(() => ({ waiting: this.#previewer.waiting, ...this.#caches.load }));
    this.storage = { ...storage, save: (...save) => this.#save(...save) };
    for (const name of Object.keys(storage.health())) this.#begin(name, firstRestMs);
  }

  find(source: PreviewSource, width: PreviewWidth): Promise<Uint8Array | undefined> {
    return this.#previewer.find(source, width);
  }

  make(source: PreviewSource, width: PreviewWidth, signal: AbortSignal): Promise<Uint8Array | undefined> {
    return this.#previewer.make(sourceOf(source), width, signal);
  }

  get state(): 'made' | 'unavailable' {
    return this.#previewer.isAble ? 'made' : 'unavailable';
  }

  async close(): Promise<void> {
    this.#closing.abort();
    this.#previewer.close();
    await Promise.all([...this.#notes.values()].map((notes) => notes.write()));
  }

  async #save(...[source, metadata, options]: Parameters<Storage['save']>): ReturnType<Storage['save']> {
    this.#previewer.saveBegan();
    try {
      const saved = await this.#storage.save(source, metadata, options);
      if (!saved.replayed) {
        void this.#previewer.makeBehind({ source: sourceOf(saved), widths: FIRST_WIDTHS, wantsHash: true });
      }
      return saved;
    } finally {
      this.#previewer.saveEnded();
    }
  }

  /** Makes what the images of a provider lack that is there and costs nothing to read. */
  #begin(name: string, firstRestMs: number | undefined): void {
    const provider = this.#providerOf(name);
    if (provider?.unhashed === undefined) return;
    const { signal } = this.#closing;
    void makeOlder(provider, { make: (source) => this.#makeOlder(source), signal, firstRestMs });
  }

  /** Rejects where nothing can be made on this machine. */
  async #makeOlder(source: PreviewSource): Promise<void> {
    if (!this.#previewer.isAble) throw new Error('no preview can be made');
    // Previews that were asked for are not pushed out by those that nobody may ever want.
    const widths = this.#cacheOf(source.provider).isHalfFull ? [] : FIRST_WIDTHS;
    await this.#previewer.makeBehind({ source, widths, wantsHash: true });
  }

  /** Where the store does not answer, it is taken for there. */
  async #exists(source: PreviewSource): Promise<boolean> {
    try {
      await this.#get(source);
      return true;
    } catch (error) {
      return toStorageError(error).reason !== 'IMAGE_NOT_FOUND';
    }
  }

  #get({ filename, provider, deleteTime }: PreviewSource): Promise<StoredImage> {
    return this.#storage.get(filename, { provider, trashed: deleteTime !== undefined });
  }

  #providerOf(name: string): Previewed | undefined {
    try {
      return this.#storage.previewed(name);
    } catch {
      return undefined;
    }
  }

  #cacheOf(provider: string): PreviewCache {
    return this.#caches.of(this.#storage.previewed(provider).previewFolder);
  }

  #noteHash({ provider: name, filename }: PreviewSource, thumbHash: Uint8Array | undefined): void {
    const provider = this.#providerOf(name);
    if (provider === undefined) return;
    let notes = this.#notes.get(name);
    if (notes === undefined) {
      notes = new HashNotes(provider);
      this.#notes.set(name, notes);
    }
    notes.add({ filename, thumbHash });
  }
}

/** The item without its texts. */
function sourceOf(item: PreviewSource): PreviewSource {
  const { filename, provider, path, sha256, size, contentType, width, height, thumbHash, deleteTime } = item;
  return {
    filename,
    provider,
    // Its file has moved.
    ...(deleteTime === undefined ? path !== undefined && { path } : { deleteTime }),
    sha256,
    size,
    contentType,
    width,
    height,
    ...(thumbHash && { thumbHash }),
  };
}
