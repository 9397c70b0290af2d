/** Providers `s3` over one server that may break, on one clock that does not go by itself. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type OpenStore, openStore } from '../../src/storage/bucket/open.ts';
import type { StorageProvider } from '../../src/storage/index.ts';
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
}

/** What else is not as in production: pauses between attempts are a tenth. */
export class S3World implements AsyncDisposable {
  readonly server: S3FaultServer;
  /** Holds what each daemon keeps. */
  readonly folder: string;
  /** ms since 1970. */
  now = Date.UTC(2026, 0, 1);
  readonly #idleTimeoutMs: number | undefined;

  static async create({ idleTimeoutMs, ...options }: S3WorldOptions = {}): Promise<S3World> {
    const folder = await mkdtemp(join(tmpdir(), 'image-storage-'));
    return new S3World(await startS3FaultServer(options), folder, idleTimeoutMs);
  }

  private constructor(server: S3FaultServer, folder: string, idleTimeoutMs: number | undefined) {
    this.server = server;
    this.folder = folder;
    this.#idleTimeoutMs = idleTimeoutMs;
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
    return contextOf({ now: () => this.now });
  }

  #optionsOf(daemon: string): ObjectStorageOptions {
    return {
      objects: s3Objects(this.server.settings, { idleTimeoutMs: this.#idleTimeoutMs }),
      retry: { sleep: (ms) => sleep(ms / 10) },
      storageType: 's3',
      urlOf: async (key) => key,
      stateDir: join(this.folder, daemon),
      shared: true,
      syncSeconds: 1,
      lockWaitSeconds: 1,
    };
  }
}
