/** Generates images and hands them to a store: a folder, a bucket or a daemon, as the configuration says. */
import { connect } from '../../src/client.ts';
import { createStorage, type ImageMetadata, type StorageConfig, type StorageResult } from '../../src/storage/index.ts';
import { demoImage } from '../demo/image.ts';

/** In this process (a folder, a bucket), or in the daemon at `host:port` or `unix:PATH`. */
export type StoreConfig = { storage: StorageConfig } | { daemon: string };

/**
 * The part of a StorageProvider that the service needs; a client of the daemon has it, too, but takes parameters as
 * JSON only.
 */
export interface ImageStore {
  save(bytes: Uint8Array, metadata: Omit<ImageMetadata, 'parameters'>): Promise<GeneratedImage>;
  close(): void | Promise<void>;
}

export type GeneratedImage = Pick<StorageResult, 'url' | 'filename' | 'size' | 'storageType'>;

export interface Generation {
  prompt: string;
  model: string;
  /** 64 bits. */
  seed: bigint;
  category?: string;
}

/**
 * Opens the store of a configuration. Rejects where it cannot be opened; a daemon is first contacted by the first save.
 */
export async function openStore(config: StoreConfig): Promise<ImageStore> {
  return 'daemon' in config ? connect(config.daemon) : createStorage(config.storage);
}

export class ImageService {
  readonly #store: ImageStore;

  /** The caller closes the store. */
  constructor(store: ImageStore) {
    this.#store = store;
  }

  /** Resolves when the image is on stable storage. */
  async generateImage({ prompt, model, seed, category }: Generation): Promise<GeneratedImage> {
    const bytes = draw(seed);
    return this.#store.save(bytes, { prompt, model, category, parametersJson: `{"seed":${seed}}` });
  }
}

/** Stands in for a model. */
function draw(seed: bigint): Uint8Array {
  return demoImage(Number(BigInt.asUintN(32, seed)));
}
