/** Writes bytes to a file that is whole from the moment it has its name. */
import { link, open, rename, rm, utimes } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { nanoid } from 'nanoid';

export interface WriteWholeOptions {
  /** Whether a file of that name is replaced. */
  overwrite?: boolean;
  /** When it was changed last; default: now. */
  time?: Date;
}

/**
 * Writes under another name until all bytes are there and checked. Returns false where there is a file of that name that
 * must not be replaced.
 */
export async function writeWhole(
  body: AsyncIterable<Uint8Array>,
  target: string,
  { overwrite = false, time }: WriteWholeOptions = {},
): Promise<boolean> {
  const part = join(dirname(target), `.${nanoid()}.part`);
  try {
    await using file = await open(part, 'wx');
    for await (const chunk of body) await file.writeFile(chunk);
    if (time !== undefined) await utimes(part, time, time);
    await (overwrite ? rename(part, target) : link(part, target));
    return true;
  } catch (error) {
    const { code, path } = error as NodeJS.ErrnoException;
    if (code === 'EEXIST') return false;
    // Nobody named the part.
    if (path === part) Object.assign(error as Error, { path: dirname(target) });
    throw error;
  } finally {
    await rm(part, { force: true });
  }
}
