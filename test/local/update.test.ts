/** Updates in a folder: which record counts where two differ, and what is written where nothing was changed. */
import { copyFile, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import type { Finding } from '../../src/storage/domain/maintenance.ts';
import { createStorage, type Storage } from '../../src/storage/index.ts';
import { tamper } from '../catalog/catalogs.ts';
import { untilNothingIsStaged } from '../support/files.ts';
import { imageOf } from '../support/ledger.ts';

const CHANGES = { pinned: true, addTags: ['new'], category: 'final' };

let folder: string;
let basePath: string;
let storage: Storage;
let filename: string;
let record: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'image-storage-'));
  basePath = join(folder, 'outputs');
  storage = await open();
  const { bytes, metadata, options } = imageOf(1, { sizeBytes: 300 });
  const saved = await storage.save(bytes, metadata, options);
  filename = saved.filename;
  record = join(folder, `${saved.key.replace('images', 'metadata')}.json`);
  await untilNothingIsStaged(basePath);
});
afterEach(async () => {
  await storage.close();
  await rm(folder, { recursive: true });
});

const open = () =>
  createStorage({
    providers: { local: { basePath }, other: { type: 'local', basePath: join(folder, 'other/outputs') } },
  });

const recorded = async () => JSON.parse(await readFile(record, 'utf8'));

async function update(): Promise<void> {
  await storage.update(filename, CHANGES);
  await untilNothingIsStaged(basePath);
}

async function findings(options: { repair?: boolean } = {}): Promise<Finding[]> {
  const found: Finding[] = [];
  for await (const event of storage.verify(options)) if (event.kind === 'finding') found.push(event.finding);
  return found;
}

it('counts in the record, which otherwise stays as it was', async () => {
  const before = await recorded();
  expect(before).not.toHaveProperty('revision');
  const unchanged = await readFile(record, 'utf8');
  await storage.update(filename, { addTags: before.tags, category: before.category, pinned: false });
  await untilNothingIsStaged(basePath);
  expect(await readFile(record, 'utf8')).toBe(unchanged);
  await update();
  const changed = { pinned: true, category: 'final', tags: [...before.tags, 'new'], revision: 1 };
  expect(await recorded()).toEqual({ ...before, ...changed });
});

it('makes a record of before it a finding, which is repaired from the row', async () => {
  const older = await readFile(record);
  await update();
  const newer = await recorded();
  await writeFile(record, older);
  expect(await findings()).toMatchObject([{ problem: 'record_damaged', remedy: 'none', filename }]);
  expect(await findings({ repair: true })).toMatchObject([{ remedy: 'restored' }]);
  expect(await recorded()).toEqual(newer);
  expect(await findings()).toEqual([]);
});

it('is taken in by a catalog of before it', async () => {
  await storage.close();
  const [catalog, older] = [join(basePath, 'metadata/catalog.db'), join(folder, 'older.db')];
  await copyFile(catalog, older);
  storage = await open();
  await update();
  await storage.close();
  await copyFile(older, catalog);
  storage = await open();
  expect((await storage.get(filename)).item).toMatchObject({ pinned: true, metadata: { category: 'final' } });
  expect(await findings()).toEqual([]);
});

it('counts on where an older version has built the catalog again', async () => {
  await update();
  await storage.close();
  tamper(join(basePath, 'metadata/catalog.db'), 'DELETE FROM revisions');
  storage = await open();
  expect(await findings()).toEqual([]);
  await storage.update(filename, { pinned: false });
  await untilNothingIsStaged(basePath);
  expect(await recorded()).toMatchObject({ pinned: false, category: 'final', revision: 2 });
});

it('goes along with a copy', async () => {
  await update();
  for await (const _ of storage.copy({ from: 'local', to: 'other' }));
  const { item } = await storage.get(filename, { provider: 'other' });
  expect(item).toMatchObject({ pinned: true, metadata: { category: 'final' } });
  const copied = record.replace(basePath, join(folder, 'other/outputs'));
  await untilNothingIsStaged(join(folder, 'other/outputs'));
  expect(JSON.parse(await readFile(copied, 'utf8'))).toEqual(await recorded());
});
