/** Removes a file that was imported, once the store has given back its bytes, whole. */
import { createHash } from 'node:crypto';
import { lstat, unlink } from 'node:fs/promises';
import { basename, join, sep } from 'node:path';
import type { ImageStorageClient, ProviderChoice } from '../../client.ts';
import { folderOf } from '../../storage/domain/naming.ts';
import { bytesOf } from './raw-path.ts';

/** What tells whether a file is still the one that was read. */
export interface FileState {
  /** A raw path. */
  path: string;
  identity: string;
}

/** Why a file stays. */
export const KEPT = {
  BYTES_MISSING: 'the store does not give its bytes back',
  CHANGED: 'it has changed since it was read',
  OF_A_STORE:
    'it lies in a store of ImageStorage, perhaps this one: image-storage copy --delete-source moves between stores',
} as const;

export type KeptReason = keyof typeof KEPT;

/** The image that has its bytes. */
interface Stored extends ProviderChoice {
  filename: string;
  sha256: string;
  signal: AbortSignal;
}

/** Requires that the file is read afterwards. */
export async function stateOf(path: string): Promise<FileState> {
  return { path, identity: await identityOf(path) };
}

/** Returns why the file stays; undefined: it is gone. Rejects where the daemon cannot be asked or the file not removed. */
export async function removeSource(
  client: ImageStorageClient,
  { path, identity }: FileState,
  stored: Stored,
): Promise<KeptReason | undefined> {
  if (isOfAStore(path)) return 'OF_A_STORE';
  if (!(await givesBack(client, stored))) return 'BYTES_MISSING';
  if ((await identityOf(path)) !== identity) return 'CHANGED';
  await unlink(bytesOf(path));
  return undefined;
}

/** Whether by its path it may be the stored image itself. */
function isOfAStore(path: string): boolean {
  const filename = basename(path);
  const place = folderOf(filename);
  return place !== undefined && path.endsWith(join(sep, ...place.split('/'), filename));
}

/** An answer to a save may be that of an earlier one, whose image is gone: only bytes are believed. */
async function givesBack(client: ImageStorageClient, { filename, provider, sha256, signal }: Stored): Promise<boolean> {
  try {
    const { body } = await client.get(filename, { provider, signal });
    const hash = createHash('sha256');
    for await (const chunk of body) hash.update(chunk);
    return hash.digest('hex') === sha256;
  } catch (error) {
    if (['IMAGE_NOT_FOUND', 'BYTES_MISSING', 'BYTES_CORRUPT'].includes((error as { reason?: string }).reason ?? '')) {
      return false;
    }
    throw error;
  }
}

async function identityOf(path: string): Promise<string> {
  const { dev, ino, size, mtimeNs, ctimeNs } = await lstat(bytesOf(path), { bigint: true });
  return [dev, ino, size, mtimeNs, ctimeNs].join(':');
}
