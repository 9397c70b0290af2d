/** Checks that the root of a local store offers what the store's guarantees depend on. */
import { join } from 'node:path';
import { checkLinks } from '../disk/file-system.ts';
import { inodeOf } from '../disk/files.ts';
import type { FolderSetting } from '../disk/folder-problem.ts';
import type { LocalConfig } from '../domain/config.ts';
import { readStoreId } from '../local/format.ts';
import { Layout } from '../local/layout.ts';
import { checkStoreFiles } from '../local/store-files.ts';
import { type Check, type CheckResult, note, step } from './check.ts';
import { examineFolder, nearestFolder, toldAs } from './folder.ts';

export async function* examineLocal({ basePath }: LocalConfig, maxImageBytes: number): AsyncGenerator<Check> {
  const layout = new Layout(basePath);
  const { metadata, lock, format, files } = layout;
  const place = { root: layout.basePath, setting: 'basePath' };
  yield* examineFolder({
    ...place,
    // When images and metadata are separate mounts, the check of links below fails.
    path: metadata,
    files,
    lock,
    maxImageBytes,
    also: async function* (scratch) {
      yield* step('links', () => examineLinks(layout, scratch, place));
      yield* step('store', () => toldAs(format, place, () => examineStore(layout)));
    },
  });
}

async function examineLinks({ basePath, images }: Layout, scratch: string, place: FolderSetting): Promise<CheckResult> {
  const target = await nearestFolder(images, place);
  const name = `.doctor-${process.pid}`;
  await toldAs(target, place, () => checkLinks(basePath, join(scratch, name), join(target, name)));
  return 'images and metadata can be linked to each other';
}

async function examineStore(layout: Layout): Promise<CheckResult> {
  await checkStoreFiles(layout);
  const storeId = await readStoreId(layout);
  if (storeId === undefined) return 'no store yet: the first start makes one';
  const told = `it holds the store ${storeId}`;
  if ((await inodeOf(layout.rebuild)) !== undefined) return note(`${told}; the next start rebuilds its catalog`);
  if ((await inodeOf(layout.catalog)) !== undefined) return told;
  return note(`${told}; its catalog is gone, and the next start rebuilds it from the records`);
}
