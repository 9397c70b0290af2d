/** Verifies a local store: each row of the catalog with its files, then each file with the catalog. */
import { createHash } from 'node:crypto';
import type { Dirent } from 'node:fs';
import { createReadStream } from 'node:fs';
import { readdir, stat } from 'node:fs/promises';
import { basename, dirname, join, relative } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import type { ImageRecord } from '../catalog/types.ts';
import { StorageError } from '../errors.ts';
import { allRecords } from '../maintenance/records.ts';
import type { Checked, CheckOptions, Finding, Problem } from '../maintenance/types.ts';
import { folderOf, imageKey, KEY_ROOT, recordKey } from '../naming.ts';
import { mapInParallel } from '../parallel.ts';
import { parseRecord } from '../record-file.ts';
import { adoptImage } from './adopt.ts';
import { hasCode, ifPresent, inodeOf, readText } from './files.ts';
import { quarantine } from './quarantine.ts';
import { restoreRecord } from './recovery.ts';
import type { LocalStore } from './store.ts';

const ROWS_AT_ONCE = 8;
const FILES_AT_ONCE = 500;
const CHUNK_BYTES = 1 << 20;

/**
 * A finding may be told once its remedy is done. Files that a save or a delete has in hand are none: each is judged in the
 * queue of its filename, and a save in flight has a part in staging.
 */
export async function* verifyFiles(
  store: LocalStore,
  options: CheckOptions,
  forget: (filename: string) => Promise<boolean>,
): AsyncGenerator<Checked> {
  await store.condition.checkWritable();
  // Where all images are gone, it is the disk that is missing.
  if ((await inodeOf(store.layout.images)) === undefined && (await store.catalog.statistics()).count > 0) {
    throw new StorageError('STORE_REPLACED', 'the folder of the images is gone; mount or restore it');
  }
  const check = new LocalCheck(store, options, forget);
  const rows = allRecords(store.catalog, { order: 'oldest' });
  yield* mapInParallel(ROWS_AT_ONCE, rows, (record) => options.run(() => check.row(record)));
  for (const root of [dirname(store.layout.images), store.layout.records]) {
    for await (const files of filesBelow(root)) yield* check.files(files);
  }
}

class LocalCheck {
  readonly #store: LocalStore;
  readonly #options: CheckOptions;
  readonly #forget: (filename: string) => Promise<boolean>;

  constructor(store: LocalStore, options: CheckOptions, forget: (filename: string) => Promise<boolean>) {
    this.#store = store;
    this.#options = options;
    this.#forget = forget;
  }

