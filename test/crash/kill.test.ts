/** kill -9 at random moments, and catalogs that get lost: every acknowledged image is there, no listed one is broken. */
import { mkdtemp, open, rm, stat, truncate } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { connect, type ImageStorageClient } from '../../src/client.ts';
import { brokenPromises } from '../support/check-store.ts';
import { startDaemonProcess } from '../support/daemon-process.ts';
import { loseCatalog } from '../support/files.ts';
import { Ledger, type Target } from '../support/ledger.ts';
import { endlessImages, putUnderLoad, random } from '../support/load.ts';
import { full } from '../support/scale.ts';
import { type ForkedStore, forkStore } from './forked-store.ts';

const ROUNDS = full ? 100 : 20;
const TIMEOUT_MS = 15 * 60_000;

let basePath: string;
beforeEach(async () => {
  basePath = await mkdtemp(join(tmpdir(), 'image-storage-kill-'));
});
afterEach(() => rm(basePath, { recursive: true, force: true }));

it(
  'survives kill -9 of the daemon at random moments under load',
  async () => {
    const [ledger, images] = [new Ledger(), endlessImages()];
    for (let round = 1; round <= ROUNDS; round += 1) {
      const daemon = await startDaemonProcess(basePath);
      const client = connect(daemon.address, { retries: 0 });
      const load = putUnderLoad(targetOf(client), ledger, { images });
      await firstAnswer(ledger);
      await sleep(300 * random());
      await daemon.stop('SIGKILL');
      for (const end of await load) expect(end).toMatchObject({ name: 'ImageStorageError', reason: undefined });
      client.close();
      expect(await brokenPromises(basePath, ledger), `round ${round}`).toEqual([]);
    }
    console.info(`kill -9: ${ROUNDS} rounds, ${ledger.ackedCount()} saves, updates and deletes acknowledged`);
    expect(ledger.ackedCount()).toBeGreaterThan(ROUNDS);
  },
  TIMEOUT_MS,
);

/** Whether the machine is fast or slow, the kill comes in the middle of the work. */
async function firstAnswer(ledger: Ledger): Promise<void> {
  const before = ledger.ackedCount();
  for (let tries = 0; tries < 2000 && ledger.ackedCount() === before; tries += 1) await sleep(5);
}

function targetOf(client: ImageStorageClient): Target {
  return {
    save: (bytes, metadata, options) => client.save(bytes, metadata, options),
    update: (filename, changes) => client.update(filename, changes),
    delete: async (filename) => (await client.delete(filename))[0]!.deleted,
  };
}

const losses: { what: string; lose: (catalog: string) => Promise<unknown> }[] = [
  { what: 'deleted', lose: () => loseCatalog(basePath) },
  { what: 'deleted without its log', lose: (catalog) => rm(catalog) },
  { what: 'empty', lose: (catalog) => truncate(catalog) },
  { what: 'cut in half', lose: async (catalog) => truncate(catalog, (await stat(catalog)).size / 2) },
  { what: 'garbage at its beginning', lose: (catalog) => overwrite(catalog, 0, 4096) },
  { what: 'garbage in its middle', lose: (catalog) => overwrite(catalog, 0.25, 0.5) },
];

const stops: { when: string; stop: (store: ForkedStore) => Promise<unknown> }[] = [
  { when: 'after a clean stop', stop: (store) => store.close() },
  { when: 'right after a kill -9', stop: (store) => store.kill() },
];

describe.each(losses)('a catalog that is $what', ({ lose }) => {
  it.each(stops)('$when comes back with the same List and Stats', async ({ stop }) => {
    const ledger = new Ledger();
    const images = endlessImages();
    const first = await forkStore({ basePath });
    expect(await putUnderLoad(first, ledger, { images, saves: 60 })).toEqual([]);
    await first.close();
    // From here on the log does not tell the whole story.
    const before = await forkStore({ basePath });
    expect(await putUnderLoad(before, ledger, { images, saves: 40 })).toEqual([]);
    const shown = await whatIsShown(before);
    await stop(before);
    await lose(join(basePath, 'metadata/catalog.db'));
    const after = await forkStore({ basePath });
    expect(await whatIsShown(after)).toEqual(shown);
    await after.close();
    expect(await brokenPromises(basePath, ledger)).toEqual([]);
  });
});

async function whatIsShown(store: ForkedStore) {
  const { freeBytes: _, ...stats } = await store.stats();
  return { items: await store.list(), stats };
}

/** Position and length in bytes, or below 1 as a part of the whole. */
async function overwrite(path: string, from: number, length: number): Promise<void> {
  const { size } = await stat(path);
  const [position, count] = [from, length].map((value) => (value < 1 ? Math.floor(size * value) : value)) as [
    number,
    number,
  ];
  const file = await open(path, 'r+');
  await file.write(Buffer.alloc(count, 0xa5), 0, count, position);
  await file.close();
}
