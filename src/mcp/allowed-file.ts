/** Opens files for assistants, only inside the one folder that they were given. */
import { constants } from 'node:fs';
import { type FileHandle, open, readlink, realpath } from 'node:fs/promises';
import { isAbsolute, relative, resolve, sep } from 'node:path';
import { ToolError } from './errors.ts';

/**
 * Opens a file. `path` is absolute or relative to `folder`, which is a real path. Throws the same ToolError for a file
 * outside, also by a link, as for a missing one: it reveals nothing outside the folder. The caller closes the file.
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
    // Follows no link that replaced the file meanwhile, and does not wait for the writer of a pipe.
    return await open(real, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch {
    return undefined;
  }
}

/**
 * Checks the open file, since a folder in its path may have become a link meanwhile. Linux reports what was opened;
 * elsewhere the path is resolved again.
 */
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