  async row(record: ImageRecord): Promise<Checked> {
    const { byFilename } = this.#store;
    const bytes = await this.#bytes(record);
    // Its record went with it, and is no news.
    if (bytes?.remedy === 'forgotten') return { sizeBytes: record.size, findings: [bytes] };
    const text = await byFilename.run(record.filename, () => this.#record(record));
    return { sizeBytes: record.size, findings: [bytes, text].filter((finding) => finding !== undefined) };
  }

  async #bytes(record: ImageRecord): Promise<Finding | undefined> {
    const { catalog, layout } = this.#store;
    const { filename } = record;
    const wrong = await this.#compare(layout.image(filename), record);
    // Deleted since its row was read.
    if (wrong === undefined || (await catalog.find(filename)) === undefined) return undefined;
    const finding: Finding = { ...wrong, remedy: 'none', key: record.key, filename };
    if (wrong.problem !== 'bytes_missing' || !this.#options.forgetMissing) return finding;
    return (await this.#forget(filename)) ? { ...finding, remedy: 'forgotten' } : undefined;
  }

  async #compare(path: string, record: ImageRecord): Promise<Pick<Finding, 'problem' | 'detail'> | undefined> {
    const found = await ifPresent(stat(path));
    if (found === undefined) return { problem: 'bytes_missing' };
    if (found.size !== record.size) {
      return { problem: 'size_differs', detail: `${found.size} bytes instead of ${record.size}` };
    }
    if (!this.#options.deep) return undefined;
    try {
      return (await sha256Of(path)) === record.sha256 ? undefined : { problem: 'checksum_differs' };
    } catch (error) {
      if (hasCode(error, 'ENOENT')) return { problem: 'bytes_missing' };
      return { problem: 'checksum_differs', detail: `it cannot be read (${(error as NodeJS.ErrnoException).code})` };
    }
  }

  async #record({ filename }: ImageRecord): Promise<Finding | undefined> {
    const { catalog, folders, layout } = this.#store;
    const record = await catalog.find(filename);
    const path = layout.record(filename);
    const text = await readText(path);
    const told = parseRecord(text ?? '', filename);
    if (record === undefined || isDeepStrictEqual(told, record)) return undefined;
    // On its way into its place, or waiting there for the next start.
    if (text === undefined && (await inodeOf(layout.stagedRecord(filename))) !== undefined) return undefined;
    const detail = text === undefined ? 'it is missing' : told === undefined ? 'it is torn' : 'it tells something else';
    const finding = { problem: 'record_damaged', remedy: 'none', key: recordKey(filename), filename, detail } as const;
    return this.#remedied(finding, 'restored', async () => {
      if (text !== undefined) await quarantine(layout, folders, path);
      await restoreRecord(layout, folders, catalog, filename);
    });
  }

  /** Of one folder: those that no row tells of. */
  async *files(paths: string[]): AsyncGenerator<Checked> {
    const named = paths.map((path) => ({ path, filename: this.#filenameOf(path) }));
    const standing = await this.#store.catalog.standing(named.map(({ filename = '' }) => filename));
    for (const [index, { path, filename }] of named.entries()) {
      if (standing[index] === 'live') continue;
      const finding = await this.#options.run(() => this.#stray(path, filename));
      if (finding !== undefined) yield { findings: [finding] };
    }
  }

  /** The image that a file belongs to, when it lies in its place. */
  #filenameOf(path: string): string | undefined {
    const { layout } = this.#store;
    const name = basename(path);
    const filename = path.startsWith(layout.records) ? name.replace(/\.json(\.tmp)?$/, '') : name;
    if (folderOf(filename) === undefined) return undefined;
    const record = layout.record(filename);
    return [layout.image(filename), record, `${record}.tmp`].includes(path) ? filename : undefined;
  }

  #stray(path: string, filename: string | undefined): Promise<Finding | undefined> {
    if (filename === undefined) return this.#quarantined(path, 'foreign', {});
    return this.#store.byFilename.run(filename, async () => {
      const { layout } = this.#store;
      const isImage = path === layout.image(filename);
      if (isImage && (await inodeOf(layout.part(filename))) !== undefined) return undefined;
      const [standing] = await this.#store.catalog.standing([filename]);
      if (standing === 'live' || standing === 'unlinking' || (await inodeOf(path)) === undefined) return undefined;
      if (!isImage) return this.#strayRecord(path, filename);
      if (standing === 'deleted') return this.#quarantined(path, 'deleted_before', { filename });
      return this.#notCommitted(path, filename);
    });
  }

  async #strayRecord(path: string, filename: string): Promise<Finding | undefined> {
    // Where the bytes are, they are the finding.
    if ((await inodeOf(this.#store.layout.image(filename))) !== undefined) return undefined;
    return this.#quarantined(path, 'record_alone', { filename });
  }

  async #notCommitted(path: string, filename: string): Promise<Finding> {
    const finding = { problem: 'not_committed', remedy: 'none', key: imageKey(filename), filename } as const;
    if (!this.#options.repair) return finding;
    try {
      await adoptImage(this.#store, filename);
      return { ...finding, remedy: 'adopted' };
    } catch (error) {
      if (!(error instanceof StorageError) || error.code !== 'invalid_argument') throw error;
      return this.#quarantined(path, 'not_committed', { filename, detail: error.message });
    }
  }

  #quarantined(path: string, problem: Problem, about: Pick<Finding, 'filename' | 'detail'>): Promise<Finding> {
    const { folders, layout } = this.#store;
    const key = KEY_ROOT + relative(layout.basePath, path).replaceAll('\\', '/');
    const finding: Finding = { problem, remedy: 'none', key, ...about };
    return this.#remedied(finding, 'quarantined', () => quarantine(layout, folders, path));
  }

  /** What the file system refuses for one file is told with it. */
  async #remedied(finding: Finding, remedy: Finding['remedy'], work: () => Promise<void>): Promise<Finding> {
    if (!this.#options.repair) return finding;
    try {
      await work();
      return { ...finding, remedy };
    } catch (error) {
      if (!hasCode(error, 'EPERM', 'EACCES', 'EISDIR', 'ENOTDIR', 'EBUSY', 'EXDEV', 'EIO')) throw error;
      return { ...finding, detail: `it cannot be repaired (${(error as NodeJS.ErrnoException).code})` };
    }
  }
}

async function sha256Of(path: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(path, { highWaterMark: CHUNK_BYTES })) hash.update(chunk as Buffer);
  return hash.digest('hex');
}

/** The regular files of each folder in turn, 500 at most at once. Links are somebody's own arrangement. */
async function* filesBelow(folder: string): AsyncGenerator<string[]> {
  const entries: Dirent[] = (await ifPresent(readdir(folder, { withFileTypes: true }))) ?? [];
  const files = entries.filter((entry) => entry.isFile()).map((entry) => join(folder, entry.name));
  for (let start = 0; start < files.length; start += FILES_AT_ONCE) yield files.slice(start, start + FILES_AT_ONCE);
  for (const entry of entries) if (entry.isDirectory()) yield* filesBelow(join(folder, entry.name));
}
