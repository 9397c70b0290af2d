/** Stores images in a directory: the save and delete protocol over files, with the catalog as the commit point. */
import { closeSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { ChangeOutcome, LocalCatalog } from '../catalog/catalog.ts';
import { capacityOf } from '../disk/file-system.ts';
import { ifPresent, isOfOneFile, replaceFile } from '../disk/files.ts';
import { NotPlainError, type OpenedPlain, openPlainMeasured } from '../disk/plain-files.ts';
import { readAhead, readFully } from '../disk/read-ahead.ts';
import type { CheckedChanges } from '../domain/changes.ts';
import { DEFAULT_LOCAL_TRASH_DAYS, type LocalConfig } from '../domain/config.ts';
import { folded, StorageError } from '../domain/errors.ts';
import type { ImageMetadata, StorageResult } from '../domain/image.ts';
import type { PreviewFolder, PreviewSource } from '../domain/preview.ts';
import type { ImageRecord, TrashedRecord } from '../domain/record.ts';
import type { ByteSource, ProviderHealth, SaveOptions } from '../domain/requests.ts';
import { openCopy } from '../local/copy-in.ts';
import { deleteImage } from '../local/delete.ts';
import type { Layout } from '../local/layout.ts';
import { markClosed, type OpenStore, openStore } from '../local/open.ts';
import { policyRunsOf } from '../local/policy-runs.ts';
import { removeLostCatalogs } from '../local/rebuild.ts';
import { Room } from '../local/room.ts';
import { openUpload } from '../local/save.ts';
import { purgeImage, restoreImage, trashImage } from '../local/trash.ts';
import { updateImage } from '../local/update.ts';
import { Upkeep } from '../local/upkeep.ts';
import { verifyStore } from '../local/verify.ts';
import { WriteTrials } from '../local/write-trials.ts';
import type { Checked, CheckOptions } from '../maintenance/maintenance.ts';
import type { DiskGuard } from '../retention/disk-guard.ts';
import type { TextFile } from '../retention/policy-runs.ts';
import { CHUNK_BYTES } from '../transfer/body.ts';
import type { CopyUpload, ProviderContext, StorageProvider, Upload } from '../types.ts';
import { BaseProvider, notFound } from './base-provider.ts';
import type { ByteRange, Removal, RemoveOptions } from './store-calls.ts';

const DAY_MS = 24 * 60 * 60 * 1000;

/** Opens the store below `basePath`, creating it on first use. Rejects with a StoreOpenError. */
export async function openLocalProvider(config: LocalConfig, context: ProviderContext): Promise<StorageProvider> {
  return new LocalProvider(await openStore(config, context), config);
}

class LocalProvider extends BaseProvider {
  readonly storageType = 'local';
  protected override readonly policyRuns: TextFile;
  protected override readonly guard: DiskGuard | undefined;
  readonly #store: OpenStore;
  readonly #upkeep: Upkeep;
  readonly #trials: WriteTrials;
  readonly #room: Room;
  readonly #trashMs: number;
  /** What the settings want to stay free on the disk. */
  readonly #leastFreeBytes: number;

  constructor(store: OpenStore, config: LocalConfig) {
    super(store.context);
    const { trash = {} } = config;
    this.#store = store;
    // A path that does not exist has all the room: the write itself says what is wrong.
    const freeBytes = async () => (await capacityOf(store.layout.basePath)).freeBytes ?? Number.POSITIVE_INFINITY;
    this.guard = this.guardOf(config, freeBytes);
    this.policyRuns = policyRunsOf(store);
    const log = `${store.layout.catalog}-wal`;
    store.context.meter?.watchLog(async () => (await ifPresent(stat(log)))?.size ?? 0);
    this.#room = new Room(store, trash);
    this.#trashMs = (trash.days ?? DEFAULT_LOCAL_TRASH_DAYS) * DAY_MS;
    this.#leastFreeBytes = Math.max(config.minFreeBytes ?? 0, trash.minFreeBytes ?? 0);
    this.#upkeep = new Upkeep(store, this.#room);
    this.#trials = new WriteTrials(store.layout, store.context);
  }

  get storeId(): string {
    return this.#store.storeId;
  }

  get previewFolder(): PreviewFolder {
    const { layout, folders } = this.#store;
    return { path: layout.previews, fileMode: folders.fileMode, leastFreeBytes: this.#leastFreeBytes };
  }

  get health(): ProviderHealth {
    const { health } = this.#store.condition;
    return health.serving ? this.#trials.health : health;
  }

  override save(source: ByteSource, metadata: ImageMetadata, options?: SaveOptions): Promise<StorageResult> {
    return this.#noting(super.save(source, metadata, options));
  }

  async #noting<T>(write: Promise<T>): Promise<T> {
    try {
      return await write;
    } catch (error) {
      this.#trials.noteFailure(error);
      throw error;
    }
  }

  protected get catalog(): Pick<LocalCatalog, 'find'> {
    return { find: async (filename) => (await this.completeCatalog()).find(filename) };
  }

  /** Rejects with STORE_REPLACED for reads, too: the open catalog would go on to serve a folder that is gone. */
  protected async completeCatalog(): Promise<LocalCatalog> {
    await this.#store.condition.checkPresent();
    return this.#store.catalog;
  }

  async unhashed(...request: [before: number, limit: number]): Promise<{ images: PreviewSource[]; before: number }> {
    const { images, before } = await folded((await this.completeCatalog()).unhashed(...request));
    const { name: provider } = this;
    const path = (filename: string) => this.#store.layout.image(filename);
    return { images: images.map((image) => ({ ...image, provider, path: path(image.filename) })), before };
  }

  protected async checkWritable(sizeBytes: number): Promise<void> {
    await this.#store.condition.checkWritable();
    await this.#store.reserve.requireWhole();
    await this.#room.provide(sizeBytes);
  }

  protected openUpload(filename: string): Promise<Upload> {
    return openUpload(this.#store, filename);
  }

  protected async *readBytes(record: ImageRecord, range: ByteRange): AsyncGenerator<Uint8Array> {
    const descriptor = await this.#openImage(record, range.trashed);
    try {
      yield* readAhead(descriptor, { ...range, chunkBytes: CHUNK_BYTES });
    } finally {
      closeSync(descriptor);
    }
  }

  protected override async readAtOnce(record: ImageRecord, range: ByteRange): Promise<Uint8Array> {
    const { offset, length, trashed } = range;
    const descriptor = await this.#openImage(record, trashed);
    try {
      return await readFully(descriptor, Buffer.allocUnsafeSlow(length), offset);
    } finally {
      closeSync(descriptor);
    }
  }

  /** The caller closes it, synchronously: the kernel answers from memory, and a thread pool job would take longer. */
  async #openImage(record: ImageRecord, trashed = false): Promise<number> {
    const { layout } = this.#store;
    const inTrash = trashed ? await this.#openIfPresent(layout.trashedImage(record.filename)) : undefined;
    // A row is marked before its files move.
    const opened = inTrash ?? (await this.#openIfPresent(layout.image(record.filename)));
    if (opened === undefined) throw await this.#missing(record, trashed);
    if (opened.size === record.size) return opened.descriptor;
    closeSync(opened.descriptor);
    throw new StorageError('BYTES_CORRUPT', 'the stored file has another size than what was saved');
  }

  /** Returns undefined where the file is missing. Rejects with BYTES_CORRUPT where a link, pipe or folder is in its way. */
  async #openIfPresent(path: string): Promise<OpenedPlain | undefined> {
    const { folders } = this.#store;
    try {
      if (!folders.isSeen(dirname(path))) await folders.look(dirname(path));
      return await ifPresent(openPlainMeasured(path));
    } catch (error) {
      if (!(error instanceof NotPlainError)) throw error;
      throw new StorageError('BYTES_CORRUPT', `the stored file cannot be read: ${error.found}`, { cause: error });
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

  /** Returns IMAGE_NOT_FOUND when the image was deleted since, BYTES_MISSING or STORE_REPLACED otherwise. */
  async #missing({ filename }: ImageRecord, trashed: boolean): Promise<StorageError> {
    const { catalog, condition } = this.#store;
    if ((await (trashed ? catalog.findTrashed(filename) : catalog.find(filename))) === undefined) return notFound();
    await condition.checkImages();
    return new StorageError('BYTES_MISSING', 'the image was saved, and its file is gone');
  }

  protected override emptyPreviews(): Promise<boolean> {
    return this.#room.emptyPreviews();
  }

  protected async removeLive(filename: string, { permanent, ...spared }: RemoveOptions): Promise<Removal> {
    const isForGood = permanent || (await this.nextPurgeTime(this.context.now())) === undefined;
    if (isForGood) return this.#noting(deleteImage(this.#store, filename, spared));
    return this.#noting(trashImage(this.#store, filename, spared, this.#trashMs));
  }

  protected bringBack(filename: string): Promise<ChangeOutcome> {
    return this.#noting(restoreImage(this.#store, filename));
  }

  protected purgeTrashed(filename: string): Promise<Removal> {
    return this.#noting(purgeImage(this.#store, filename));
  }

  protected async nextPurgeTime(now: number): Promise<number | undefined> {
    return this.#trashMs === 0 || (await this.#room.isShort()) ? undefined : now + this.#trashMs;
  }

  protected change(filename: string, changes: CheckedChanges): Promise<ChangeOutcome> {
    return this.#noting(updateImage(this.#store, filename, changes));
  }

  protected async findTrashed(filename: string): Promise<TrashedRecord | undefined> {
    return this.#store.catalog.findTrashed(filename);
  }

  protected async isDeleted(filename: string): Promise<boolean> {
    const [state] = await this.#store.catalog.rowStates([filename]);
    return state !== 'absent' && state !== 'live';
  }

  protected openCopy(filename: string): Promise<CopyUpload | undefined> {
    return openCopy(this.#store, filename);
  }

  protected check(options: CheckOptions, forget: (filename: string) => Promise<boolean>): AsyncIterable<Checked> {
    return verifyStore(this.#store, options, forget);
  }

  protected locate(record: ImageRecord): { url: string; path: string } {
    const url = `${this.context.publicUrl.replace(/\/+$/, '')}/${record.key}`;
    return { url, path: this.#store.layout.image(record.filename) };
  }

  /** What is in the trash gives way, and counts as free. */
  protected async capacity(): Promise<{ capacityBytes?: number; freeBytes?: number }> {
    const { basePath } = this.#store.layout;
    const [{ freeBytes, ...capacity }, { trashBytes }] = await Promise.all([
      capacityOf(basePath),
      this.#store.catalog.statistics(),
    ]);
    return { ...capacity, ...(freeBytes !== undefined && { freeBytes: freeBytes + trashBytes }) };
  }

  protected async release(): Promise<void> {
    const { committer, byKey, byFilename, catalog, layout, lock, reserve, recovery } = this.#store;
    this.#trials.stop();
    await recovery.idle();
    await byKey.idle();
    await committer.idle();
    await byFilename.idle();
    try {
      const clean = await this.#finish();
      const isLeft = this.context.formatChange === 'downgrade' && (await catalog.statistics()).trashCount === 0;
      if (clean) {
        await reserve.lendOnce(() => catalog.close(true));
        await markClosed(layout);
        if (isLeft) await reserve.lendOnce(() => leaveToOlder(layout));
      } else await catalog.close(false);
    } catch (error) {
      this.#warnOfClose(error);
    } finally {
      lock.release();
    }
  }

  /**
   * Returns false when the next start has to recover. Changes nothing when the folder was replaced by another store.
   */
  async #finish(): Promise<boolean> {
    try {
      await this.#store.condition.checkWritable();
    } catch {
      await this.#upkeep.stop(false);
      return false;
    }
    if (!this.#store.recovery.isDone) {
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

/** An older version refuses a newer catalog, and builds it again when it is asked to. */
async function leaveToOlder(layout: Layout): Promise<void> {
  await removeLostCatalogs(layout);
  await replaceFile(layout.rebuild, '');
}
