/** Sums the room that an import needs before it begins, and what the store has. */
import type { ImageStorageClient } from '../../client.ts';
import { IMAGE_NAME, walk } from '../shared/walk.ts';
import { countOf, formatBytes } from '../terminal/text.ts';
import type { StoredImages } from './stored-images.ts';

/** The rest of a file's last block, and its record. */
const OVERHEAD_BYTES = 8 * 1024;

export interface Room {
  /** Everything below the folder, and its bytes. */
  totalItems: number;
  totalBytes: number;
  /** Images by their names. */
  images: number;
  /** Of those that are not stored yet. As long as they are not read, an image of the size of a stored one counts as that. */
  neededBytes: number;
  /** Unset where the store has no limit. */
  freeBytes?: number;
}

export async function measureRoom(
  client: ImageStorageClient,
  folder: string,
  stored: StoredImages,
  { provider, signal }: { provider?: string; signal: AbortSignal },
): Promise<Room> {
  const room: Room = { totalItems: 0, totalBytes: 0, images: 0, neededBytes: 0 };
  for await (const found of walk(folder)) {
    signal.throwIfAborted();
    room.totalItems += 1;
    if (found.kind !== 'file') continue;
    room.totalBytes += found.sizeBytes;
    if (!IMAGE_NAME.test(found.path)) continue;
    room.images += 1;
    if (!stored.takeSize(found.sizeBytes)) room.neededBytes += found.sizeBytes + OVERHEAD_BYTES;
  }
  const [stats] = await client.stats(provider, { signal });
  return { ...room, freeBytes: stats?.freeBytes };
}

export function isTooLittle({ neededBytes, freeBytes = Number.POSITIVE_INFINITY }: Room): boolean {
  return neededBytes > freeBytes;
}

/** Returns `1,204 images, about 3.1 GB of them new; 120 GB are free`. */
export function roomLine({ images, neededBytes, freeBytes }: Room): string {
  const needs = `${countOf(images, 'image')}, about ${formatBytes(neededBytes)} of them new`;
  return freeBytes === undefined ? needs : `${needs}; ${formatBytes(freeBytes)} are free`;
}
