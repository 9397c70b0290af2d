/** The quarantine: files that do not belong in the store, below `metadata/quarantine` under the path they had. */
import { dirname, join, relative } from 'node:path';
import { type Folders, linkNew, syncFolder, unlinkIfPresent } from '../disk/files.ts';
import type { Layout } from './layout.ts';

/** Moves a file of the store into quarantine; never overwrites an existing file. */
export async function quarantine(layout: Layout, folders: Folders, path: string): Promise<void> {
  const wanted = join(layout.quarantine, relative(layout.basePath, path));
  await folders.within(dirname(wanted), async () => {
    for (let count = 1; !(await linkNew(path, count === 1 ? wanted : `${wanted}.${count}`)); count += 1);
  });
  await syncFolder(dirname(wanted));
  await unlinkIfPresent(path);
}
