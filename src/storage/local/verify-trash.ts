/** Verifies the trash of a local store: each image in it against its files, then each file against the catalog. */
import { basename } from 'node:path';
import type { ImageIndex } from '../catalog/catalog.ts';
import { Folders, inodeOf, readText } from '../disk/files.ts';
import { StorageError } from '../domain/errors.ts';
import { isCurrent } from '../domain/fingerprint.ts';
import type { Finding } from '../domain/maintenance.ts';
import { folderOf } from '../domain/naming.ts';
import type { TrashedRecord } from '../domain/record.ts';
import { parseRecord } from '../domain/record-file.ts';
import type { Checked, CheckOptions } from '../maintenance/maintenance.ts';
import { allTrashed } from '../maintenance/records.ts';
import { adoptTrashed } from './adopt.ts';
import { flawInBytes, Remedies } from './remedies.ts';
import type { LocalStore } from './store.ts';
import { purgeImage } from './trash.ts';
import { restoreTrashedRecord } from './trash-files.ts';

export class TrashCheck {
  readonly #store: LocalStore;
  readonly #options: CheckOptions;
  /** Of this run: the store's own looks at each folder once. */
  readonly #folders: Folders;
  readonly #remedies: Remedies;

  constructor(store: LocalStore, options: CheckOptions) {
    this.#store = store;
    this.#options = options;
    this.#folders = new Folders(store.layout.basePath);
    this.#remedies = new Remedies(store, options);
  }

  /** `files`: the paths of all files in the trash. */
  async *all(files: AsyncIterable<string[]>): AsyncGenerator<Checked> {
    const { run } = this.#options;
    const trashPage: ImageIndex['trashPage'] = (...page) => run(() => this.#store.catalog.trashPage(...page));
    for await (const record of allTrashed({ trashPage })) {
      const findings = await run(() => this.#row(record));
      if (findings.length > 0) yield { findings };
    }
    for await (const paths of files) {
      for (const path of paths) {
        const finding = await run(() => this.#file(path));
        if (finding !== undefined) yield { findings: [finding] };
      }
    }
  }

  async #row(record: TrashedRecord): Promise<Finding[]> {
    const bytes = await this.#bytes(record);
    if (bytes?.remedy === 'forgotten') return [bytes];
    const text = await this.#store.byFilename.run(record.filename, () => this.#record(record));
    return [bytes, text].filter((finding) => finding !== undefined);
  }

  async #bytes(record: TrashedRecord): Promise<Finding | undefined> {
    const { layout, condition } = this.#store;
    const { filename } = record;
    const path = layout.trashedImage(filename);
    const wrong = await flawInBytes(this.#folders, path, record, this.#options.deep);
    if (wrong === undefined || !(await this.#isSettled(filename))) return undefined;
    if (wrong.problem === 'bytes_missing') await condition.checkImages();
    const finding: Finding = { ...wrong, remedy: 'none', key: this.#remedies.keyOf(path), filename };
    // That it lies in the live tree is another finding.
    if (wrong.problem !== 'bytes_missing' || (await inodeOf(layout.image(filename))) !== undefined) return finding;
    if (!this.#options.forgetMissing) return finding;
    return (await purgeImage(this.#store, filename)).done ? { ...finding, remedy: 'forgotten' } : undefined;
  }

  /** Returns whether the image is still in the trash, and its files are where they belong. */
  async #isSettled(filename: string): Promise<boolean> {
    return (await this.#store.catalog.rowStates([filename]))[0] === 'trashed';
  }

  async #record(row: TrashedRecord): Promise<Finding | undefined> {
    const { layout } = this.#store;
    const { filename } = row;
    if (!(await this.#isSettled(filename))) return undefined;
    const path = layout.trashedRecord(filename);
    const told = parseRecord((await readText(path).catch(() => undefined)) ?? '', filename);
    if (told !== undefined && isCurrent(told, row)) return undefined;
    const detail = told === undefined ? 'it is missing, or torn' : 'it tells something else';
    const finding = {
      problem: 'record_damaged',
      remedy: 'none',
      key: this.#remedies.keyOf(path),
      filename,
      detail,
    } as const;
    return this.#remedies.remedied(finding, 'restored', () => restoreTrashedRecord(this.#store, row));
  }

  /** Checks a file that may belong to no image of the trash. */
  async #file(path: string): Promise<Finding | undefined> {
    const filename = this.#filenameOf(path);
    if (filename === undefined) {
      return (await inodeOf(path)) === undefined ? undefined : this.#remedies.quarantined(path, 'foreign', {});
    }
    const { byFilename, catalog, layout } = this.#store;
    return byFilename.run(filename, async () => {
      const [state] = await catalog.rowStates([filename]);
      if ((await inodeOf(path)) === undefined) return undefined;
      const isImage = path === layout.trashedImage(filename);
      if (state === 'absent') return isImage ? this.#withoutRow(path, filename) : this.#recordAlone(path, filename);
      if (state === 'deleted') return this.#remedies.quarantined(path, 'deleted_before', { filename });
      if (state !== 'live') return undefined;
      // A live image without its file there takes this one: that is its own finding.
      const isNeeded = isImage && (await inodeOf(layout.image(filename))) === undefined;
      const detail = 'the image is not in the trash, but live';
      return isNeeded ? undefined : this.#remedies.quarantined(path, 'foreign', { filename, detail });
    });
  }

  #filenameOf(path: string): string | undefined {
    const { layout } = this.#store;
    const filename = basename(path).replace(/\.json$/, '');
    if (folderOf(filename) === undefined) return undefined;
    return [layout.trashedImage(filename), layout.trashedRecord(filename)].includes(path) ? filename : undefined;
  }

  /** It was in the trash: it never becomes live by itself. */
  async #withoutRow(path: string, filename: string): Promise<Finding> {
    const finding = { problem: 'not_committed', remedy: 'none', key: this.#remedies.keyOf(path), filename } as const;
    try {
      return await this.#remedies.remedied(finding, 'adopted', () => adoptTrashed(this.#store, filename));
    } catch (error) {
      if (!(error instanceof StorageError) || error.code !== 'invalid_argument') throw error;
      return this.#remedies.quarantined(path, 'not_committed', { filename, detail: error.message });
    }
  }

  async #recordAlone(path: string, filename: string): Promise<Finding | undefined> {
    if ((await inodeOf(this.#store.layout.trashedImage(filename))) !== undefined) return undefined;
    return this.#remedies.quarantined(path, 'record_alone', { filename });
  }
}
