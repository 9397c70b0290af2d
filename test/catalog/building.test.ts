/** How a lost catalog is built again and opened, by the same two threads, and what happens when one of them dies. */
import { renameSync, rmSync } from 'node:fs';
import { setImmediate } from 'node:timers/promises';
import { afterEach, beforeEach, expect, it } from 'vitest';
import type { CatalogBuilder } from '../../src/storage/catalog/sqlite/threads.ts';
import { openCatalog } from '../../src/storage/catalog/sqlite/worker-catalog.ts';
import { createWith, recordOf, STORE_ID, startedWorkers, temporaryCatalog } from './catalogs.ts';

const RECORDS = Array.from({ length: 200 }, (_, id) => recordOf(id));

let path: string;
let release: () => void;
let workers: ReturnType<typeof startedWorkers>['workers'];
let stop: () => void;

beforeEach(() => {
  ({ path, release } = temporaryCatalog());
  ({ workers, stop } = startedWorkers());
});
afterEach(() => {
  stop();
  release();
});

/** Opens the catalog after that build, and closes it. */
async function built(
  build: (builder: CatalogBuilder, why: string) => Promise<void>,
  options: { rebuild?: boolean; onDeath?: (error: Error) => void } = {},
) {
  const opened = await openCatalog({ path, storeId: STORE_ID, build, ...options });
  if (opened.state === 'lost') return opened;
  const { count } = await opened.catalog.statistics();
  await opened.catalog.close(true);
  return { state: opened.state, clean: opened.clean, count };
}

async function create(builder: CatalogBuilder, at = path): Promise<void> {
  const created = await builder.create({ path: at, storeId: STORE_ID });
  await created.load(RECORDS);
  await created.seal();
}

it('opens what was built, in the two threads that built it', async () => {
  const build = async (builder: CatalogBuilder, why: string) => {
    expect(why).toBe('missing or empty');
    await create(builder);
  };
  expect(await built(build)).toEqual({ state: 'open', clean: true, count: RECORDS.length });
  expect(workers).toHaveLength(2);
});

it('builds nothing where the catalog is sound', async () => {
  createWith(path, RECORDS.slice(0, 3));
  const build = () => Promise.reject(new Error('not to be called'));
  expect(await built(build)).toEqual({ state: 'open', clean: true, count: 3 });
  expect(workers).toHaveLength(2);
});

it('takes a sound catalog for lost where a rebuild is asked for', async () => {
  createWith(path, RECORDS.slice(0, 3));
  const build = async (builder: CatalogBuilder, why: string) => {
    expect(why).toBe('a rebuild was asked for');
    expect(await builder.salvage(path)).toEqual([]);
    await create(builder, `${path}.new`);
    renameSync(`${path}.new`, path);
  };
  expect(await built(build, { rebuild: true })).toEqual({ state: 'open', clean: true, count: RECORDS.length });
  expect(workers).toHaveLength(2);
});

it('stays lost where the build leaves nothing, and fails where that fails', async () => {
  expect(await built(async () => {})).toEqual({ state: 'lost', why: 'missing or empty' });
  await expect(built(() => Promise.reject(new Error('no records')))).rejects.toThrow('no records');
});

it('fails, and nothing more, when the writer dies of the build', async () => {
  const deaths: Error[] = [];
  const build = async (builder: CatalogBuilder) => {
    const created = await builder.create({ path, storeId: STORE_ID });
    await Promise.all([created.load(RECORDS), workers[0]!.terminate()]);
  };
  const opened = built(build, { onDeath: (error) => deaths.push(error) });
  await expect(opened).rejects.toMatchObject({ name: 'CatalogError', failure: 'definite' });
  expect(deaths).toEqual([]);
});

it('goes on where the reader dies of what it salvages', async () => {
  createWith(path, RECORDS);
  const deaths: Error[] = [];
  const build = async (builder: CatalogBuilder) => {
    await setImmediate();
    const [salvaged] = await Promise.all([builder.salvage(path), workers[1]!.terminate()]);
    expect(salvaged).toEqual([]);
    rmSync(path);
    await create(builder);
  };
  const opened = built(build, { rebuild: true, onDeath: (error) => deaths.push(error) });
  expect(await opened).toEqual({ state: 'open', clean: true, count: RECORDS.length });
  expect(deaths).toEqual([]);
});
