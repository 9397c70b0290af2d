/** One save on its way into a local store: steps 1 to 7 of the Save protocol (docs/architecture.md). */
import { fstatSync } from 'node:fs';
import { type FileHandle, open, rename, writeFile } from 'node:fs/promises';
import type { ImageRecord } from '../catalog/types.ts';
import { StorageError, throwIfCancelled } from '../errors.ts';
import { imageKey, withShortId } from '../naming.ts';
import type { Committed, Upload } from '../providers/base-provider.ts';
import { formatRecord } from '../record-file.ts';
import { hasCode, type Inode, linkNew, unlinkIfPresent, unlinkIfSame, writeFully } from './files.ts';
import { foldersOf, type LocalStore } from './store.ts';

/** Opens the part exclusively, under another short id while the name is taken. */
export async function openUpload(store: LocalStore, wanted: string): Promise<Upload> {
  for (let filename = wanted; ; filename = withShortId(filename, store.context.shortId())) {
    try {
      const part = await store.folders.within(store.layout.staging, () => open(store.layout.part(filename), 'wx'));
      store.context.failpoint('part-opened');
      return new LocalUpload(store, filename, part);
    } catch (error) {
      if (!hasCode(error, 'EEXIST')) throw error;
    }
  }
}

class LocalUpload implements Upload {
  filename: string;
  readonly #store: LocalStore;
  readonly #part: FileHandle;
  #inode: Inode | undefined;
  #size = 0;

  constructor(store: LocalStore, filename: string, part: FileHandle) {
    this.#store = store;
    this.filename = filename;
    this.#part = part;
  }

  async write(chunk: Uint8Array): Promise<void> {
    await writeFully(this.#part, chunk, this.#size);
    this.#size += chunk.length;
    this.#store.context.failpoint('chunk-written');
  }

  async commit(record: ImageRecord, signal?: AbortSignal): Promise<Committed> {
    const commit = async () => {
      try {
        await this.#sync(record.size);
        throwIfCancelled(signal);
        return await this.#commitOnce(record);
      } catch (error) {
        throw await this.#withdraw(error);
      }
    };
    if (record.idempotencyKey === '') return commit();
    return this.#store.byKey.run(record.idempotencyKey, commit);
  }

  async discard(): Promise<void> {
    const { layout } = this.#store;
    await this.#part.close().catch(() => undefined);
    await unlinkIfPresent(layout.stagedRecord(this.filename));
    if (this.#inode !== undefined) await unlinkIfSame(layout.image(this.filename), this.#inode);
    await unlinkIfPresent(layout.part(this.filename));
  }

  async #sync(size: number): Promise<void> {
    await this.#part.datasync();
    // Answered from memory: a turn in the thread pool would take longer.
    const stats = fstatSync(this.#part.fd, { bigint: true });
    if (stats.size !== BigInt(size)) throw new Error(`${stats.size} bytes were kept of ${size} written`);
    this.#inode = { dev: stats.dev, ino: stats.ino };
    await this.#part.close();
    this.#store.context.failpoint('bytes-synced');
  }

  async #commitOnce(wanted: ImageRecord): Promise<Committed> {
    const { committer, layout, context } = this.#store;
    for (;;) {
      await this.#link();
      context.failpoint('linked');
      const record = { ...wanted, filename: this.filename, key: imageKey(this.filename) };
      await writeFile(layout.stagedRecord(this.filename), formatRecord(record));
      context.failpoint('record-staged');
      const folders = [foldersOf(layout, this.filename).image, layout.staging];
      const outcome = await committer.submit({ kind: 'insert', record }, folders);
      if (outcome.done) return { record, replayed: false, settled: this.#settle() };
      if (outcome.why === 'key_taken') return this.#replay(outcome.record, wanted);
      await this.#rename();
    }
  }

  /** Gives the bytes their final name; one that exists is never overwritten. */
  async #link(): Promise<void> {
    const { layout, folders } = this.#store;
    const link = () => linkNew(layout.part(this.filename), layout.image(this.filename));
    while (!(await folders.within(foldersOf(layout, this.filename).image, link))) await this.#rename();
  }

  /** Moves everything staged to another short id. */
  async #rename(): Promise<void> {
    const { layout, context } = this.#store;
    const old = this.filename;
    let next: string;
    do next = withShortId(old, context.shortId());
    while (!(await linkNew(layout.part(old), layout.part(next))));
    if (this.#inode !== undefined) await unlinkIfSame(layout.image(old), this.#inode);
    await unlinkIfPresent(layout.stagedRecord(old));
    await unlinkIfPresent(layout.part(old));
    this.filename = next;
  }

  async #replay(first: ImageRecord, wanted: ImageRecord): Promise<Committed> {
    await this.discard();
    if (first.fingerprint !== wanted.fingerprint) {
      const message = 'this key was used for another image';
      throw new StorageError('IDEMPOTENCY_KEY_REUSED', message, { field: 'idempotency_key' });
    }
    return { record: first, replayed: true, settled: Promise.resolve() };
  }

  /** Step 7, behind the answer. What fails here is put right by the next start or the record pass. */
  #settle(): Promise<void> {
    const { layout, folders, byFilename, condition, context } = this.#store;
    const { filename } = this;
    return byFilename.run(filename, async () => {
      try {
        const move = () => rename(layout.stagedRecord(filename), layout.record(filename));
        await folders.within(foldersOf(layout, filename).record, move);
        context.failpoint('record-placed');
        await unlinkIfPresent(layout.part(filename));
        context.failpoint('part-unlinked');
      } catch (error) {
        context.log.warn({ err: error, provider: context.name, filename }, 'a record stays in staging for now');
        await condition.foldCommitError(error);
      }
    });
  }

  /** Leaves nothing behind, unless the outcome is unknown: then every file stays for the restart. */
  async #withdraw(error: unknown): Promise<StorageError> {
    const folded = await this.#store.condition.foldCommitError(error);
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
