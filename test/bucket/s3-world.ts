/** Providers `s3` over one server that may break, on one clock that does not go by itself. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type OpenStore, openStore } from '../../src/storage/bucket/open.ts';
import type { RetryOptions } from '../../src/storage/bucket/retrying-store.ts';
import type { TrashSettings } from '../../src/storage/domain/config.ts';
import type { Logger, StorageProvider } from '../../src/storage/index.ts';
import {
  ObjectStorage,
  type ObjectStorageOptions,
  openObjectStorage,
} from '../../src/storage/providers/object-storage.ts';
import { s3Objects } from '../../src/storage/s3/objects.ts';
import { contextOf } from '../support/bucket.ts';
import { type S3FaultServer, type S3FaultServerOptions, startS3FaultServer } from '../support/s3-fault-server.ts';

export interface S3WorldOptions extends S3FaultServerOptions {
  /** How long a connection may carry nothing; default as in production. */
  idleTimeoutMs?: number;
  /** As for the provider; the signal and the pauses are the world's. */
  retry?: RetryOptions;
  log?: Logger;
  trash?: TrashSettings;
}

/** What else is not as in production: pauses between attempts are a tenth. */
export class S3World implements AsyncDisposable {
  readonly server: S3FaultServer;
  /** Holds what each daemon keeps. */
  readonly folder: string;
  /** ms since 1970. */
  now = Date.UTC(2026, 0, 1);
  readonly #options: S3WorldOptions;

  static async create(options: S3WorldOptions = {}): Promise<S3World> {
    const folder = await mkdtemp(join(tmpdir(), 'image-storage-'));
    return new S3World(await startS3FaultServer(options), folder, options);
  }

  private constructor(server: S3FaultServer, folder: string, options: S3WorldOptions) {
    this.server = server;
    this.folder = folder;
    this.#options = options;
  }

  /** With its work in the background. */
  open(daemon: string): Promise<StorageProvider> {
    return openObjectStorage(this.#optionsOf(daemon), this.#context);
  }

  /** Without: what was open is settled, and the catalog is that of the bucket as it is now. */
  async openQuietly(daemon: string): Promise<{ store: OpenStore; provider: StorageProvider }> {
    const options = this.#optionsOf(daemon);
    const store = await openStore(options, this.#context);
    await store.synchronizer.run();
    return { store, provider: new ObjectStorage(store, options, async () => {}) };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.server[Symbol.asyncDispose]();
    await rm(this.folder, { recursive: true });
  }

  get #context() {
    const { log } = this.#options;
    return contextOf({ now: () => this.now, ...(log && { log }) });
  }

  #optionsOf(daemon: string): ObjectStorageOptions {
    return {
      objects: s3Objects(this.server.settings, { idleTimeoutMs: this.#options.idleTimeoutMs }),
      retry: { sleep: (ms) => sleep(ms / 10), ...this.#options.retry },
      storageType: 's3',
      urlOf: async (key) => key,
      stateDir: join(this.folder, daemon),
      shared: true,
      syncSeconds: 1,
      fullSyncMinutes: 1 / 60,
      lockWaitSeconds: 1,
      ...(this.#options.trash && { trash: this.#options.trash }),
    };
  }
}
