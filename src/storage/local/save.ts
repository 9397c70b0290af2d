/** One save into a local store: steps 1 to 7 of the Save protocol (docs/architecture.md). */
import { rename } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { EarlierSave } from '../catalog/catalog.ts';
import { hasCode, type Inode, linkNew, unlinkIfPresent, unlinkIfSame } from '../disk/files.ts';
import { createFile, type NewFile } from '../disk/new-file.ts';
import { writePlain } from '../disk/plain-files.ts';
import { StorageError, throwIfCancelled } from '../domain/errors.ts';
import { checkReplay } from '../domain/fingerprint.ts';
import { imageKey, withShortId } from '../domain/naming.ts';
import type { ImageRecord } from '../domain/record.ts';
import { formatRecord } from '../domain/record-file.ts';
import type { ByteBatch } from '../domain/requests.ts';
import type { Committed, Upload } from '../types.ts';
import type { Layout } from './layout.ts';
import type { LocalStore } from './store.ts';

/** How many bytes arrive between two early syncs. */
const EARLY_SYNC_BYTES = 2 * 1024 * 1024;

/** The name of an `exact` upload is taken. Nothing of the upload is left. */
export class FilenameTaken extends Error {
  override readonly name = 'FilenameTaken';
}

/**
 * Creates the part exclusively, under another short id while the name is taken. With `exact`, a taken name rejects with
 * FilenameTaken, here or at the commit, and an idempotency key that another image has is left out.
 */
export async function openUpload(store: LocalStore, wanted: string, exact = false): Promise<Upload> {
  for (let filename = wanted; ; filename = withShortId(filename, store.context.shortId())) {
    try {
      const create = () => store.folders.within(store.layout.staging, () => createFile(store.layout.part(filename)));
      const part = await store.reserve.write(create);
      store.context.failpoint('part-opened');
      return new LocalUpload(store, filename, part, exact);
    } catch (error) {
      if (!hasCode(error, 'EEXIST')) throw error;
      if (exact) throw new FilenameTaken();
    }
  }
}

/** Returns the paths of an upload's files under this name. */
function placesOf(layout: Layout, filename: string) {
  return {
    part: layout.part(filename),
    stagedRecord: layout.stagedRecord(filename),
    image: layout.image(filename),
    record: layout.record(filename),
  };
}

class LocalUpload implements Upload {
  filename: string;
  #places: ReturnType<typeof placesOf>;
  readonly #store: LocalStore;
  readonly #part: NewFile;
  readonly #exact: boolean;
  #linked = false;
  #inode: Inode | undefined;
  #size = 0;
  /** What the early syncs have begun with. */
  #syncedSize = 0;
  #syncing: Promise<void> | undefined;
  #syncFailure: Error | undefined;

  constructor(store: LocalStore, filename: string, part: NewFile, exact: boolean) {
    this.#store = store;
    this.filename = filename;
    this.#places = placesOf(store.layout, filename);
    this.#part = part;
    this.#exact = exact;
  }

