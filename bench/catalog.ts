/** Measures how fast a store of many images starts, lists and counts, beside a small one. */
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { connect, type ImageStorageClient } from '../src/client.ts';
import { layOutImages } from '../test/support/many-images.ts';
import { type Daemon, startDaemon } from './daemon.ts';
import { median, timed } from './rounds.ts';

const PAGE = 100;

export interface OpenedStore {
  images: number;
  daemon: Daemon;
  client: ImageStorageClient;
  rebuildSeconds: number;
  /** The lines in the log in which the rebuild reported its progress. */
  progressLines: number;
  startSeconds: number;
  close(): Promise<void>;
}

/** Builds the catalog of a store that has none, stops the daemon, and starts it again. */
export async function openStoreOf(images: number, folder: string): Promise<OpenedStore> {
  const basePath = join(folder, `store-${images}`);
  layOutImages(basePath, images);
  const rebuilding = await startDaemon(basePath);
  await rebuilding.stop();
  const daemon = await startDaemon(basePath);
  const client = connect(daemon.address);
  return {
    images,
    daemon,
    client,
    rebuildSeconds: rebuilding.startSeconds,
    progressLines: rebuilding.log.filter(({ msg }) => msg === 'building the catalog from the records').length,
    startSeconds: daemon.startSeconds,
    async close() {
      client.close();
      await daemon.stop();
      await rm(basePath, { recursive: true });
    },
  };
}

export interface CatalogTimes {
  statsMs: number;
  /** For the newest 100. */
  pageMs: number;
  listedPerSecond: number;
}

/** Asks the stores in turns. */
export async function measureCatalogs(stores: OpenedStore[], rounds: number): Promise<CatalogTimes[]> {
  const samples = stores.map(() => ({ stats: [] as number[], page: [] as number[] }));
  for (let round = 0; round < rounds; round += 1) {
    for (const [at, { client }] of stores.entries()) {
      samples[at]!.stats.push(await timed(() => client.stats()));
      samples[at]!.page.push(await timed(() => countListed(client, PAGE)));
    }
  }
  const times: CatalogTimes[] = [];
  for (const [at, { client, images }] of stores.entries()) {
    const listedMs = await timed(() => countListed(client));
    const { stats, page } = samples[at]!;
    times.push({ statsMs: median(stats), pageMs: median(page), listedPerSecond: (images * 1000) / listedMs });
  }
  return times;
}

async function countListed(client: ImageStorageClient, limit?: number): Promise<number> {
  let count = 0;
  for await (const _ of client.list({ limit })) count += 1;
  return count;
}
