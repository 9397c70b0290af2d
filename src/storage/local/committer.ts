/** Group commit: whatever waits while one group is on its way to the disk becomes the next group. */
import type { Catalog, Change, Outcome } from '../catalog/types.ts';
import { hasCode } from './files.ts';

const MAX_GROUP = 64;

interface Waiting {
  change: Change;
  folders: readonly string[];
  resolve: (outcome: Outcome) => void;
  reject: (error: unknown) => void;
}

export interface CommitterOptions {
  catalog: Catalog;
  /** Runs before anything of a group; its failure is definite. */
  check: () => Promise<void>;
  syncFolder: (path: string) => Promise<void>;
  failpoint: (step: string) => void;
}

/** A folder could not be synced: whether its names are on stable storage is not known. */
export class FolderSyncError extends Error {
  override readonly name = 'FolderSyncError';
}

export class Committer {
  readonly #options: CommitterOptions;
  #waiting: Waiting[] = [];
  #running: Promise<void> | undefined;

  constructor(options: CommitterOptions) {
    this.#options = options;
  }

  /**
   * Commits a change after the names in these folders are on stable storage. Rejects with what ended its group: the
   * check's error, a FolderSyncError or the catalog's CatalogError.
   */
  submit(change: Change, folders: readonly string[]): Promise<Outcome> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ change, folders, resolve, reject });
      this.#running ??= this.#run();
    });
  }

  /** Resolves when nothing waits. */
  async idle(): Promise<void> {
    await this.#running;
  }

  async #run(): Promise<void> {
    while (this.#waiting.length > 0) {
      const group = this.#waiting.splice(0, MAX_GROUP);
      try {
        const outcomes = await this.#commit(group);
        for (const [index, { resolve }] of group.entries()) resolve(outcomes[index]!);
      } catch (error) {
        for (const { reject } of group) reject(error);
      }
    }
    this.#running = undefined;
  }

  async #commit(group: Waiting[]): Promise<Outcome[]> {
    const { catalog, check, syncFolder, failpoint } = this.#options;
    await check();
    const folders = new Set(group.flatMap((waiting) => waiting.folders));
    const syncs = await Promise.allSettled([...folders].map(syncFolder));
    for (const sync of syncs) {
      if (sync.status === 'fulfilled') continue;
      // A folder that is gone took our new name with it: nothing is in doubt.
      if (hasCode(sync.reason, 'ENOENT')) throw sync.reason;
      throw new FolderSyncError('a folder could not be synced', { cause: sync.reason });
    }
    failpoint('folders-synced');
    const outcomes = await catalog.commit(group.map((waiting) => waiting.change));
    failpoint('committed');
    return outcomes;
  }
}
