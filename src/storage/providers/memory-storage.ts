/** The provider type `memory`: the five primitives of an object store over a Map, for tests and as their reference. */
import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import * as z from 'zod';
import {
  type ListedObject,
  type ObjectHeaders,
  type ObjectStore,
  ObjectStoreError,
  type Payload,
} from '../bucket/object-store.ts';
import { stateFileOf } from '../bucket/state-files.ts';
import type { BucketSettings } from '../domain/config.ts';
import { bucketSettings } from './common-settings.ts';
import type { ObjectStorageOptions } from './object-storage.ts';
import type { ProviderType } from './provider-type.ts';

export interface MemoryObject {
  bytes: Buffer;
  etag: string;
  headers: ObjectHeaders;
  lastModified: number;
}

/** The bucket; several providers may share one. */
export type MemoryBucket = Map<string, MemoryObject>;

interface MemoryConfig extends BucketSettings {
  type: 'memory';
  /** The objects by key. */
  bucket: MemoryBucket;
}

export const memoryStorageType: ProviderType<MemoryConfig> = {
  type: 'memory',
  settings: z.strictObject({
    type: z.literal('memory').describe('A bucket in memory. Default: the name of the provider.'),
    bucket: z.custom<MemoryBucket>((value) => value instanceof Map, 'must be set').describe('Default: none.'),
    ...bucketSettings,
  }),
  isConfigurable: false,
  folder: 'stateDir',
  stateFile: stateFileOf,
  where: () => 'memory',
  async open(config, context) {
    const { openObjectStorage } = await import('./object-storage.ts');
    return openObjectStorage(
      { ...config, ...memoryStorage(memoryObjects(config.bucket, { now: context.now })) },
      context,
    );
  },
  async *examine(config, name, maxImageBytes) {
    const { examineObjectStore } = await import('../doctor/bucket.ts');
    yield* examineObjectStore(config, name, maxImageBytes, () => ({ objects: memoryObjects(config.bucket) }));
  },
};

/** Returns the options that make an object store a provider of the type `memory`. */
export function memoryStorage(objects: ObjectStore): Pick<ObjectStorageOptions, 'objects' | 'storageType' | 'urlOf'> {
  return { objects, storageType: 'memory', urlOf: async (key) => `memory:///${key}` };
}

const PAGE_SIZE = 1000;

export function memoryObjects(bucket: MemoryBucket, { pageSize = PAGE_SIZE, now = Date.now } = {}): ObjectStore {
  const put = (key: string, bytes: Buffer, headers: ObjectHeaders) => {
    const etag = createHash('md5').update(bytes).digest('hex');
    bucket.set(key, { bytes, etag, headers, lastModified: now() });
    return { etag };
  };
  const existing = (key: string) => {
    const object = bucket.get(key);
    if (object === undefined) throw new ObjectStoreError('not_found', 'no such object');
    return object;
  };
  return {
    location: 'memory',
    async putNew(key, body, headers) {
      const bytes = await bytesOf(body);
      if (bucket.has(key)) throw new ObjectStoreError('precondition', 'there is such an object');
      return put(key, bytes, headers);
    },
    async replaceIf(key, body, headers, etag) {
      const bytes = await bytesOf(body);
      if (existing(key).etag !== etag) throw new ObjectStoreError('precondition', 'the object is another');
      return put(key, bytes, headers);
    },
    async get(key, range = { offset: 0, length: Number.POSITIVE_INFINITY }) {
      const { bytes, etag, headers } = existing(key);
      const part = bytes.subarray(range.offset, range.offset + range.length);
      return { etag, size: bytes.length, metadata: headers.metadata ?? {}, body: Readable.from([part]) };
    },
    async list(prefix, after = '') {
      const keys = [...bucket.keys()].filter((key) => key.startsWith(prefix) && key > after).sort();
      const objects = keys.slice(0, pageSize).map((key): ListedObject => {
        const { etag, bytes, lastModified } = existing(key);
        return { key, etag, size: bytes.length, lastModified };
      });
      return { objects, more: keys.length > pageSize };
    },
    async remove(key) {
      bucket.delete(key);
    },
  };
}

async function bytesOf(body: Payload): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of body.open()) chunks.push(chunk);
  return Buffer.concat(chunks);
}
