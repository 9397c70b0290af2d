/** Where the state of a provider over a bucket lies: catalog, lock, binding and spool. */
import { join } from 'node:path';
import { emptyPreviews } from '../disk/preview-files.ts';
import { type BucketSettings, DEFAULT_STATE_DIR } from '../domain/config.ts';

/** The paths of the state of one provider. */
export interface StateFiles {
  folder: string;
  catalog: string;
  /** Pending operations, where the index is in Postgres. */
  operations: string;
  /** The name of the daemon, by which others with the same index know it. */
  daemon: string;
  lock: string;
  /** Names the store that the other files belong to. */
  binding: string;
  /** When the retention policies ran. */
  policyRuns: string;
  spool: string;
  /** Of all providers with this folder: whose image it is, a preview has the same bytes. */
  previews: string;
}

/** Returns what makes room on the disk of the state folder: it returns whether it had any to give. */
export function roomOf({ previews }: Pick<StateFiles, 'previews'>): () => Promise<boolean> {
  return async () => (await emptyPreviews(previews)) > 0;
}

/** Returns the paths of the provider of that name. */
export function stateFiles(name: string, folder: string = DEFAULT_STATE_DIR): StateFiles {
  return {
    folder,
    // The folder may be that of a local store, which has a catalog.db and a lock.db of its own.
    catalog: join(folder, `${name}.catalog.db`),
    operations: join(folder, `${name}.operations.db`),
    daemon: join(folder, `${name}.daemon`),
    lock: join(folder, `${name}.lock.db`),
    binding: join(folder, `${name}.json`),
    policyRuns: join(folder, `${name}.retention.json`),
    spool: join(folder, 'spool', name),
    previews: join(folder, 'previews'),
  };
}

/** Returns where the file of a catalog goes whose bucket went over to another kind of index. */
export function asideOf(path: string): string {
  return `${path}.before`;
}

/** Returns the path of another file of that provider; several may have the folder. */
export function stateFileOf({ stateDir = DEFAULT_STATE_DIR }: BucketSettings, name: string, file: string): string {
  return join(stateDir, `${name}.${file}`);
}
