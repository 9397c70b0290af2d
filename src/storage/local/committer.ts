/** Group commit: whatever waits while one group is on its way to the disk becomes the next group. */
import type { Change, LocalCatalog, Outcome } from '../catalog/catalog.ts';
import { FolderSyncError } from '../disk/files.ts';
import type { StorageError } from '../domain/errors.ts';

const MAX_GROUP = 64;

interface Waiting {
  change: Change;
  folders: readonly string[];
  resolve: (outcome: Outcome) => void;
  reject: (error: unknown) => void;
}

export interface CommitterOptions {
  catalog: Pick<LocalCatalog, 'commit'>;
  /** Runs before anything of a group; its failure is definite. */
  check: () => Promise<void>;
  syncFolder: (path: string) => Promise<void>;
  /** What a failed group means to its callers; done before the next group is taken. */
  fold: (error: unknown) => Promise<StorageError>;
  failpoint: (step: string) => void;
}

export class Committer {
  readonly #options: CommitterOptions;
  #waiting: Waiting[] = [];
  #running: Promise<void> | undefined;

  constructor(options: CommitterOptions) {
    this.#options = options;
  }

  /**
   * Commits a change after the names in these folders are on stable storage. Rejects with what `fold` makes of the
   * failure of its group.
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
        const folded = await this.#options.fold(error);
        for (const { reject } of group) reject(folded);
      }
    }
    this.#running = undefined;
  }

  async #commit(group: Waiting[]): Promise<Outcome[]> {
    const { catalog, check, syncFolder, failpoint } = this.#options;
    await check();
    const folders = new Set(group.flatMap((waiting) => waiting.folders));
    await syncAll([...folders].map(syncFolder));
    failpoint('folders-synced');
    const outcomes = await catalog.commit(group.map((waiting) => waiting.change));
    failpoint('committed');
    return outcomes;
  }
}

/** Waits for all of them; of several failures, one that leaves a name in doubt counts before one that does not. */
async function syncAll(syncs: Promise<void>[]): Promise<void> {
  const failures = (await Promise.allSettled(syncs)).flatMap((sync) =>
    sync.status === 'rejected' ? [sync.reason] : [],
  );
  if (failures.length > 0) throw failures.find((failure) => failure instanceof FolderSyncError) ?? failures[0];
}
