/** Room that a store keeps to give up, so that Delete and the next start work on a full disk. */
import { randomBytes } from 'node:crypto';
import { open } from 'node:fs/promises';
import { capacityOf } from '../disk/file-system.ts';
import { hasCode, unlinkIfPresent } from '../disk/files.ts';
import type { Layout } from './layout.ts';

const RESERVE_BYTES = 1024 * 1024;
/** Below this much free space the reserve is not taken. */
const ROOM_FOR_RESERVE_BYTES = 8 * RESERVE_BYTES;

/** Takes 1 MiB, unless it is taken or the disk is nearly full. */
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

/** False when it was given up before. */
export function giveUpReserve(layout: Layout): Promise<boolean> {
  return unlinkIfPresent(layout.reserve);
}
