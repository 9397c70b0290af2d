/** What verify does about a file of a local store, where it may: quarantine, or a repair of the caller. */
import { dirname, relative } from 'node:path';
import { type Folders, hasCode, isOfOneFile, sha256Of } from '../disk/files.ts';
import { NotPlainError, statPlain } from '../disk/plain-files.ts';
import type { Finding, Problem } from '../domain/maintenance.ts';
import { KEY_ROOT } from '../domain/naming.ts';
import type { ImageRecord } from '../domain/record.ts';
import type { CheckOptions } from '../maintenance/maintenance.ts';
import { quarantine } from './quarantine.ts';
import type { LocalStore } from './store.ts';

export class Remedies {
  readonly #store: LocalStore;
  readonly #options: CheckOptions;

  constructor(store: LocalStore, options: CheckOptions) {
    this.#store = store;
    this.#options = options;
  }

  keyOf(path: string): string {
    return KEY_ROOT + relative(this.#store.layout.basePath, path).replaceAll('\\', '/');
  }

  quarantined(path: string, problem: Problem, about: Pick<Finding, 'filename' | 'detail'>): Promise<Finding> {
    const { folders, layout } = this.#store;
    const finding: Finding = { problem, remedy: 'none', key: this.keyOf(path), ...about };
    return this.remedied(finding, 'quarantined', () => quarantine(layout, folders, path));
  }

  /** Does the work where repairs are asked for. What fails for this file alone is a detail of the finding. */
  async remedied(finding: Finding, remedy: Finding['remedy'], work: () => Promise<void>): Promise<Finding> {
    if (!this.#options.repair) return finding;
    try {
      await work();
      return { ...finding, remedy };
    } catch (error) {
      return { ...finding, detail: `it cannot be repaired (${refusalIn(error)})` };
    }
  }
}

/** Returns what is wrong with the file of an image, or undefined. Compares its sha256 only with `deep`. */
export async function flawInBytes(
  folders: Folders,
  path: string,
  { size, sha256 }: ImageRecord,
  deep = false,
): Promise<Pick<Finding, 'problem' | 'detail'> | undefined> {
  try {
    await folders.look(dirname(path));
    const found = await statPlain(path);
    if (found.size !== size) return { problem: 'size_differs', detail: `${found.size} bytes instead of ${size}` };
    return !deep || (await sha256Of(path)) === sha256 ? undefined : { problem: 'checksum_differs' };
  } catch (error) {
    if (hasCode(error, 'ENOENT', 'ENOTDIR')) return { problem: 'bytes_missing' };
    return { problem: 'checksum_differs', detail: `it cannot be read (${refusalIn(error)})` };
  }
}

/** Returns the code of an error that concerns one file only, and what is in its place; rethrows any other. */
export function refusalIn(error: unknown): string {
  if (error instanceof NotPlainError) return `${error.code}: ${error.found}`;
  if (!isOfOneFile(error)) throw error;
  return error.code;
}
