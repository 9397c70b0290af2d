/** Stores images in a bucket: the record is the commit, the catalog an index over the records. */

import { changeIndex, leaveToOlder } from '../bucket/binding.ts';
import { claimRun } from '../bucket/claim-run.ts';
import { openCopy } from '../bucket/copy-in.ts';
import { type DeleteOutcome, deleteImage } from '../bucket/delete.ts';
import { failedWith, type StoredObject } from '../bucket/object-store.ts';
import { type BucketOptions, type OpenStore, openStore } from '../bucket/open.ts';
import { purgeImage } from '../bucket/purge.ts';
import { agree } from '../bucket/purge-due.ts';
import { readRange } from '../bucket/reading.ts';
import { readRecord } from '../bucket/record-object.ts';
import { restoreImage } from '../bucket/restore.ts';
import { openUpload } from '../bucket/save.ts';
import { roomOf } from '../bucket/state-files.ts';
import { owesOutcomes, withoutIndex } from '../bucket/store.ts';
import { updateImage } from '../bucket/update.ts';
import { startUpkeep } from '../bucket/upkeep.ts';
import { verifyStore } from '../bucket/verify.ts';
import type { ChangeOutcome, ImageIndex } from '../catalog/catalog.ts';
import { settingsOf } from '../catalog/generation-settings.ts';
import { spaceCheck } from '../disk/file-system.ts';
import { readText, replaceFile } from '../disk/files.ts';
import type { CheckedChanges } from '../domain/changes.ts';
import { StorageError } from '../domain/errors.ts';
import { folderOf } from '../domain/naming.ts';
import type { PreviewFolder } from '../domain/preview.ts';
import type { ImageRecord, StoredRecord, TrashedRecord } from '../domain/record.ts';
import type { ProviderHealth } from '../domain/requests.ts';
import type { Checked, CheckOptions } from '../maintenance/maintenance.ts';
import type { TextFile } from '../retention/policy-runs.ts';
import type { CopyUpload, ProviderContext, StorageProvider, Upload } from '../types.ts';
import { BaseProvider, notFound } from './base-provider.ts';
import type { ByteRange, Removal, RemoveOptions } from './store-calls.ts';

/** Space that a save leaves for the catalog on the disk of the state folder. */
const HEADROOM_BYTES = 1024 * 1024;
/** How long opening waits for the first fill, so that a new or small bucket has a complete catalog from the start. */
const FIRST_FILL_MS = 2_000;
const DEFAULT_CLOSE_GRACE_MS = 60_000;

export interface ObjectStorageOptions extends BucketOptions {
  /** The type that the provider reports: `s3`, … */
  storageType: string;
  /** Returns the URL at which callers fetch the object of this key. */
  urlOf: (key: string) => Promise<string>;
}

/** Opens the store in a bucket, creating it on first use. Rejects with a StoreOpenError. */
export async function openObjectStorage(
  options: ObjectStorageOptions,
  context: ProviderContext,
): Promise<StorageProvider> {
  const store = await openStore(options, context);
  const stopUpkeep = startUpkeep(store, options);
  await store.synchronizer.settleWithin(FIRST_FILL_MS);
  return new ObjectStorage(store, options, stopUpkeep);
}

export class ObjectStorage extends BaseProvider {
  readonly storageType: string;
  protected override readonly policyRuns: TextFile;
  readonly #store: OpenStore;
  readonly #urlOf: (key: string) => Promise<string>;
  readonly #stopUpkeep: () => Promise<void>;
  readonly #checkSpace: (sizeBytes: number) => Promise<void>;
  /** Aborts requests that outlast the grace period of a close. */
  #cut: NodeJS.Timeout | undefined;

  constructor(
    store: OpenStore,
    { storageType, urlOf }: Pick<ObjectStorageOptions, 'storageType' | 'urlOf'>,
    stopUpkeep: () => Promise<void>,
  ) {
    super(store.context);
    this.#store = store;
    store.saves = () => this.saveLoad;
    const { policyRuns: path } = store.state;
    this.policyRuns = { read: () => readText(path), write: (text) => replaceFile(path, text) };
    this.storageType = storageType;
    this.#urlOf = urlOf;
    this.#stopUpkeep = stopUpkeep;
    const message = 'the disk of the state folder is full';
    this.#checkSpace = spaceCheck(store.state.folder, HEADROOM_BYTES, message, roomOf(store.state));
  }

  get storeId(): string {
    return this.#store.storeId;
  }

