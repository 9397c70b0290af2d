/** Verifies a local store: each row of the catalog against its files, then each file against the catalog. */
import { readdir } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { mapInParallel } from '../async/parallel.ts';
import type { ImageIndex } from '../catalog/catalog.ts';
import { Folders, hasCode, ifPresent, inodeOf, readText } from '../disk/files.ts';
import { NotPlainError, statPlain } from '../disk/plain-files.ts';
import { StorageError } from '../domain/errors.ts';
import type { Finding } from '../domain/maintenance.ts';
import { folderOf, imageKey, recordKey } from '../domain/naming.ts';
import type { ImageRecord } from '../domain/record.ts';
import { parseRecord } from '../domain/record-file.ts';
import type { Checked, CheckOptions } from '../maintenance/maintenance.ts';
import { allRecords } from '../maintenance/records.ts';
import { mostAreMissing } from '../maintenance/verify.ts';
import { adoptImage, correctRecord, isSound } from './adopt.ts';
import { flawInBytes, Remedies, refusalIn } from './remedies.ts';
import type { LocalStore } from './store.ts';
import { moveFromTrash, moveToTrash } from './trash-files.ts';
import { TrashCheck } from './verify-trash.ts';

const ROWS_AT_ONCE = 8;
const FILES_AT_ONCE = 500;
const MISSING = 'it is missing';

/**
 * Yields a finding once its remedy is done. Reports no file of a save or delete in progress: each file is checked in
 * the queue of its filename, and a save in progress has a part in staging.
 */
export async function* verifyStore(
  store: LocalStore,
  options: CheckOptions,
  forget: (filename: string) => Promise<boolean>,
): AsyncGenerator<Checked> {
  await store.condition.checkWritable();
  const page: ImageIndex['page'] = (...request) => options.run(() => store.catalog.page(...request));
  const rows = () => allRecords({ page }, { order: 'oldest' });
  if (options.forgetMissing) await checkMostBytes(store, rows());
  const check = new LocalCheck(store, options, forget);
  yield* mapInParallel(ROWS_AT_ONCE, rows(), (record) => options.run(() => check.row(record)));
  const { images, records, metadata, staging, logs } = store.layout;
  for (const root of [dirname(images), records]) {
    for await (const { files, others } of entriesBelow(root)) {
      yield* check.files(files);
      yield* check.others(others);
    }
  }
  yield* new TrashCheck(store, options).all(trashedFiles(store));
  for (const folder of [metadata, staging, logs]) yield* check.others((await entriesOf(folder)).others);
}

async function* trashedFiles({ layout }: LocalStore): AsyncGenerator<string[]> {
  for await (const { files } of entriesBelow(layout.trash)) yield files;
}

/** Rejects with STORE_REPLACED where most images have no bytes: their disk is probably not mounted. */
async function checkMostBytes({ layout }: LocalStore, rows: AsyncIterable<ImageRecord>): Promise<void> {
  let [there, missing] = [0, 0];
  for await (const { filename } of rows) {
    if ((await inodeOf(layout.image(filename))) === undefined) missing += 1;
    else there += 1;
  }
  if (missing > there) throw mostAreMissing('folder');
}

class LocalCheck {
  readonly #store: LocalStore;
  /** Of this run: the store's own looks at each folder once. */
  readonly #folders: Folders;
  readonly #options: CheckOptions;
  readonly #forget: (filename: string) => Promise<boolean>;
  readonly #remedies: Remedies;

  constructor(store: LocalStore, options: CheckOptions, forget: (filename: string) => Promise<boolean>) {
    this.#store = store;
    this.#folders = new Folders(store.layout.basePath);
    this.#options = options;
    this.#forget = forget;
    this.#remedies = new Remedies(store, options);
  }

