/** Decides whether a local store may be written and is the one that was opened, and folds its failures for callers. */
import { CatalogError } from '../catalog/catalog.ts';
import { FolderSyncError, hasCode, type Inode, isSame } from '../disk/files.ts';
import { StorageError, toStorageError } from '../domain/errors.ts';
import type { ProviderHealth } from '../domain/requests.ts';
import type { ProviderContext } from '../types.ts';
import type { Layout } from './layout.ts';

/** How long reads trust that the folder is the one that was opened. */
const FRESH_MS = 1000;
/** Codes of a mount that lost its file system. */
const UNMOUNTED = ['ENOTCONN', 'ESTALE', 'ENODEV', 'ENXIO'];

export class LocalCondition {
  readonly #layout: Layout;
  readonly #context: ProviderContext;
  readonly #identity: Inode;
  readonly #images: Inode;
  #stopped: StorageError | undefined;
  #replaced: StorageError | undefined;
  #checkedAt = performance.now();
  #look: Promise<void> | undefined;

  /** `identity`: the inode of FORMAT; `images`: the inode of the folder of all images. */
  constructor(layout: Layout, context: ProviderContext, { identity, images }: { identity: Inode; images: Inode }) {
    this.#layout = layout;
    this.#context = context;
    this.#identity = identity;
    this.#images = images;
  }

  get health(): ProviderHealth {
    const failure = this.#replaced ?? this.#stopped;
    if (failure === undefined) return { serving: true };
    return { serving: false, why: failure.message, ...(this.#replaced && { place: this.#layout.basePath }) };
  }

  /** Rejects with STORE_REPLACED when the folder is gone or another one; looks at most once a second. */
  async checkPresent(): Promise<void> {
    const now = performance.now();
    if (this.#replaced === undefined && now - this.#checkedAt < FRESH_MS) return;
    this.#checkedAt = now;
    await this.#checkFolder();
  }

  /** Rejects with STORE_READ_ONLY after a failure that left something in doubt, STORE_REPLACED on another folder. */
  async checkWritable(): Promise<void> {
    if (this.#stopped !== undefined) throw this.#stopped;
    await this.#checkFolder();
  }

  /** Also rejects with STORE_REPLACED on another images folder: an image missing from it was not removed. */
  async checkImages(): Promise<void> {
    await this.#checkFolder();
    if (await isThere(this.#layout.images, this.#images)) return;
    const message = 'the folder of the images is gone or was replaced; mount or restore it and restart the daemon';
    throw new StorageError('STORE_REPLACED', message);
  }

  /** Those who ask while one look waits for a thread share it. */
  #checkFolder(): Promise<void> {
    this.#look ??= this.#lookAtFolder().finally(() => {
      this.#look = undefined;
    });
    return this.#look;
  }

  async #lookAtFolder(): Promise<void> {
    if (this.#replaced !== undefined) throw this.#replaced;
    if (await isThere(this.#layout.format, this.#identity)) return;
    const message = 'the folder of the store is gone or was replaced: is its disk mounted? then restart the daemon';
    this.#replaced = new StorageError('STORE_REPLACED', message);
    const { basePath } = this.#layout;
    const told = `${basePath} is gone or another folder: is its disk mounted? mount it, then restart the daemon`;
    this.#context.log.error({ provider: this.#context.name, basePath }, told);
    throw this.#replaced;
  }

  /**
   * Returns the error for the caller of a failed commit. With `outcomeUnknown` no file of the commit may be touched:
   * the restart decides, and the store refuses writes until then.
   */
  async fold(error: unknown): Promise<StorageError> {
    if (error instanceof FolderSyncError) return this.stop(error);
    if (!(error instanceof CatalogError)) return toStorageError(error);
    switch (error.failure) {
      case 'full':
        return new StorageError('DISK_FULL', 'the disk of the store is full', { cause: error });
      case 'definite':
        return toStorageError(error);
      case 'unknown':
      case 'corrupt':
        return this.stop(error);
    }
  }

  /** Refuses writes until a restart. Returns the error for the call that met the failure. */
  stop(cause: Error): StorageError {
    this.#context.log.error(
      { err: cause, provider: this.#context.name },
      'the store takes no more writes until a restart',
    );
    this.#stopped ??= new StorageError(
      'STORE_READ_ONLY',
      'the store takes no writes after an I/O error; restart the daemon',
    );
    return new StorageError('STORAGE_IO', 'the disk failed during the commit', { cause, outcomeUnknown: true });
  }
}

/** Returns whether the path names this very file; false also on a mount that lost its file system. */
async function isThere(path: string, inode: Inode): Promise<boolean> {
  try {
    return await isSame(path, inode);
  } catch (error) {
    if (hasCode(error, ...UNMOUNTED)) return false;
    throw error;
  }
}
