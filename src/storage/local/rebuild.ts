/** Rebuilds a lost catalog from the record files, with the tombstones and idempotency keys that are left. */
import { rename } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Tombstone } from '../catalog/catalog.ts';
import { removeDatabase, setAside } from '../catalog/sqlite/database-files.ts';
import type { CatalogBuilder } from '../catalog/sqlite/threads.ts';
import { inodeOf, syncFolder, unlinkIfPresent } from '../disk/files.ts';
import type { Logger } from '../domain/logger.ts';
import type { ImageRecord } from '../domain/record.ts';
import { type Audit, readAuditLog } from './audit-log.ts';
import type { Layout } from './layout.ts';
import { namesByFolder, namesIn, readRecords, readStaged } from './record-files.ts';
import { LOCAL_TOMBSTONE_MS } from './store.ts';
import { trashedRecords, trashTimes } from './trashed-records.ts';

const BATCH = 200;
const KEPT_LOST = 2;
const PROGRESS_MS = 2000;

export interface RebuildOptions {
  layout: Layout;
  storeId: string;
  log: Logger;
  now: () => number;
  failpoint: (step: string) => void;
  /** For how long files of the trash are kept of which no line tells when they came, in ms. */
  keepMs: number;
  /** Aborts the reading of records. */
  signal?: AbortSignal;
}

/** Puts a complete catalog in place; a crash at any step, or an abort, leaves the work to the next start. */
export async function rebuildCatalog(builder: CatalogBuilder, options: RebuildOptions): Promise<void> {
  const { layout, storeId, log, now, failpoint, keepMs } = options;
  const fresh = `${layout.catalog}.new`;
  await removeDatabase(fresh);
  const audit = await readAuditLog(layout.auditLog);
  const tombstones = await knownTombstones(builder, layout, audit);
  const catalog = await builder.create({ path: fresh, storeId, indexLater: true });
  try {
    const deleted = new Set(tombstones.map(({ record }) => record.filename));
    const sources = { layout, audited: audit.trashed, keepMs };
    const trashed = await trashTimes(sources, options);
    for (const filename of deleted) trashed.delete(filename);
    const kept = (records: ImageRecord[]) =>
      records.filter(({ filename }) => !deleted.has(filename) && !trashed.has(filename));
    const placed = await loadRecords(placedRecords(options), log, (records) => catalog.load(kept(records)));
    const { uploads, updates } = await readStaged(layout, options);
    await catalog.load(kept(updates));
    // Before what is staged: a repeated save of an image in the trash was never committed.
    const inTrash = await loadRecords(trashedRecords(sources, trashed), log, (records) => catalog.loadTrash(records));
    const count = placed + inTrash + (await catalog.loadStaged(kept(uploads)));
    // After the live images, so that an idempotency key of both stays with the live one.
    await catalog.loadTombstones(tombstones.map((tombstone) => withoutOldKey(tombstone, now())));
    if (count + tombstones.length > 0)
      log.info({ images: count, tombstones: tombstones.length }, 'catalog built from the records');
  } finally {
    await catalog.seal();
  }
  failpoint('rebuilt');
  await moveAside(layout);
  failpoint('old-catalog-aside');
  await rename(fresh, layout.catalog);
  await syncFolder(layout.metadata);
  failpoint('new-catalog-in-place');
  if (await unlinkIfPresent(layout.rebuild)) await syncFolder(layout.metadata);
}

/**
 * Returns the tombstones of all sources. A filename is never reused: an image that any source has as deleted stays
 * deleted, unless it was brought back since.
 */
async function knownTombstones(
  builder: CatalogBuilder,
  layout: Layout,
  { deletes, broughtBack }: Audit,
): Promise<Tombstone[]> {
  const salvaged: Tombstone[][] = [];
  for (const path of [layout.catalog, ...(await lostCatalogs(layout))]) salvaged.push(await builder.salvage(path));
  await findPendingUnlinks(layout, deletes);
  return standing([...salvaged.flat(), ...deletes], broughtBack);
}

/** Returns the tombstones of images that were not brought back since. */
export function standing(tombstones: readonly Tombstone[], broughtBack: Audit['broughtBack']): Tombstone[] {
  return tombstones.filter(({ record, deleteTime }) => deleteTime > (broughtBack.get(record.filename) ?? 0));
}

/** Drops an idempotency key that upkeep would have purged by now. */
export function withoutOldKey(tombstone: Tombstone, now: number): Tombstone {
  if (now - tombstone.deleteTime < LOCAL_TOMBSTONE_MS) return tombstone;
  return { ...tombstone, record: { ...tombstone.record, idempotencyKey: '' } };
}

/** Marks unlinks as pending while the image or its record exists, whose bytes may have been lost before the delete. */
async function findPendingUnlinks(layout: Layout, tombstones: Tombstone[]): Promise<void> {
  for (let start = 0; start < tombstones.length; start += BATCH) {
    const batch = tombstones.slice(start, start + BATCH);
    const found = await Promise.all(batch.map(({ record }) => isInTree(layout, record.filename)));
    for (const [index, isThere] of found.entries()) batch[index]!.unlinkPending = isThere;
  }
}

async function isInTree(layout: Layout, filename: string): Promise<boolean> {
  const images = [layout.image(filename), layout.trashedImage(filename)];
  const paths = [...images, layout.record(filename), layout.trashedRecord(filename)];
  return (await Promise.all(paths.map(inodeOf))).some((inode) => inode !== undefined);
}

async function loadRecords<R>(
  all: AsyncIterable<R>,
  log: Logger,
  load: (records: R[]) => Promise<unknown>,
): Promise<number> {
  let count = 0;
  let batch: R[] = [];
  let reported = Date.now();
  let loading: Promise<unknown> = Promise.resolve();
  // Reads the next batch while the catalog's thread loads this one.
  const flush = async () => {
    const records = batch;
    batch = [];
    await loading;
    loading = load(records);
    loading.catch(() => {});
    count += records.length;
    if (Date.now() - reported < PROGRESS_MS) return;
    reported = Date.now();
    log.info({ images: count }, 'building the catalog from the records');
  };
  for await (const record of all) {
    batch.push(record);
    if (batch.length === BATCH) await flush();
  }
  await flush();
  await loading;
  return count;
}

type Reading = Pick<RebuildOptions, 'layout' | 'log' | 'signal'>;

/** Yields every record in its final folder. */
async function* placedRecords({ layout, ...reading }: Reading): AsyncGenerator<ImageRecord> {
  for await (const { folder, names } of namesByFolder(layout.records, reading.log)) {
    yield* readRecords(folder, names, reading);
  }
}

/** Moves the lost catalog aside, and keeps the newest two for inspection. */
async function moveAside(layout: Layout): Promise<void> {
  const stamp = new Date().toISOString().replace(/[-:.]/g, '');
  await setAside(layout.catalog, join(layout.metadata, `catalog-lost-${stamp}.db`));
  for (const old of (await lostCatalogs(layout)).slice(0, -KEPT_LOST)) await removeDatabase(old);
}

/**
 * Removes the catalogs that were moved aside. Versions without a trash take the rows of images that were in it then for
 * tombstones, also where these were brought back since.
 */
export async function removeLostCatalogs(layout: Layout): Promise<void> {
  for (const path of await lostCatalogs(layout)) await removeDatabase(path);
}

/** Returns their paths, oldest first. */
async function lostCatalogs(layout: Layout): Promise<string[]> {
  const names = await namesIn(dirname(layout.catalog));
  return names.filter((name) => /^catalog-lost-\w+\.db$/.test(name)).map((name) => join(layout.metadata, name));
}