  async write(chunks: ByteBatch): Promise<void> {
    if (this.#syncFailure !== undefined) throw this.#syncFailure;
    await this.#store.reserve.write(() => this.#part.write(chunks, this.#size));
    for (const { length } of chunks) this.#size += length;
    this.#store.context.failpoint('chunk-written');
    if (this.#size - this.#syncedSize >= EARLY_SYNC_BYTES) this.#syncEarly();
  }

  /** The disk works while bytes arrive: the last sync waits for a rest only. One at a time; a failure is the upload's. */
  #syncEarly(): void {
    if (this.#syncing !== undefined) return;
    this.#syncedSize = this.#size;
    this.#syncing = this.#part.sync().then(
      () => {
        this.#syncing = undefined;
        this.#store.context.failpoint('bytes-synced-early');
      },
      (error) => {
        // The kernel reports it once: a later sync would succeed.
        this.#syncFailure = error;
        this.#syncing = undefined;
      },
    );
  }

  readAt(position: number, lengthBytes: number): Promise<Buffer> {
    return this.#part.readAt(position, Math.min(lengthBytes, this.#size - position));
  }

  async commit(wanted: ImageRecord, signal?: AbortSignal): Promise<Committed> {
    const { meter } = this.#store.context;
    const commit = async () => {
      const began = performance.now();
      try {
        if (wanted.filename !== this.filename) await this.#moveTo(wanted.filename);
        await this.#store.folders.setFileMode(this.#places.part);
        this.#inode = this.#part.identity();
        // Nobody is shown an image without a row: its bytes must be durable before the commit, no sooner.
        const synced = this.#sync(wanted.size);
        const placed = this.#store.reserve.write(() => this.#place(wanted));
        // Both: what they made is removed next where one fails.
        await Promise.allSettled([synced, placed]);
        await synced;
        const record = await placed;
        throwIfCancelled(signal);
        const durableAt = performance.now();
        meter?.stage('sync', durableAt - began);
        const committed = await this.#store.reserve.write(() => this.#commitPlaced(record));
        meter?.stage('commit', performance.now() - durableAt);
        return committed;
      } catch (error) {
        throw await this.#withdraw(error);
      }
    };
    if (wanted.idempotencyKey === '') return commit();
    return this.#store.byKey.run(wanted.idempotencyKey, commit);
  }

  async discard(): Promise<void> {
    await this.#syncing;
    await this.#part.close().catch(() => undefined);
    await this.#unlink();
  }

  /** Unlinks the part last: by its inode the next start knows whether the image is this upload's. */
  async #unlink(): Promise<void> {
    const { stagedRecord, image, part } = this.#places;
    await unlinkIfPresent(stagedRecord);
    if (this.#inode !== undefined) await unlinkIfSame(image, this.#inode);
    await unlinkIfPresent(part);
  }

  async #sync(size: number): Promise<void> {
    await this.#syncing;
    if (this.#syncFailure !== undefined) throw this.#syncFailure;
    await this.#part.sync();
    const kept = this.#part.closeSynced();
    if (kept !== size) throw new Error(`${kept} bytes were kept of ${size} written`);
    this.#store.context.failpoint('bytes-synced');
  }

  /** Gives the bytes their final name and stages the record. */
  async #place(wanted: ImageRecord): Promise<ImageRecord> {
    const { context, folders } = this.#store;
    await this.#link();
    context.failpoint('linked');
    const record = { ...wanted, filename: this.filename, key: imageKey(this.filename) };
    await writePlain(this.#places.stagedRecord, formatRecord(record));
    await folders.setFileMode(this.#places.stagedRecord);
    context.failpoint('record-staged');
    return record;
  }

  /** An image that was copied in came now, whenever it was saved. */
  get #arrival(): { arrival?: number } {
    return this.#exact ? { arrival: this.#store.context.now() } : {};
  }

  async #commitPlaced(placed: ImageRecord): Promise<Committed> {
    const { committer, layout } = this.#store;
    // Repeated after it met a full disk, it may have another name by now.
    const first = placed.filename === this.filename ? placed : await this.#place(placed);
    for (let record = first; ; record = await this.#place(record)) {
      const folders = [dirname(this.#places.image), layout.staging];
      const outcome = await committer.submit({ kind: 'insert', record, ...this.#arrival }, folders);
      if (outcome.done) return { record, replayed: false, deleted: false, settled: this.#settle() };
      if (outcome.why !== 'key_taken') await this.#rename();
      else if (this.#exact) record = { ...record, idempotencyKey: '' };
      else return this.#replay(outcome, record);
    }
  }

  /** Links the bytes to their final name; never overwrites an existing file. */
  async #link(): Promise<void> {
    const { folders } = this.#store;
    const link = () => linkNew(this.#places.part, this.#places.image);
    while (!this.#linked) {
      this.#linked = await folders.within(dirname(this.#places.image), link);
      if (!this.#linked) await this.#rename();
    }
  }

  /** Moves the upload to another short id. */
  async #rename(): Promise<void> {
    if (this.#exact) throw new FilenameTaken();
    await this.#moveTo(withShortId(this.filename, this.#store.context.shortId()));
  }

  /** Moves the upload to this name, or to one with another short id where it is taken. */
  async #moveTo(wanted: string): Promise<void> {
    const { layout, context, reserve } = this.#store;
    let next = wanted;
    while (!(await reserve.write(() => linkNew(this.#places.part, layout.part(next)))))
      next = withShortId(next, context.shortId());
    context.failpoint('part-renamed');
    await this.#unlink();
    this.filename = next;
    this.#places = placesOf(layout, next);
    this.#linked = false;
  }

  async #replay({ record: first, deleted }: EarlierSave, wanted: ImageRecord): Promise<Committed> {
    await this.discard();
    checkReplay(first, wanted);
    return { record: first, replayed: true, deleted, settled: Promise.resolve() };
  }

  /** Step 7, after the answer. The next start or upkeep repairs what fails here. */
  #settle(): Promise<void> {
    const { folders, byFilename, condition, context } = this.#store;
    const { filename } = this;
    const { part, stagedRecord, record } = this.#places;
    return byFilename.run(filename, async () => {
      try {
        await folders.within(dirname(record), () => rename(stagedRecord, record));
        context.failpoint('record-placed');
        await unlinkIfPresent(part);
        context.failpoint('part-unlinked');
      } catch (error) {
        context.log.warn({ err: error, provider: context.name, filename }, 'a record stays in staging for now');
        await condition.fold(error);
      }
    });
  }

  /** Removes all files of the upload, unless the outcome is unknown: then they stay, and the restart decides. */
  async #withdraw(error: unknown): Promise<Error> {
    if (error instanceof FilenameTaken) {
      await this.discard();
      return error;
    }
    const folded = await this.#store.condition.fold(error);
    if (folded.outcomeUnknown) return folded;
    try {
      await this.discard();
      return folded;
    } catch (cause) {
      return new StorageError('STORAGE_IO', 'the storage failed and could not be cleaned', {
        cause,
        outcomeUnknown: true,
      });
    }
  }
}
