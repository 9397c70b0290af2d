/** kill -9 at random moments, and catalogs that get lost: every acknowledged image is there, no listed one is broken. */
import { mkdtemp, open, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { ConnectError } from '@connectrpc/connect';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ErrorInfoSchema } from '../../gen/google/rpc/error_details_pb.ts';
import { connect } from '../../src/client.ts';
import { brokenPromises } from '../support/check-store.ts';
import { type DaemonProcess, startDaemonProcess } from '../support/daemon-process.ts';
import { loseCatalog } from '../support/files.ts';
import { storageAt } from '../support/grpc.ts';
import { Ledger, type TrashTarget } from '../support/ledger.ts';
import { endlessImages, putUnderLoad, random } from '../support/load.ts';
import '../support/on-disk.ts';
import { full } from '../support/scale.ts';
import { type ForkedStore, forkStore } from './forked-store.ts';

const ROUNDS = full ? 100 : 20;
const TIMEOUT_MS = 15 * 60_000;
/** Whether deleted images can be brought back; unless all are wanted, they can. */
const withTrash = full ? [true, false] : [true];

let basePath: string;
beforeEach(async () => {
  basePath = await mkdtemp(join(tmpdir(), 'image-storage-kill-'));
});
afterEach(async () => {
  for (const path of [basePath, `${basePath}.json`]) await rm(path, { recursive: true, force: true });
});

it.each(withTrash)(
  'survives kill -9 of the daemon at random moments under load, with a trash: %s',
  async (trash) => {
    const [ledger, images] = [new Ledger({ trash }), endlessImages()];
    for (let round = 1; round <= ROUNDS; round += 1) {
      const daemon = await startDaemon(trash);
      using target = targetAt(daemon.address);
      const load = putUnderLoad(target, ledger, { images });
      await firstAnswer(ledger);
      await sleep(300 * random());
      await daemon.stop('SIGKILL');
      for (const end of await load) expect(end).toMatchObject({ name: 'ImageStorageError', reason: undefined });
      expect(await brokenPromises(basePath, ledger), `round ${round}`).toEqual([]);
    }
    console.info(`kill -9: ${ROUNDS} rounds, ${ledger.ackedCount()} changes acknowledged, with a trash: ${trash}`);
    expect(ledger.ackedCount()).toBeGreaterThan(ROUNDS);
  },
  TIMEOUT_MS,
);

async function startDaemon(trash: boolean): Promise<DaemonProcess> {
  const config = `${basePath}.json`;
  const local = { type: 'local', basePath, ...(!trash && { trash: { days: 0 } }) };
  await writeFile(config, JSON.stringify({ providers: { local } }));
  return startDaemonProcess(undefined, { flags: ['--config', config] });
}

/** Whether the machine is fast or slow, the kill comes in the middle of the work. */
async function firstAnswer(ledger: Ledger): Promise<void> {
  const before = ledger.ackedCount();
  for (let tries = 0; tries < 2000 && ledger.ackedCount() === before; tries += 1) await sleep(5);
}

function targetAt(address: string): TrashTarget & Disposable {
  const [client, raw] = [connect(address, { retries: 0 }), storageAt(address)];
  return {
    save: (bytes, metadata, options) => client.save(bytes, metadata, options),
    update: (filename, changes) => client.update(filename, changes),
    delete: async (filename, { permanent = false } = {}) => {
      if (!permanent) return (await client.delete(filename))[0]!.deleted;
      return (await answered(raw.delete({ filenames: [filename], permanent }))).results[0]!.deleted;
    },
    restore: async (filename) => {
      const [result] = (await answered(raw.restore({ filenames: [filename] }))).results;
      expect(result).toMatchObject({ filename, restored: true });
    },
    purge: (filename) => answered(raw.purge({ filenames: [filename] })),
    [Symbol.dispose]: () => client.close(),
  };
}

/** Fails as a call of the client does. */
async function answered<T>(call: Promise<T>): Promise<T> {
  try {
    return await call;
  } catch (cause) {
    const [info] = ConnectError.from(cause).findDetails(ErrorInfoSchema);
    throw Object.assign(new Error('the call failed', { cause }), { name: 'ImageStorageError', reason: info?.reason });
  }
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

const stopsWithTrash = stops.flatMap((stop) => withTrash.map((trash) => ({ ...stop, trash })));

describe.each(losses)('a catalog that is $what', ({ lose }) => {
  it.each(stopsWithTrash)(
    '$when comes back with the same lists and Stats, with a trash: $trash',
    async ({ stop, trash }) => {
      const ledger = new Ledger({ trash });
      const images = endlessImages();
      const settings = { basePath, ...(!trash && { trashDays: 0 }) };
      const first = await forkStore(settings);
      expect(await putUnderLoad(first, ledger, { images, saves: 60 })).toEqual([]);
      await first.close();
      // From here on the log does not tell the whole story.
      const before = await forkStore(settings);
      expect(await putUnderLoad(before, ledger, { images, saves: 40 })).toEqual([]);
      const shown = await whatIsShown(before);
      await stop(before);
      await lose(join(basePath, 'metadata/catalog.db'));
      const after = await forkStore(settings);
      expect(await whatIsShown(after)).toEqual(shown);
      await after.close();
      expect(await brokenPromises(basePath, ledger)).toEqual([]);
    },
  );
});

async function whatIsShown(store: ForkedStore) {
  const { freeBytes: _, ...stats } = await store.stats();
  return { items: await store.list(), trashed: await store.listTrash(), stats };
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
