/** What people do to a store with other tools: files or objects read, written and removed by key, whatever kind of store. */
import { existsSync } from 'node:fs';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import type { ObjectStore } from '../../src/storage/bucket/object-store.ts';
import { KEY_ROOT } from '../../src/storage/domain/naming.ts';
import { type MemoryBucket, memoryObjects } from '../../src/storage/providers/memory-storage.ts';
import { sha256Of } from './bytes.ts';
import { filesBelow } from './files.ts';

export interface Hands {
  read(key: string): Promise<Buffer>;
  /** Whatever lies there is replaced. */
  write(key: string, bytes: Uint8Array): Promise<void>;
  remove(key: string): Promise<void>;
  /** Makes it older, where that can be: the servers of buckets keep that time themselves. */
  age?(key: string, ms: number): Promise<void>;
  /** Of images, records and what was quarantined, in order. */
  keys(): Promise<string[]>;
}

const FOLDERS = ['images', 'metadata/generations', 'metadata/quarantine'];

/** On the folder of a local store. */
export function handsOnFolder(basePath: string): Hands {
  const pathOf = (key: string) => join(basePath, key.slice(KEY_ROOT.length));
  return {
    read: (key) => readFile(pathOf(key)),
    async write(key, bytes) {
      await mkdir(dirname(pathOf(key)), { recursive: true });
      await writeFile(pathOf(key), bytes);
    },
    remove: (key) => rm(pathOf(key)),
    // A folder judges its files whatever their age.
    age: async () => {},
    async keys() {
      const there = FOLDERS.filter((folder) => existsSync(join(basePath, folder)));
      const found = await Promise.all(there.map((folder) => filesBelow(basePath, folder)));
      return found
        .flat()
        .map((path) => KEY_ROOT + path)
        .sort();
    },
  };
}

/** On the objects of a bucket. */
export function handsOnObjects(objects: ObjectStore): Hands {
  return {
    read: async (key) => buffer((await objects.get(key)).body),
    async write(key, bytes) {
      await objects.remove(key);
      const payload = { size: bytes.length, sha256: sha256Of(bytes), open: () => [bytes] };
      await objects.putNew(key, payload, { contentType: 'application/octet-stream' });
    },
    remove: (key) => objects.remove(key),
    async keys() {
      const found: string[] = [];
      for (const folder of FOLDERS) {
        for (let after: string | undefined, more = true; more; ) {
          const page = await objects.list(`${KEY_ROOT}${folder}/`, after);
          found.push(...page.objects.map(({ key }) => key));
          after = page.objects.at(-1)?.key;
          more = page.more;
        }
      }
      return found.sort();
    },
  };
}

/** On the objects of a bucket in memory. */
export function handsOnBucket(bucket: MemoryBucket): Hands {
  return {
    ...handsOnObjects(memoryObjects(bucket)),
    async age(key, ms) {
      bucket.get(key)!.lastModified -= ms;
    },
  };
}

/** The sha256 of all that lies there, by key. */
export async function contentsOf(hands: Hands): Promise<Map<string, string>> {
  const contents = new Map<string, string>();
  for (const key of await hands.keys()) {
    contents.set(key, sha256Of(await hands.read(key)));
  }
  return contents;
}
