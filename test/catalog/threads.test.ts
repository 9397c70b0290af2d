/** A store lives in two threads of a process, however its catalog came to be: new, found, or built again. */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, it, onTestFinished } from 'vitest';
import { requires } from '../support/requires.ts';

const STORAGE = new URL('../../src/storage/index.ts', import.meta.url).href;

/** Opens one store four times, and prints for each how many threads it started and which of them the kernel shows. */
const PROGRAM = `
  import { readdirSync, readFileSync, rmSync } from 'node:fs';
  import { createStorage } from ${JSON.stringify(STORAGE)};

  const [main, catalog] = JSON.parse(process.argv[1]);
  if (main.type === 'memory') main.bucket = new Map();
  let started = 0;
  process.on('worker', () => (started += 1));
  const nameOf = (task) => readFileSync('/proc/self/task/' + task + '/comm', 'utf8').trim();
  const running = () => readdirSync('/proc/self/task').map(nameOf).filter((name) => /^catalog-|^WorkerThread/.test(name));

  const open = async (dependencies) => {
    started = 0;
    const storage = await createStorage({ defaultProvider: 'main', providers: { main } }, dependencies);
    const count = { started, running: running().sort() };
    await storage.close();
    return { ...count, left: running() };
  };
  const fresh = await open();
  const again = await open();
  rmSync(catalog);
  const lost = await open();
  const rebuilt = await open({ rebuildCatalog: true });
  console.log(JSON.stringify({ fresh, again, lost, rebuilt }));`;

requires('/proc', existsSync('/proc/self/task'))('starting a store', () => {
  it.each([
    { type: 'local', place: 'basePath', catalog: 'metadata/catalog.db' },
    { type: 'memory', place: 'stateDir', catalog: 'main.catalog.db' },
  ])('of type $type takes two threads', async ({ type, place, catalog }) => {
    const folder = await mkdtemp(join(tmpdir(), 'image-storage-threads-'));
    onTestFinished(() => rm(folder, { recursive: true }));
    const store = JSON.stringify([{ type, [place]: folder }, join(folder, catalog)]);
    const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', PROGRAM, store]);
    const two = { started: 2, running: ['catalog-reader', 'catalog-writer'], left: [] };
    expect(JSON.parse(stdout)).toEqual({ fresh: two, again: two, lost: two, rebuilt: two });
  });
});