  async row(record: ImageRecord): Promise<Checked> {
    const { byFilename } = this.#store;
    const bytes = await this.#bytes(record);
    // Forgetting the image removed its record, too.
    if (bytes?.remedy === 'forgotten') return { sizeBytes: record.size, findings: [bytes] };
    const text = await byFilename.run(record.filename, () => this.#record(record));
    return { sizeBytes: record.size, findings: [bytes, text].filter((finding) => finding !== undefined) };
  }

  async #bytes(record: ImageRecord): Promise<Finding | undefined> {
    const { catalog, condition, layout } = this.#store;
    const { filename } = record;
    const wrong = await flawInBytes(this.#folders, layout.image(filename), record, this.#options.deep);
    // Deleted since its row was read.
    if (wrong === undefined || (await catalog.find(filename)) === undefined) return undefined;
    if (wrong.problem === 'bytes_missing') await condition.checkImages();
    const finding: Finding = { ...wrong, remedy: 'none', key: record.key, filename };
    if (wrong.problem === 'bytes_missing' && (await inodeOf(layout.trashedImage(filename))) !== undefined) {
      return this.#broughtBack(finding, record);
    }
    if (wrong.problem !== 'bytes_missing' || !this.#options.forgetMissing) return finding;
    return (await this.#forget(filename)) ? { ...finding, remedy: 'forgotten' } : undefined;
  }

  /** A live image has its files in the live tree, whatever moved them. */
  #broughtBack(finding: Finding, record: ImageRecord): Promise<Finding | undefined> {
    const { byFilename, catalog } = this.#store;
    const missing = { ...finding, detail: 'its file is in the trash' };
    const { filename } = record;
    return byFilename.run(filename, async () => {
      // Deleted since: its file is where it belongs.
      if ((await catalog.find(filename)) === undefined) return undefined;
      return this.#remedies.remedied(missing, 'restored', () => moveFromTrash(this.#store, record));
    });
  }

  async #record({ filename }: ImageRecord): Promise<Finding | undefined> {
    const { catalog, layout } = this.#store;
    const detail = await this.#flawInRecord(await catalog.find(filename));
    // A staged record is about to be placed, or waits for the next start.
    const isStaged = async () => (await inodeOf(layout.stagedRecord(filename))) !== undefined;
    if (detail === undefined || (detail === MISSING && (await isStaged()))) return undefined;
    const finding = { problem: 'record_damaged', remedy: 'none', key: recordKey(filename), filename, detail } as const;
    return this.#remedies.remedied(finding, 'restored', () => correctRecord(this.#store, filename));
  }

  /** Returns what is wrong with the record file, in words, or undefined. */
  async #flawInRecord(record: ImageRecord | undefined): Promise<string | undefined> {
    if (record === undefined) return undefined;
    try {
      const text = await readText(this.#store.layout.record(record.filename));
      if (text === undefined) return MISSING;
      const told = parseRecord(text, record.filename);
      if (told === undefined) return 'it is torn';
      return isSound(told, record) ? undefined : 'it tells something else';
    } catch (error) {
      return `it cannot be read (${refusalIn(error)})`;
    }
  }

  /** Checks the files of one folder that belong to no live row. */
  async *files(paths: string[]): AsyncGenerator<Checked> {
    const named = paths.map((path) => ({ path, filename: this.#filenameOf(path) }));
    const filenames = named.map(({ filename = '' }) => filename);
    const states = await this.#options.run(() => this.#store.catalog.rowStates(filenames));
    for (const [index, { path, filename }] of named.entries()) {
      if (states[index] === 'live') continue;
      const finding = await this.#options.run(() => this.#stray(path, filename));
      if (finding !== undefined) yield { findings: [finding] };
    }
  }

  /** Reports what is neither a plain file nor a folder, and leaves it alone. */
  async *others(paths: string[]): AsyncGenerator<Checked> {
    for (const path of paths) {
      const finding = await this.#options.run(() => this.#other(path, this.#filenameOf(path)));
      if (finding !== undefined) yield { findings: [finding] };
    }
  }

  async #other(path: string, filename: string | undefined): Promise<Finding | undefined> {
    const what = await notPlainAt(path);
    if (what === undefined) return undefined;
    // That of a live row was reported with the row.
    if (filename !== undefined && (await this.#store.catalog.rowStates([filename]))[0] === 'live') return undefined;
    const detail = `it is ${what}, neither a plain file nor a folder`;
    return {
      problem: 'foreign',
      remedy: 'none',
      key: this.#remedies.keyOf(path),
      detail,
      ...(filename && { filename }),
    };
  }

  /** Returns the filename of the image that owns this path, or undefined. */
  #filenameOf(path: string): string | undefined {
    const { layout } = this.#store;
    const name = basename(path);
    const filename = path.startsWith(layout.records) ? name.replace(/\.json(\.tmp)?$/, '') : name;
    if (folderOf(filename) === undefined) return undefined;
    const record = layout.record(filename);
    return [layout.image(filename), record, `${record}.tmp`].includes(path) ? filename : undefined;
  }

  async #stray(path: string, filename: string | undefined): Promise<Finding | undefined> {
    if (filename === undefined) {
      return (await inodeOf(path)) === undefined ? undefined : this.#remedies.quarantined(path, 'foreign', {});
    }
    return this.#store.byFilename.run(filename, async () => {
      const { layout } = this.#store;
      const isImage = path === layout.image(filename);
      if (isImage && (await inodeOf(layout.part(filename))) !== undefined) return undefined;
      const [state] = await this.#store.catalog.rowStates([filename]);
      if (state === 'live' || state === 'unlinking' || state === 'trashing') return undefined;
      if ((await inodeOf(path)) === undefined) return undefined;
      if (state === 'trashed') return this.#ofTrashed(path, filename);
      if (!isImage) return this.#strayRecord(path, filename);
      if (state === 'deleted') return this.#remedies.quarantined(path, 'deleted_before', { filename });
      return this.#notCommitted(path, filename);
    });
  }

  /** What the trash has already is put aside; what it lacks goes there. */
  async #ofTrashed(path: string, filename: string): Promise<Finding | undefined> {
    const { catalog, layout } = this.#store;
    const row = await catalog.findTrashed(filename);
    if (row === undefined) return undefined;
    const place = path === layout.image(filename) ? layout.trashedImage(filename) : layout.trashedRecord(filename);
    const about = { filename, detail: 'the image is in the trash' };
    if ((await inodeOf(place)) !== undefined) return this.#remedies.quarantined(path, 'deleted_before', about);
    const finding = { problem: 'deleted_before', remedy: 'none', key: this.#remedies.keyOf(path), ...about } as const;
    return this.#remedies.remedied(finding, 'restored', () => moveToTrash(this.#store, row));
  }

  async #strayRecord(path: string, filename: string): Promise<Finding | undefined> {
    // Where the image file exists, it is the finding.
    if ((await inodeOf(this.#store.layout.image(filename))) !== undefined) return undefined;
    return this.#remedies.quarantined(path, 'record_alone', { filename });
  }

  async #notCommitted(path: string, filename: string): Promise<Finding> {
    const finding = { problem: 'not_committed', remedy: 'none', key: imageKey(filename), filename } as const;
    try {
      return await this.#remedies.remedied(finding, 'adopted', () => adoptImage(this.#store, filename));
    } catch (error) {
      if (!(error instanceof StorageError) || error.code !== 'invalid_argument') throw error;
      return this.#remedies.quarantined(path, 'not_committed', { filename, detail: error.message });
    }
  }
}

/** Returns what a path is, such as `a link`; undefined for a plain file, or where nothing is. */
async function notPlainAt(path: string): Promise<string | undefined> {
  try {
    await statPlain(path);
    return undefined;
  } catch (error) {
    if (error instanceof NotPlainError) return error.what;
    if (hasCode(error, 'ENOENT', 'ENOTDIR')) return undefined;
    throw error;
  }
}

interface Entries {
  files: string[];
  folders: string[];
  /** Links, pipes, sockets and devices. */
  others: string[];
}

/** Returns the paths in a folder by their kind. */
async function entriesOf(folder: string): Promise<Entries> {
  const entries = (await ifPresent(readdir(folder, { withFileTypes: true }))) ?? [];
  const kinds = Map.groupBy(entries, (entry) =>
    entry.isFile() ? 'files' : entry.isDirectory() ? 'folders' : 'others',
  );
  const paths = (kind: keyof Entries) => (kinds.get(kind) ?? []).map(({ name }) => join(folder, name));
  return { files: paths('files'), folders: paths('folders'), others: paths('others') };
}

/** Yields what each folder has in turn, at most 500 plain files at once. */
async function* entriesBelow(folder: string): AsyncGenerator<Pick<Entries, 'files' | 'others'>> {
  const { files, folders, others } = await entriesOf(folder);
  for (let start = 0; start < files.length; start += FILES_AT_ONCE) {
    yield { files: files.slice(start, start + FILES_AT_ONCE), others: [] };
  }
  if (others.length > 0) yield { files: [], others };
  for (const below of folders) yield* entriesBelow(below);
}
