/** Checks that the root of a local store offers what the store's guarantees depend on. */
import { stat, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import { checkLinks } from '../disk/file-system.ts';
import { inodeOf } from '../disk/files.ts';
import type { FolderSetting } from '../disk/folder-problem.ts';
import type { LocalConfig } from '../domain/config.ts';
import { unrecorded } from '../local/catch-up.ts';
import { hasStore, noStore, readStoreId } from '../local/format.ts';
import { isMetadataOlder } from '../local/generation.ts';
import { Layout } from '../local/layout.ts';
import { lacksRecords, namesByFolder } from '../local/record-files.ts';
import { checkStoreFiles } from '../local/store-files.ts';
import { type Check, type CheckResult, note, Shortcoming, step } from './check.ts';
import { examineFolder, nearestFolder, toldAs } from './folder.ts';
import { examineSearch } from './search.ts';

export async function* examineLocal(
  { basePath, create }: LocalConfig,
  name: string,
  maxImageBytes: number,
): AsyncGenerator<Check> {
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
      yield* step('store', () => toldAs(format, place, () => examineStore(layout, create)));
    },
  });
  yield* step('search', () => examineSearch(layout.catalog, name));
}

async function examineLinks({ basePath, images }: Layout, scratch: string, place: FolderSetting): Promise<CheckResult> {
  const target = await nearestFolder(images, place);
  const name = `.doctor-${process.pid}`;
  const { atime, mtime } = await stat(target);
  await toldAs(target, place, () => checkLinks(basePath, join(scratch, name), join(target, name)));
  // A start would take the change for that of another version; only the owner may undo it.
  await utimes(target, atime, mtime).catch(() => {});
  return 'images and metadata can be linked to each other';
}

async function examineStore(layout: Layout, create = true): Promise<CheckResult> {
  await checkStoreFiles(layout);
  const storeId = await readStoreId(layout);
  const isThere = await hasStore(layout);
  if (!isThere && !create) throw new Shortcoming(await noStore(layout));
  if (await lacksRecords(layout)) return note(unrecorded(await countImages(layout), layout.images));
  if (!isThere) return describeMissing(layout);
  if (storeId === undefined) return note(`${layout.format} is gone; the next start writes it again`);
  const told = `it holds the store ${storeId}`;
  if ((await inodeOf(layout.rebuild)) !== undefined) return note(`${told}; the next start rebuilds its catalog`);
  if ((await inodeOf(layout.catalog)) === undefined) {
    return note(`${told}; its catalog is gone, and the next start rebuilds it from the records`);
  }
  if (!(await isMetadataOlder(layout))) return told;
  return note(`${told}; ${layout.metadata} is older than the images, and the next start compares them`);
}

async function describeMissing({ basePath }: Layout): Promise<CheckResult> {
  const told = 'no store yet: the first start makes one';
  if ((await inodeOf(basePath)) === undefined) return told;
  return note(`${told} in ${basePath}; if it had one, is its disk mounted?`);
}

async function countImages({ images }: Layout): Promise<number> {
  let count = 0;
  for await (const { names } of namesByFolder(images)) count += names.length;
  return count;
}
