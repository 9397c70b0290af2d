/** What a folder must offer before it can be a store: writable, local, hard links, room in reserve, its own identity. */
import { randomBytes } from 'node:crypto';
import { link, open, statfs, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { nanoid } from 'nanoid';
import type { Logger } from '../domain/logger.ts';
import { StoreOpenError } from '../errors.ts';
import { type Folders, hasCode, ifPresent, readText, replaceFile, unlinkIfPresent } from './files.ts';
import type { Layout } from './layout.ts';

/** The version of the layout on disk. */
const LAYOUT_VERSION = 1;
const RESERVE_BYTES = 1024 * 1024;
/** Below this much free space the reserve is not taken. */
const ROOM_FOR_RESERVE_BYTES = 8 * RESERVE_BYTES;
/** How long a look at the free space counts. */
const FRESH_MS = 100;

/** statfs(2) magic numbers of file systems on which a lock or an fsync may not mean what it says. */
const REMOTE = new Map([
  [0x6969, 'NFS'],
  [0x517b, 'SMB'],
  [0xff534d42, 'SMB'],
  [0xfe534d42, 'SMB'],
  [0x01021997, '9p'],
]);
const FUSE = 0x65735546;
const IN_MEMORY = new Set([0x01021994, 0x858458f6]);

export async function makeStoreFolders(layout: Layout, folders: Folders): Promise<void> {
  for (const folder of [layout.staging, layout.logs, layout.records, layout.images]) await folders.ensure(folder);
}

/** The store's identity, made on first use. `config` when the layout is newer or the file is none of ours. */
export async function readOrCreateFormat(layout: Layout): Promise<{ storeId: string; isNew: boolean }> {
  const found = await readStoreId(layout);
  if (found !== undefined) return { storeId: found, isNew: false };
  const storeId = nanoid();
  await replaceFile(
    layout.format,
    `${JSON.stringify({ format: 'image-storage', version: LAYOUT_VERSION, storeId })}\n`,
  );
  return { storeId, isNew: true };
}

/** Undefined where there is no store yet. `config` when the layout is newer or the file is none of ours. */
export async function readStoreId(layout: Layout): Promise<string | undefined> {
  const text = await readText(layout.format);
  if (text === undefined) return undefined;
  const { version, storeId } = parseFormat(text);
  if (typeof version !== 'number' || typeof storeId !== 'string') {
    throw new StoreOpenError('config', `${layout.format} is damaged; remove it and the next start writes it again`);
  }
  if (version > LAYOUT_VERSION) {
    throw new StoreOpenError(
      'config',
      `the store has layout ${version}, this program knows ${LAYOUT_VERSION}; use a newer one`,
    );
  }
  return storeId;
}

function parseFormat(text: string): { version?: unknown; storeId?: unknown } {
  try {
    return JSON.parse(text) as object;
  } catch {
    return {};
  }
}

/** Refuses network file systems, and images and metadata that cannot be linked to each other. */
export async function checkFileSystem(layout: Layout, log: Logger): Promise<void> {
  if ((await checkLocal(layout.basePath)) === 'fuse') {
    log.warn(
      { basePath: layout.basePath },
      'the store is on FUSE or virtiofs: a power cut is as safe as that makes fsync',
    );
  }
  await checkLinks(layout.basePath, join(layout.staging, '.link-test'), join(layout.images, '.link-test'));
}

/** What is behind a folder, as far as Linux tells. `config` where it is a network file system. */
export async function checkLocal(path: string): Promise<'disk' | 'fuse' | 'memory'> {
  if (process.platform !== 'linux') return 'disk';
  const { type } = await statfs(path);
  const remote = REMOTE.get(type);
  if (remote !== undefined) {
    throw new StoreOpenError(
      'config',
      `${path} is on ${remote}, where locks and fsync cannot be relied on; mount a local disk there`,
    );
  }
  if (IN_MEMORY.has(type)) return 'memory';
  return type === FUSE ? 'fuse' : 'disk';
}

/** Links two names, which are gone afterwards. `config` where no hard link can be made. */
export async function checkLinks(basePath: string, from: string, to: string): Promise<void> {
  await Promise.all([from, to].map(unlinkIfPresent));
  try {
    await writeFile(from, '');
    await link(from, to);
  } catch (error) {
    if (!hasCode(error, 'EXDEV', 'EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'EMLINK')) throw error;
    const message = `${basePath}: images and metadata must lie on one file system with hard links; mount the folder as a whole`;
    throw new StoreOpenError('config', message, { cause: error });
  } finally {
    await Promise.all([from, to].map(unlinkIfPresent));
  }
}

/** Keeps 1 MiB to give up, so that Delete and the next start work on a full disk. */
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

/** Size and free space of the file system, as this user sees it. */
export async function capacityOf(path: string): Promise<{ capacityBytes?: number; freeBytes?: number }> {
  const stats = await ifPresent(statfs(path));
  return stats ? { capacityBytes: stats.blocks * stats.bsize, freeBytes: stats.bavail * stats.bsize } : {};
}

/**
 * Gives the free bytes of the file system, as they were a moment ago: one look serves all saves that begin together, and
 * a write says what is true. Infinity where nothing is at the path.
 */
export function freeSpaceOf(path: string): () => Promise<number> {
  let last: { at: number; bytes: Promise<number> } | undefined;
  return () => {
    const now = performance.now();
    if (last === undefined || now - last.at > FRESH_MS) {
      const bytes = capacityOf(path).then(({ freeBytes = Number.POSITIVE_INFINITY }) => freeBytes);
      last = { at: now, bytes };
    }
    return last.bytes;
  };
}
