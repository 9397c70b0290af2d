/** Where files go that do not belong into the store: below `metadata/quarantine`, under the path that they had. */
import { dirname, join, relative } from 'node:path';
import { type Folders, linkNew, syncFolder, unlinkIfPresent } from '../disk/files.ts';
import type { Layout } from './layout.ts';

/** Moves a file of the store there; one that lies there already is never overwritten. */
export async function quarantine(layout: Layout, folders: Folders, path: string): Promise<void> {
  const wanted = join(layout.quarantine, relative(layout.basePath, path));
  await folders.within(dirname(wanted), async () => {
    for (let count = 1; !(await linkNew(path, count === 1 ? wanted : `${wanted}.${count}`)); count += 1);
  });
  await syncFolder(dirname(wanted));
  await unlinkIfPresent(path);
}
