/** Commits changes to the catalog of a local store in groups, once the names of their files are on stable storage. */
import { GroupCommit } from '../async/group-commit.ts';
import type { Change, ChangeOutcome, LocalCatalog } from '../catalog/catalog.ts';
import { FolderSyncError } from '../disk/files.ts';
import type { StorageError } from '../domain/errors.ts';

interface Submitted {
  change: Change;
  folders: readonly string[];
}

export interface CommitterOptions {
  catalog: Pick<LocalCatalog, 'commit'>;
  /** Runs in each group before the commit; when it rejects, nothing of the group was committed. */
  check: () => Promise<void>;
  syncFolder: (path: string) => Promise<void>;
  /** Returns the error for the callers of a failed group; runs before the next group is taken. */
  fold: (error: unknown) => Promise<StorageError>;
  failpoint: (step: string) => void;
  /** Called with the size of each group that was committed. */
  onCommitted?: (changes: number) => void;
}

export class Committer {
  readonly #options: CommitterOptions;
  readonly #groups = new GroupCommit<Submitted, ChangeOutcome>({ commit: (group) => this.#commitOrFold(group) });

  constructor(options: CommitterOptions) {
    this.#options = options;
  }

  /**
   * Commits a change after the names in these folders are on stable storage. Rejects with what `fold` returns for the
   * failure of its group.
   */
  submit(change: Change, folders: readonly string[]): Promise<ChangeOutcome> {
    return this.#groups.submit({ change, folders });
  }

  /** Resolves when no change is waiting. */
  idle(): Promise<void> {
    return this.#groups.idle();
  }

  async #commitOrFold(group: Submitted[]): Promise<ChangeOutcome[]> {
    try {
      return await this.#commit(group);
    } catch (error) {
      throw await this.#options.fold(error);
    }
  }

  async #commit(group: Submitted[]): Promise<ChangeOutcome[]> {
    const { catalog, check, syncFolder, failpoint, onCommitted } = this.#options;
    const folders = new Set(group.flatMap((submitted) => submitted.folders));
    await allOf([check(), ...[...folders].map(syncFolder)]);
    failpoint('folders-synced');
    const outcomes = await catalog.commit(group.map(({ change }) => change));
    failpoint('committed');
    onCommitted?.(group.length);
    return outcomes;
  }
}

/** Waits for all. Of several failures, throws one that leaves a name in doubt before one that does not. */
async function allOf(works: Promise<void>[]): Promise<void> {
  const failures = (await Promise.allSettled(works)).flatMap((work) =>
    work.status === 'rejected' ? [work.reason] : [],
  );
  if (failures.length > 0) throw failures.find((failure) => failure instanceof FolderSyncError) ?? failures[0];
}
