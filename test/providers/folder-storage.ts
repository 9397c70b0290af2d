/** A sample provider, the type `folder`: an object store of plain files, each with a line of headers before its bytes. */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { link, mkdir, open, readdir, rename } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import { nanoid } from 'nanoid';
import * as z from 'zod';
import { KeyedQueue } from '../../src/storage/async/keyed-queue.ts';
import { type ObjectHeaders, type ObjectStore, ObjectStoreError } from '../../src/storage/bucket/object-store.ts';
import { stateFileOf } from '../../src/storage/bucket/state-files.ts';
import { hasCode, ifPresent, syncFolder, unlinkIfPresent } from '../../src/storage/disk/files.ts';
import type { BucketSettings } from '../../src/storage/domain/config.ts';
import { folder } from '../../src/storage/domain/setting-kinds.ts';
import { bucketSettings } from '../../src/storage/providers/common-settings.ts';
import type { ProviderType } from '../../src/storage/providers/provider-type.ts';

interface FolderConfig extends BucketSettings {
  type: 'folder';
  path: string;
}

export const folderStorage: ProviderType<FolderConfig> = {
  type: 'folder',
  settings: z.strictObject({
    type: z.literal('folder').describe('Objects as plain files. Default: the name of the provider.'),
    path: folder().describe('Where the objects lie. Default: none, it must be set.'),
    ...bucketSettings,
  }),
  folder: 'stateDir',
  stateFile: stateFileOf,
  where: ({ path }) => path,
  root: ({ path, shared = false }) => ({ setting: 'path', place: path, kind: 'store', shared }),
  async open(config, context) {
    const { openObjectStorage } = await import('../../src/storage/providers/object-storage.ts');
    const urlOf = async (key: string) => `file://${join(config.path, key)}`;
    return openObjectStorage({ ...config, storageType: 'folder', objects: folderObjects(config.path), urlOf }, context);
  },
  async *examine(config, name, maxImageBytes) {
    const { examineObjectStore } = await import('../../src/storage/doctor/bucket.ts');
    yield* examineObjectStore(config, name, maxImageBytes, () => ({ objects: folderObjects(config.path) }));
  },
};

const PAGE_SIZE = 1000;
const LONGEST_HEAD_BYTES = 64 * 1024;
const TEMPORARY = '.new-';

interface Head {
  etag: string;
  headers: ObjectHeaders;
}

/** For one process: what overwrites an object waits for others that do. */
export function folderObjects(root: string): ObjectStore {
  const byKey = new KeyedQueue();
  const write = async (path: string, bytes: Buffer, headers: ObjectHeaders, place: (from: string) => Promise<void>) => {
    const etag = createHash('md5').update(bytes).digest('hex');
    const temporary = join(dirname(path), TEMPORARY + nanoid());
    await mkdir(dirname(path), { recursive: true });
    const file = await open(temporary, 'wx');
    try {
      await file.writeFile(
        Buffer.concat([Buffer.from(`${JSON.stringify({ etag, headers } satisfies Head)}\n`), bytes]),
      );
      await file.sync();
      await place(temporary);
    } finally {
      await file.close();
      await unlinkIfPresent(temporary);
    }
    await syncFolder(dirname(path));
    return { etag };
  };
  return {
    location: root,
    async putNew(key, body, headers) {
      const path = join(root, key);
      const bytes = await bytesOf(body.open());
      try {
        return await write(path, bytes, headers, (from) => link(from, path));
      } catch (error) {
        if (hasCode(error, 'EEXIST')) throw new ObjectStoreError('precondition', 'there is such an object');
        throw error;
      }
    },
    replaceIf: (key, body, headers, etag) =>
      byKey.run(key, async () => {
        const path = join(root, key);
        const bytes = await bytesOf(body.open());
        if ((await readHead(path)).etag !== etag) throw new ObjectStoreError('precondition', 'the object is another');
        return write(path, bytes, headers, (from) => rename(from, path));
      }),
    async get(key, { offset, length } = { offset: 0, length: Number.POSITIVE_INFINITY }) {
      const path = join(root, key);
      const { etag, headers, headBytes, sizeBytes } = await readHead(path);
      const start = headBytes + offset;
      const body = createReadStream(path, { start, end: Math.min(start + length, headBytes + sizeBytes) - 1 });
      return { etag, size: sizeBytes, metadata: headers.metadata ?? {}, body };
    },
    async list(prefix, after = '') {
      const names = ((await ifPresent(readdir(root, { recursive: true, withFileTypes: true }))) ?? [])
        .filter((entry) => entry.isFile() && !entry.name.startsWith(TEMPORARY))
        .map((entry) => relative(root, join(entry.parentPath, entry.name)));
      const keys = names.filter((key) => key.startsWith(prefix) && key > after).sort();
      const found = await Promise.all(keys.slice(0, PAGE_SIZE).map((key) => listed(root, key)));
      return { objects: found.filter((object) => object !== undefined), more: keys.length > PAGE_SIZE };
    },
    async remove(key) {
      await unlinkIfPresent(join(root, key));
    },
  };
}

/** Undefined where it was removed meanwhile. */
async function listed(root: string, key: string) {
  const head = await ifPresent(readHead(join(root, key)).catch(absent));
  return head && { key, etag: head.etag, size: head.sizeBytes, lastModified: head.mtimeMs };
}

function absent(error: unknown): undefined {
  if (error instanceof ObjectStoreError && error.failure === 'not_found') return undefined;
  throw error;
}

async function readHead(path: string): Promise<Head & { headBytes: number; sizeBytes: number; mtimeMs: number }> {
  const file = await ifPresent(open(path));
  if (file === undefined) throw new ObjectStoreError('not_found', 'no such object');
  try {
    const { buffer } = await file.read({ buffer: Buffer.alloc(LONGEST_HEAD_BYTES), position: 0 });
    const headBytes = buffer.indexOf('\n') + 1;
    const { size, mtimeMs } = await file.stat();
    return {
      ...(JSON.parse(buffer.toString('utf8', 0, headBytes)) as Head),
      headBytes,
      sizeBytes: size - headBytes,
      mtimeMs,
    };
  } finally {
    await file.close();
  }
}

async function bytesOf(parts: AsyncIterable<Uint8Array> | Iterable<Uint8Array>): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of parts) chunks.push(chunk);
  return Buffer.concat(chunks);
}
