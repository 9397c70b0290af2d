/** Removes previews from their folder: those of an image that is deleted for good, or all, where room is needed. */
import { existsSync } from 'node:fs';
import { readdir, rmdir, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { PREVIEW_WIDTHS, previewFile } from '../domain/preview.ts';

const GROUP = /^[0-9a-f]{2}$/;

/** Never rejects: a preview is shown of live images only, and what stays here is pushed out by others. */
export async function removePreviews(folder: string, { sha256 }: { sha256: string }): Promise<void> {
  // A store without previews pays one look for each delete, which takes less than to hand it to the thread pool.
  if (sha256 === '' || !existsSync(folder)) return;
  const files = PREVIEW_WIDTHS.map((width) => join(folder, previewFile(sha256, width)));
  await Promise.allSettled(files.map((file) => unlink(file)));
}

/** Returns how many previews were removed, while others may be written. Never rejects. */
export async function emptyPreviews(folder: string): Promise<number> {
  const names = await readdir(folder).catch(() => []);
  const groups = names.filter((name) => GROUP.test(name)).map((name) => join(folder, name));
  const removed = await Promise.all(groups.map(emptyGroup));
  return removed.reduce((sum, count) => sum + count, 0);
}

async function emptyGroup(group: string): Promise<number> {
  const names = await readdir(group).catch(() => []);
  const removed = await Promise.allSettled(names.map((name) => unlink(join(group, name))));
  await rmdir(group).catch(() => undefined);
  return removed.filter(({ status }) => status === 'fulfilled').length;
}
