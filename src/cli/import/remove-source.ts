/** Removes a file that was imported, once the store has given back its bytes, whole, without the file at its path. */
import { createHash } from 'node:crypto';
import { lstat, unlink } from 'node:fs/promises';
import { basename, join, sep } from 'node:path';
import { exists } from '../../client/exists.ts';
import type { ImageStorageClient, ProviderChoice } from '../../client.ts';
import { folderOf } from '../../storage/domain/naming.ts';
import { systemWords } from '../shared/errors.ts';
import { bytesOf, textOf } from '../shared/raw-path.ts';
import { type NamesAside, unmarked } from './set-aside.ts';

/** What tells whether a file is still the one that was read. */
export interface FileState {
  /** A raw path. */
  path: string;
  content: string;
  /** Moves with any change, and with a rename, too. */
  changed: bigint;
}

/** Why a file stays. */
export const KEPT = {
  BYTES_MISSING: 'the store does not give its bytes back',
  CHANGED: 'it has changed since it was read',
  EXPIRES: 'the store lets its image go after a time (--ttl); image-storage pin keeps it',
  NOT_REMOVABLE: 'it is stored, and cannot be removed',
  OF_A_STORE:
    'it lies in a store of ImageStorage, perhaps this one: image-storage copy --delete-source moves between stores',
} as const;

export type KeptReason = keyof typeof KEPT;

export interface Kept {
  kept: KeptReason;
  /** What the system said. */
  message?: string;
  /** Its name now, where its own could not be given back to it. */
  keptAs?: string;
}

/** The image that has its bytes. */
interface Stored extends ProviderChoice {
  filename: string;
  sha256: string;
  signal: AbortSignal;
}

/** Requires that the file is read afterwards. */
export async function stateOf(path: string): Promise<FileState> {
  const { dev, ino, size, mtimeNs, ctimeNs } = await lstat(bytesOf(path), { bigint: true });
  return { path, content: [dev, ino, size, mtimeNs].join(':'), changed: ctimeNs };
}

/**
 * Returns why the file stays; undefined: it is gone. Rejects where the daemon cannot be asked; the file has its name then.
 * What a crash leaves has a name aside.
 */
export async function removeSource(
  client: ImageStorageClient,
  state: FileState,
  stored: Stored,
  names: NamesAside,
): Promise<Kept | undefined> {
  if (await isOfAStore(client, unmarked(state.path), stored)) return { kept: 'OF_A_STORE' };
  let aside: string;
  try {
    if (!isSame(await stateOf(state.path), state)) return { kept: 'CHANGED' };
    aside = await names.take(state.path);
  } catch (error) {
    return unremoved(error);
  }
  const kept = await removeAside(client, aside, state, stored).catch(async (error) => {
    if (isOfSystem(error)) return unremoved(error);
    await names.giveBack(aside, unmarked(state.path), false);
    throw error;
  });
  if (kept === undefined || (await names.giveBack(aside, unmarked(state.path), true))) return kept;
  return { ...kept, keptAs: textOf(basename(aside)) };
}

async function removeAside(
  client: ImageStorageClient,
  path: string,
  { content }: FileState,
  stored: Stored,
): Promise<Kept | undefined> {
  const aside = await stateOf(path);
  if (aside.content !== content) return { kept: 'CHANGED' };
  const kept = await reasonToKeep(client, stored);
  if (kept !== undefined) return { kept };
  if (!isSame(await stateOf(path), aside)) return { kept: 'CHANGED' };
  await unlink(bytesOf(path));
  return undefined;
}

function isSame(a: FileState, b: FileState): boolean {
  return a.content === b.content && a.changed === b.changed;
}

function isOfSystem(error: unknown): error is NodeJS.ErrnoException {
  return (error as NodeJS.ErrnoException).syscall !== undefined;
}

/** What is gone is removed, whoever did it. */
function unremoved(error: unknown): Kept | undefined {
  if (!isOfSystem(error)) throw error;
  return error.code === 'ENOENT' ? undefined : { kept: 'NOT_REMOVABLE', message: systemWords(error) };
}

/**
 * Whether it may be the stored image itself, by its path or its name: a store's folder may be seen at several paths, and
 * another machine that has it may find a renamed file for a while.
 */
async function isOfAStore(client: ImageStorageClient, path: string, stored: Stored): Promise<boolean> {
  const filename = basename(path);
  const place = folderOf(filename);
  if (place === undefined) return false;
  if (filename === stored.filename || path.endsWith(join(sep, ...place.split('/'), filename))) return true;
  // Its equal: the store has both.
  return exists(client, filename, stored);
}

/** An answer to a save may be that of an earlier one, whose image is gone: only bytes are believed. */
async function reasonToKeep(
  client: ImageStorageClient,
  { filename, provider, sha256, signal }: Stored,
): Promise<KeptReason | undefined> {
  try {
    const { image, body } = await client.get(filename, { provider, signal });
    const hash = createHash('sha256');
    for await (const chunk of body) hash.update(chunk);
    if (hash.digest('hex') !== sha256) return 'BYTES_MISSING';
    return image.expireTime !== undefined && !image.pinned ? 'EXPIRES' : undefined;
  } catch (error) {
    const { reason = '' } = error as { reason?: string };
    if (['IMAGE_NOT_FOUND', 'BYTES_MISSING', 'BYTES_CORRUPT'].includes(reason)) return 'BYTES_MISSING';
    throw error;
  }
}
