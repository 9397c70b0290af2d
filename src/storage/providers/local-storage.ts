/** Images in a directory: the Save and Delete protocol over files, with the catalog as the commit point. */
import { open } from 'node:fs/promises';
import type { Catalog, Outcome } from '../catalog/catalog.ts';
import { capacityOf, freeSpaceOf } from '../disk/file-system.ts';
import { ifPresent, isOfOneFile } from '../disk/files.ts';
import type { LocalConfig } from '../domain/config.ts';
import { StorageError, toStorageError } from '../domain/errors.ts';
import type { ImageRecord } from '../domain/record.ts';
import type { ProviderHealth } from '../domain/requests.ts';
import { markClosed, type OpenStore, openStore } from '../local/open.ts';
import { giveUpReserve } from '../local/reserve.ts';
import { FilenameTaken, openUpload } from '../local/save.ts';
import { unlinkImage } from '../local/store.ts';
import { Upkeep } from '../local/upkeep.ts';
import { verifyStore } from '../local/verify.ts';
import type { Checked, CheckOptions } from '../maintenance/maintenance.ts';
import type { CopyUpload, ProviderContext, StorageProvider, Upload } from '../types.ts';
import { BaseProvider, notFound } from './base-provider.ts';

const READ_BYTES = 256 * 1024;
/** Room that a save leaves for its record and the catalog. */
const HEADROOM_BYTES = 256 * 1024;

/** Opens the store below `basePath`, creating it on first use. Rejects with a StoreOpenError. */
export async function openLocalStorage(config: LocalConfig, context: ProviderContext): Promise<StorageProvider> {
  return new LocalStorage(await openStore(config, context));
}

class LocalStorage extends BaseProvider {
  readonly storageType = 'local';
  readonly #store: OpenStore;
  readonly #upkeep: Upkeep;
  readonly #freeBytes: () => Promise<number>;

  constructor(store: OpenStore) {
    super(store.context);
    this.#store = store;
    this.#upkeep = new Upkeep(store);
    this.#freeBytes = freeSpaceOf(store.layout.basePath);
  }

  get storeId(): string {
    return this.#store.storeId;
  }

  get health(): ProviderHealth {
    return this.#store.condition.health;
  }

  protected get catalog(): Catalog {
    return this.#store.catalog;
  }

  protected async completeCatalog(): Promise<Catalog> {
    return this.#store.catalog;
  }

