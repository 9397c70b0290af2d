/** Disk space that a store gives up when the disk is full, so that Delete and the next start still work. */
import { randomBytes } from 'node:crypto';
import { open } from 'node:fs/promises';
import { capacityOf } from '../disk/file-system.ts';
import { hasCode, unlinkIfPresent } from '../disk/files.ts';
import type { Layout } from './layout.ts';

const RESERVE_BYTES = 1024 * 1024;
/** Below this much free space the reserve is not taken. */
const ROOM_FOR_RESERVE_BYTES = 8 * RESERVE_BYTES;

/** Allocates 1 MiB, unless it is allocated already or the disk is nearly full. */
export async function takeReserve(layout: Layout): Promise<void> {
  const { freeBytes = 0 } = await capacityOf(layout.basePath);
  if (freeBytes < ROOM_FOR_RESERVE_BYTES) return;
  const file = await open(layout.reserve, 'wx').catch((error) => {
    if (hasCode(error, 'EEXIST')) return undefined;
    throw error;
  });
  if (file === undefined) return;
  try {
    // Random, so that no file system compresses it to nothing.
    await file.writeFile(randomBytes(RESERVE_BYTES));
  } catch (error) {
    await unlinkIfPresent(layout.reserve);
    throw error;
  } finally {
    await file.close();
  }
}

/** Removes the reserve. Returns false when there was none. */
export function giveUpReserve(layout: Layout): Promise<boolean> {
  return unlinkIfPresent(layout.reserve);
}
