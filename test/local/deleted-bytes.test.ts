/** What was deleted stays away for a year, also where the catalog is lost. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, expect, it, onTestFinished } from 'vitest';
import { createStorage } from '../../src/storage/index.ts';
import type { Storage } from '../../src/storage/types.ts';
import { createWith, openInThread, recordOf, T0, temporaryCatalog } from '../catalog/catalogs.ts';
import { pngOf } from '../support/images.ts';

const DAY_MS = 24 * 60 * 60 * 1000;
const DELETED = { reason: 'DELETED_BEFORE' };

let basePath: string;
let storage: Storage;
let now: number;

const open = async () => {
  storage = await createStorage({ providers: { local: { basePath } } }, { now: () => now });
};

beforeEach(async () => {
  now = Date.now();
  basePath = await mkdtemp(join(tmpdir(), 'image-storage-deleted-'));
  await open();
});

afterEach(async () => {
  await storage.close();
  await rm(basePath, { recursive: true });
});

const save = (seed: number, unlessDeleted = true) =>
  storage.save(pngOf({ width: 4, height: 4, seed }), { prompt: '', model: '' }, { unlessDeleted });

it('is known to a catalog that is built again from the records and the audit log', async () => {
  const [gone, trashed, back] = [await save(1), await save(2), await save(3)];
  await storage.delete(gone.filename, { permanent: true });
  await storage.delete(trashed.filename);
  await storage.delete(back.filename);
  await storage.restore(back.filename);
  await storage.close();
  for (const end of ['', '-wal', '-shm']) await rm(join(basePath, `metadata/catalog.db${end}`), { force: true });
  await open();
  await expect(save(1)).rejects.toMatchObject(DELETED);
  await expect(save(2)).rejects.toMatchObject(DELETED);
  await storage.restore(trashed.filename);
  // Live ones are no reason to refuse.
  expect(await save(2)).toMatchObject({ replayed: false });
  expect(await save(3)).toMatchObject({ replayed: false });
});

it('is forgotten after a year, and read of the tombstones of a catalog that has no such table', async () => {
  const { path, release } = temporaryCatalog();
  onTestFinished(release);
  const record = recordOf(1);
  createWith(path, [record]);
  let catalog = await openInThread(path);
  await catalog.commit([{ kind: 'delete', filename: record.filename, deleteTime: T0, sparePinned: false }]);
  await catalog.close(true);
  const db = new DatabaseSync(path);
  db.exec('DROP TABLE deleted_bytes');
  db.close();
  catalog = await openInThread(path);
  const { sha256 } = record;
  expect(await catalog.wasDeleted(sha256)).toBe(true);
  await catalog.purgeTombstones(T0 + 360 * DAY_MS);
  expect(await catalog.wasDeleted(sha256)).toBe(true);
  await catalog.purgeTombstones(T0 + 367 * DAY_MS);
  expect(await catalog.wasDeleted(sha256)).toBe(false);
  await catalog.close(true);
});