  protected async checkWritable(sizeBytes: number): Promise<void> {
    await this.#store.condition.checkWritable();
    if ((await this.#freeBytes()) < sizeBytes + HEADROOM_BYTES) {
      throw new StorageError('DISK_FULL', 'the disk of the store is full');
    }
  }

  protected openUpload(filename: string): Promise<Upload> {
    return openUpload(this.#store, filename);
  }

  protected async *readBytes(record: ImageRecord, offset: number, length: number): AsyncGenerator<Uint8Array> {
    const file = await ifPresent(open(this.#store.layout.image(record.filename), 'r'));
    if (file === undefined) throw await this.#missing(record);
    try {
      if ((await file.stat()).size !== record.size) {
        throw new StorageError('BYTES_CORRUPT', 'the stored file has another size than what was saved');
      }
      for (let done = 0; done < length; ) {
        const buffer = Buffer.allocUnsafe(Math.min(READ_BYTES, length - done));
        const { bytesRead } = await file.read(buffer, 0, buffer.length, offset + done);
        if (bytesRead === 0) throw new StorageError('BYTES_CORRUPT', 'the stored file ends early');
        done += bytesRead;
        yield buffer.subarray(0, bytesRead);
      }
    } finally {
      await file.close();
    }
  }

  /** What keeps the file of one image from being read keeps no other from it. */
  override async *bytesOf(record: ImageRecord): AsyncGenerator<Uint8Array> {
    try {
      yield* super.bytesOf(record);
    } catch (error) {
      if (!isOfOneFile(error)) throw error;
      throw new StorageError('BYTES_CORRUPT', `the stored file cannot be read (${error.code})`, { cause: error });
    }
  }

  /** Deleted since its row was read, or gone without a delete. */
  async #missing(record: ImageRecord): Promise<StorageError> {
    if ((await this.catalog.find(record.filename)) === undefined) return notFound();
    return new StorageError('BYTES_MISSING', 'the image was saved, and its file is gone');
  }

  protected async remove(filename: string, sparePinned: boolean): Promise<Outcome> {
    const { audit, byFilename, layout } = this.#store;
    const deleteTime = this.context.now();
    const outcome = await this.#commitDelete(filename, deleteTime, sparePinned);
    if (!outcome.done) return outcome;
    this.#upkeep.unlinksArePending();
    try {
      await audit.deleted(outcome.record, sparePinned ? 'cleanup' : 'delete', deleteTime);
    } catch (error) {
      this.context.log.warn({ err: error, provider: this.name }, 'a delete is missing in the audit log');
    }
    try {
      await byFilename.run(filename, () => unlinkImage(layout, filename, this.context.failpoint));
    } catch (error) {
      this.context.log.warn({ err: error, provider: this.name, filename }, 'the files of a deleted image stay for now');
    }
    return outcome;
  }

  async #commitDelete(filename: string, deleteTime: number, sparePinned: boolean): Promise<Outcome> {
    const { committer, layout } = this.#store;
    const submit = () => committer.submit({ kind: 'delete', filename, deleteTime, sparePinned }, []);
    try {
      return await submit();
    } catch (error) {
      if (toStorageError(error).reason !== 'DISK_FULL') throw error;
      // Another delete of the same group may have given it up already.
      await giveUpReserve(layout);
      return submit();
    }
  }

  protected async isDeleted(filename: string): Promise<boolean> {
    const [standing] = await this.catalog.standing([filename]);
    return standing === 'deleted' || standing === 'unlinking';
  }

  protected async openCopy(filename: string): Promise<CopyUpload | undefined> {
    const upload = await unlessTaken(openUpload(this.#store, filename, true));
    if (upload === undefined) return undefined;
    return {
      write: (chunk) => upload.write(chunk),
      discard: () => upload.discard(),
      commit: async ({ nonce: _, ...record }) => {
        try {
          await this.#store.audit.broughtBack(record, 'copy', this.context.now());
        } catch (error) {
          await upload.discard();
          throw error;
        }
        return (await unlessTaken(upload.commit(record))) !== undefined;
      },
    };
  }

  protected check(options: CheckOptions, forget: (filename: string) => Promise<boolean>): AsyncIterable<Checked> {
    return verifyStore(this.#store, options, forget);
  }

  protected locate(record: ImageRecord): { url: string; path: string } {
    const url = `${this.context.publicUrl.replace(/\/+$/, '')}/${record.key}`;
    return { url, path: this.#store.layout.image(record.filename) };
  }

  protected capacity(): Promise<{ capacityBytes?: number; freeBytes?: number }> {
    return capacityOf(this.#store.layout.basePath);
  }

  protected async release(): Promise<void> {
    const { committer, byKey, byFilename, catalog, layout, lock } = this.#store;
    await byKey.idle();
    await committer.idle();
    await byFilename.idle();
    try {
      const clean = await this.#finish();
      await catalog.close(clean);
      if (clean) await markClosed(layout);
    } catch (error) {
      this.#warnOfClose(error);
    } finally {
      lock.release();
    }
  }

  /** False when the next start has something to put right. Touches nothing of a store that is another by now. */
  async #finish(): Promise<boolean> {
    try {
      await this.#store.condition.checkWritable();
    } catch {
      await this.#upkeep.stop(false);
      return false;
    }
    try {
      await this.#upkeep.stop(true);
      return true;
    } catch (error) {
      this.#warnOfClose(error);
      return false;
    }
  }

  #warnOfClose(error: unknown): void {
    const message = 'the store could not be closed clean; the next start puts it right';
    this.context.log.warn({ err: error, provider: this.name }, message);
  }
}

async function unlessTaken<T>(work: Promise<T>): Promise<T | undefined> {
  try {
    return await work;
  } catch (error) {
    if (error instanceof FilenameTaken) return undefined;
    throw error;
  }
}
