/** After a kill, a store with a large catalog serves before it has looked through it, and loses nothing by that. */
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, it, onTestFinished } from 'vitest';
import { openStorage } from '../../src/storage/storage.ts';
import { forkStore } from '../crash/forked-store.ts';
import { strayFiles } from '../support/files.ts';
import { pngOf } from '../support/images.ts';

const SAVE = { prompt: 'a red fox', model: 'flux', timestamp: new Date('2024-09-27T14:15:22Z') };

/** A store that was killed: two images are committed, and what the second left in staging is not settled. */
async function killedStore(crash: string): Promise<string> {
  const basePath = await mkdtemp(join(tmpdir(), 'image-storage-later-'));
  onTestFinished(() => rm(basePath, { recursive: true, force: true }));
  // The first image of a day changes what the next start compares with the catalog.
  const { storage } = await opened(basePath);
  const { filename } = await storage.save(pngOf({ width: 8, height: 8, seed: 0 }), SAVE);
  await storage.delete(filename);
  await storage.close();
  const store = await forkStore({ basePath, crash: { step: crash, nth: 2 } });
  for (const seed of [1, 2]) await store.save(pngOf({ width: 8, height: 8, seed }), SAVE).catch(() => {});
  expect(await store.ended).toBe('SIGKILL');
  return basePath;
}

async function opened(basePath: string, checkLaterAbove?: number) {
  const logged: string[] = [];
  const fatal: Error[] = [];
  const write = (_: object, message: string) => void logged.push(message);
  const log = { debug() {}, info: write, warn: write, error: write };
  const dependencies = { log, checkLaterAbove, onFatal: (error: Error) => void fatal.push(error) };
  const storage = await openStorage({ providers: { local: { basePath } } }, dependencies);
  return { storage, logged, fatal };
}

it.each([
  ['committed', 2],
  ['linked', 1],
])('after a kill at %s it recovers behind the calls, and its next stop is clean', async (crash, count) => {
  const basePath = await killedStore(crash);
  const { storage, logged } = await opened(basePath, 0);
  expect(await storage.list()).toHaveLength(count);
  expect(await storage.save(pngOf({ width: 8, height: 8, seed: 3 }), SAVE)).toMatchObject({ replayed: false });
  await storage.close();
  expect(logged).toEqual([
    'the last stop was not clean: the catalog is looked through behind the calls',
    'the catalog is sound, and the store is recovered',
  ]);
  expect(await readdir(join(basePath, 'metadata/staging'))).toEqual([]);
  const again = await opened(basePath, 0);
  expect(again.logged).toEqual([]);
  expect(await again.storage.list()).toHaveLength(count + 1);
  expect(await strayFiles(again.storage, basePath)).toEqual([]);
  await again.storage.close();
});

it('has what is damaged built again by the next start, and settles nothing by it', async () => {
  const basePath = await killedStore('linked');
  const path = join(basePath, 'metadata/catalog.db');
  await (await opened(basePath)).storage.close();
  const killed = await forkStore({ basePath });
  await killed.kill();
  const staged = join(basePath, 'metadata/staging/20240927_141522_flux_aaaaaa.png.part');
  await writeFile(staged, 'undecided');
  const bytes = await readFile(path);
  bytes.fill(0x5a, Math.floor(bytes.length * 0.5), Math.floor(bytes.length * 0.6));
  await writeFile(path, bytes);
  const { storage, fatal } = await opened(basePath, 0);
  for (let begun = Date.now(); fatal.length === 0 && Date.now() - begun < 5000; ) await sleep(20);
  expect(fatal).toMatchObject([{ failure: 'corrupt' }]);
  await storage.close();
  expect((await stat(staged)).size).toBe(9);
  const rebuilt = await opened(basePath);
  expect(rebuilt.logged).toContain('building the catalog from the records');
  expect(await rebuilt.storage.list()).toHaveLength(1);
  await rebuilt.storage.close();
});
