/** Opens files for assistants: only what really lies inside the one folder they were given. */
import { constants } from 'node:fs';
import { type FileHandle, open, readlink, realpath } from 'node:fs/promises';
import { isAbsolute, relative, resolve, sep } from 'node:path';
import { ToolError } from './errors.ts';

/**
 * `path` is absolute or relative to `folder`, which is a real path. What lies elsewhere, also by a link, is refused in
 * the words for what does not exist: nothing is told of the world outside. The caller closes the file.
 */
export async function openAllowed(folder: string, path: string): Promise<FileHandle> {
  const absolute = resolve(folder, path);
  const file = await openInside(folder, absolute);
  if (file && (await liesInside(folder, file, absolute)) && (await file.stat()).isFile()) return file;
  await file?.close();
  throw new ToolError(
    `There is no readable file "${path}" inside the folder whose images may be saved, ${folder}. ` +
      'Give a path in that folder, or ask the user to put the image there.',
  );
}

async function openInside(folder: string, path: string): Promise<FileHandle | undefined> {
  try {
    const real = await realpath(path);
    if (!isInside(folder, real)) return undefined;
    // A link that took its place meanwhile is not followed, and a pipe does not wait for its writer.
    return await open(real, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch {
    return undefined;
  }
}

/** A folder on the way may have become a link meanwhile. Linux knows what was opened, elsewhere it is a second look. */
async function liesInside(folder: string, { fd }: FileHandle, path: string): Promise<boolean> {
  const opened = await readlink(`/proc/self/fd/${fd}`)
    .catch(() => realpath(path))
    .catch(() => undefined);
  return opened !== undefined && isInside(folder, opened);
}

function isInside(folder: string, path: string): boolean {
  const rest = relative(folder, path);
  return rest !== '' && !isAbsolute(rest) && rest.split(sep)[0] !== '..';
}
