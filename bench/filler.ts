/** A process that fills the catalog of a bucket, as a daemon does at its first start, or makes its snapshots. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { ObjectStore } from '../src/storage/bucket/object-store.ts';
import { openStore } from '../src/storage/bucket/open.ts';
import { SNAPSHOTS } from '../src/storage/bucket/snapshot-object.ts';
import { makeSnapshots } from '../src/storage/bucket/snapshots.ts';
import type { S3Config } from '../src/storage/index.ts';
import { s3Objects } from '../src/storage/s3/objects.ts';
import { contextOf } from '../test/support/bucket.ts';
import { answerParent } from './child.ts';

export interface FillLoad {
  settings: S3Config;
  stateDir: string;
  index?: string | undefined;
  /** Of each request, added to what the server takes: as across a network. */
  latencyMs: number;
  /** `records`: as if there were no snapshots; `make`: makes them once it is filled. */
  by: 'snapshots' | 'records' | 'make';
}

export interface Filled {
  images: number;
  seconds: number;
  cpuSeconds: number;
  requests: { get: number; list: number; put: number };
  megabytes: number;
}

answerParent(async ({ settings, stateDir, index, by, latencyMs }: FillLoad): Promise<Filled> => {
  const requests = { get: 0, list: 0, put: 0 };
  let bytes = 0;
  const bare = s3Objects(settings);
  const latency = async () => {
    if (latencyMs > 0) await sleep(latencyMs);
  };
  const objects: ObjectStore = {
    ...bare,
    location: bare.location,
    async get(key, range) {
      requests.get += 1;
      await latency();
      const object = await bare.get(key, range);
      bytes += object.size;
      return object;
    },
    async list(prefix, after) {
      requests.list += 1;
      await latency();
      return by === 'records' && prefix === SNAPSHOTS ? { objects: [], more: false } : bare.list(prefix, after);
    },
    async putNew(key, body, headers) {
      requests.put += 1;
      await latency();
      bytes += body.size;
      return bare.putNew(key, body, headers);
    },
    replaceIf: (...args) => bare.replaceIf(...args),
    remove: (key) => bare.remove(key),
    close: () => bare.close?.(),
  };
  const store = await openStore({ objects, stateDir, shared: true, ...(index && { index }) }, contextOf());
  if (by === 'make') await store.synchronizer.run();
  Object.assign(requests, { get: 0, list: 0, put: 0 });
  bytes = 0;
  const cpuBefore = process.cpuUsage();
  const start = performance.now();
  await (by === 'make' ? makeSnapshots(store) : store.synchronizer.run());
  const seconds = (performance.now() - start) / 1000;
  const { user, system } = process.cpuUsage(cpuBefore);
  const { count: images } = await store.catalog.statistics();
  await store.catalog.close(true);
  store.lock.release();
  bare.close?.();
  return { images, seconds, cpuSeconds: (user + system) / 1e6, requests, megabytes: bytes / 1e6 };
});