  get previewFolder(): PreviewFolder {
    return { path: this.#store.state.previews };
  }

  get health(): ProviderHealth {
    return this.#store.condition.health;
  }

  protected get catalog(): Pick<ImageIndex, 'find'> {
    return { find: (filename) => this.#folded(this.#find(filename)) };
  }

  /** Reads from the bucket when others write to it, or when the catalog has no such image. */
  async #find(filename: string): Promise<StoredRecord | undefined> {
    const { shared, catalog, objects } = this.#store;
    if (folderOf(filename) === undefined) return undefined;
    const record = shared ? undefined : await catalog.find(filename);
    if (record !== undefined) return record;
    const found = await readRecord(objects, filename);
    if (found.kind === 'live') return this.#withHash(found.record);
    // An image of which somebody removed the record is missing, not unknown.
    return found.kind === 'absent' && this.#store.synchronizer.keepsMissing ? catalog.find(filename) : undefined;
  }

  protected async completeCatalog(): Promise<ImageIndex> {
    this.#store.synchronizer.checkFilled();
    return this.#store.catalog;
  }

  protected override async currentCatalog(): Promise<ImageIndex> {
    const catalog = await this.completeCatalog();
    if (this.#store.shared && !(await this.#folded(this.#isWhole())))
      await this.#folded(this.#store.synchronizer.run());
    return catalog;
  }

  /** Returns whether a shared index is known to have all that its daemons acknowledged, without a comparison. */
  async #isWhole(): Promise<boolean> {
    const { index, synchronizer } = this.#store;
    return index !== undefined && synchronizer.filled && !owesOutcomes(this.#store) && index.isWhole();
  }

  protected override checkCountable(): void {
    this.#store.condition.checkComplete();
  }

  protected override async checkClock(): Promise<void> {
    if (await this.#folded(agree(this.#store, this.context.now()))) return;
    throw new StorageError('BACKEND_UNAVAILABLE', 'the clock of the daemon differs from that of the bucket');
  }

  protected override async claimRun(policy: string, everyMs: number): Promise<boolean> {
    this.#store.condition.checkWritable();
    return !this.#store.shared || this.#folded(claimRun(this.#store, policy, everyMs));
  }

  protected async checkWritable(sizeBytes: number): Promise<void> {
    this.#store.condition.checkWritable();
    await this.#checkSpace(sizeBytes);
  }

  protected async openUpload(filename: string, expectedBytes?: number): Promise<Upload> {
    return openUpload(this.#store, filename, expectedBytes);
  }

  protected async *readBytes(record: ImageRecord, range: ByteRange): AsyncGenerator<Uint8Array> {
    try {
      yield* readRange(this.#store.objects, record.key, range, (object) => checkObject(object, record));
    } catch (error) {
      throw failedWith(error, 'not_found')
        ? await this.#missing(record, range.trashed)
        : this.#store.condition.fold(error);
    }
  }

  /** Returns IMAGE_NOT_FOUND when the image was deleted since its record was read, else BYTES_MISSING. */
  async #missing({ filename }: ImageRecord, trashed = false): Promise<StorageError> {
    const found = await this.#folded(readRecord(this.#store.objects, filename));
    if (found.kind === 'tombstone' || (found.kind === 'trashed') !== trashed) return notFound();
    return new StorageError('BYTES_MISSING', 'the image was saved, and its object is gone');
  }

  protected async removeLive(filename: string, { permanent, ...spared }: RemoveOptions): Promise<DeleteOutcome> {
    if (folderOf(filename) === undefined) return { done: false, why: 'not_found' };
    this.#store.condition.checkWritable();
    const keepMs = permanent ? undefined : this.#store.keepMs;
    const outcome = await this.#folded(deleteImage(this.#store, filename, { ...spared, keepMs }));
    if (outcome.done || outcome.why !== 'lost') return outcome;
    // Whatever took its record may have taken most of them: that is to be known before more goes.
    await this.#folded(this.#store.synchronizer.run());
    this.#store.condition.checkComplete();
    return outcome;
  }

  protected async bringBack(filename: string): Promise<ChangeOutcome> {
    if (folderOf(filename) === undefined) return { done: false, why: 'not_found' };
    await this.checkWritable(0);
    return this.#described(this.#folded(restoreImage(this.#store, filename)));
  }

  protected async purgeTrashed(filename: string): Promise<Removal> {
    if (folderOf(filename) === undefined) return { done: false, why: 'not_found' };
    this.#store.condition.checkWritable();
    return this.#folded(purgeImage(this.#store, filename));
  }

  protected async nextPurgeTime(now: number): Promise<number | undefined> {
    const { keepMs } = this.#store;
    return keepMs === undefined ? undefined : now + keepMs;
  }

  protected async change(filename: string, changes: CheckedChanges): Promise<ChangeOutcome> {
    if (folderOf(filename) === undefined) return { done: false, why: 'not_found' };
    return this.#described(this.#folded(updateImage(this.#store, filename, changes)));
  }

  async #described(changing: Promise<ChangeOutcome>): Promise<ChangeOutcome> {
    const outcome = await changing;
    return outcome.done ? { ...outcome, record: await this.#withHash(outcome.record) } : outcome;
  }

  /** Adds what is derived of the image, which its record in the bucket does not have. */
  async #withHash(record: ImageRecord): Promise<StoredRecord> {
    const known = await withoutIndex(this.#store.index, () => this.#store.catalog.find(record.filename));
    const { thumbHash } = { ...known };
    const { generation } = settingsOf(record);
    return { ...record, ...(generation && { generation }), ...(thumbHash !== undefined && { thumbHash }) };
  }

  protected async findTrashed(filename: string): Promise<TrashedRecord | undefined> {
    const { shared, catalog, objects } = this.#store;
    if (!shared || folderOf(filename) === undefined) return catalog.findTrashed(filename);
    const found = await this.#folded(readRecord(objects, filename));
    if (found.kind !== 'trashed') return undefined;
    const { record, deleteTime, purgeTime } = found.trashed;
    return { ...record, deleteTime, purgeTime };
  }

  protected async isDeleted(filename: string): Promise<boolean> {
    if (folderOf(filename) === undefined) return false;
    const { kind } = await this.#folded(readRecord(this.#store.objects, filename));
    return kind === 'trashed' || kind === 'tombstone';
  }

  protected async openCopy(_filename: string, expectedBytes: number): Promise<CopyUpload> {
    return openCopy(this.#store, expectedBytes);
  }

  protected async *check(
    options: CheckOptions,
    forget: (filename: string) => Promise<boolean>,
  ): AsyncGenerator<Checked> {
    const run = <T>(work: () => Promise<T>) => options.run(() => this.#folded(work()));
    try {
      yield* verifyStore(this.#store, { ...options, run }, forget);
    } catch (error) {
      throw this.#store.condition.fold(error);
    }
  }

  protected async locate(record: ImageRecord): Promise<{ url: string }> {
    return { url: await this.#urlOf(record.key) };
  }

  protected async capacity(): Promise<object> {
    return {};
  }

  protected override beginClose(reason: StorageError): Promise<void> {
    const { closing, objects, context } = this.#store;
    closing.abort(reason);
    this.#cut = setTimeout(() => objects.close?.(), context.closeGraceMs ?? DEFAULT_CLOSE_GRACE_MS);
    return this.#stopUpkeep();
  }

  protected async release(): Promise<void> {
    const { journal, lock, objects, storeId, state } = this.#store;
    clearTimeout(this.#cut);
    await journal.idle();
    try {
      const isLeft = await this.#isLeftToOlder();
      await this.#closeCatalog();
      if (isLeft) await leaveToOlder(objects, storeId, state);
      await this.#changeIndex();
    } finally {
      objects.close?.();
      lock.release();
    }
  }

  async #closeCatalog(): Promise<void> {
    const { catalog, condition } = this.#store;
    try {
      await catalog.close(!condition.isDown);
    } catch (error) {
      const message = 'the catalog could not be closed clean; the next start puts it right';
      this.context.log.warn({ err: error, provider: this.name }, message);
    }
  }

  /** Requires that the index that is to be used has been compared with the bucket. */
  async #changeIndex(): Promise<void> {
    const { objects, storeId, state, hasTrash, context } = this.#store;
    const { formatChange } = context;
    if (formatChange !== 'migrate' && formatChange !== 'migrateBack') return;
    await changeIndex(objects, { storeId, hasTrash, hasPostgres: formatChange === 'migrate' }, state);
  }

  /** Rejects where the catalog has what the bucket does not tell. */
  async #isLeftToOlder(): Promise<boolean> {
    const { catalog, context } = this.#store;
    if (context.formatChange !== 'downgrade' || (await catalog.statistics()).trashCount > 0) return false;
    if ((await catalog.pendingOperations()).length === 0) return true;
    throw new StorageError('BACKEND_UNAVAILABLE', 'some operations are not settled yet; try again');
  }

  async #folded<T>(work: Promise<T>): Promise<T> {
    try {
      return await work;
    } catch (error) {
      throw this.#store.condition.fold(error);
    }
  }
}

/** Throws BYTES_CORRUPT unless the size and, when the object has it, the sha256 are those of the record. */
function checkObject({ size, metadata }: StoredObject, record: ImageRecord): void {
  if (size === record.size && (metadata.sha256 ?? record.sha256) === record.sha256) return;
  throw new StorageError('BYTES_CORRUPT', 'the stored object is not the one that was saved');
}
