/** Catches up a catalog that is older than its folder, and reports files that no catalog accounts for. */
import { stat } from 'node:fs/promises';
import type { LocalCatalog, RowState, Tombstone } from '../catalog/catalog.ts';
import { ifPresent, inodeOf } from '../disk/files.ts';
import { folderOf } from '../domain/naming.ts';
import type { ImageRecord, TrashedRecord } from '../domain/record.ts';
import type { ProviderContext } from '../types.ts';
import { type Audit, readAuditLog } from './audit-log.ts';
import type { Layout } from './layout.ts';
import { standing, withoutOldKey } from './rebuild.ts';
import { namesByFolder, readRecords, readStaged } from './record-files.ts';
import { LOCAL_TOMBSTONE_MS } from './store.ts';
import { trashedRecords, trashTimes } from './trashed-records.ts';

const BATCH = 500;
const PROGRESS_MS = 2000;
const NOT_DELETED: readonly RowState[] = ['absent', 'live', 'trashing', 'trashed'];

/** The part of LocalStore that catching up needs; it exists before the store is open. */
export interface CatchingUp {
  layout: Layout;
  catalog: LocalCatalog;
  /** For how long files of the trash are kept of which no line tells when they came, in ms. */
  keepMs: number;
  context: Pick<ProviderContext, 'name' | 'log' | 'now' | 'failpoint' | 'signal'>;
}

/**
 * Takes in the deletes of the audit log, then what lies in the trash, then every record without a row or with a higher
 * revision. Rows stay unless the log has them as deleted; whether an image is in the trash, its files say.
 * Changes no file, and may be repeated: a crash leaves the rest to the next start.
 */
export async function catchUp(catching: CatchingUp): Promise<void> {
  const { layout, context } = catching;
  const { name: provider, log, failpoint } = context;
  const { basePath } = layout;
  log.warn({ provider, basePath }, 'the catalog may be older than the folder: comparing it with the records');
  const audit = await readAuditLog(layout.auditLog);
  const { deleted, filenames } = await takeInDeletes(catching, audit);
  failpoint('deletes-taken-in');
  const trashed = await takeInTrash(catching, audit, filenames);
  failpoint('trash-taken-in');
  const images = await takeInRecords(catching, filenames);
  failpoint('records-taken-in');
  const about = { provider, basePath, images, trashed, deletes: deleted };
  if (images + trashed + deleted === 0) log.info({ provider }, 'the catalog has every record of the folder');
  else log.warn(about, 'the catalog was older: records were taken in');
}

/** Returns how many images it put into the trash. Adds the names of all that are there to `gone`. */
async function takeInTrash(catching: CatchingUp, audit: Audit, gone: Set<string>): Promise<number> {
  const { layout, catalog, context, keepMs } = catching;
  const sources = { layout, audited: audit.trashed, keepMs, stored: (filename: string) => catalog.find(filename) };
  const times = await trashTimes(sources, context);
  for (const filename of gone) times.delete(filename);
  for (const filename of times.keys()) gone.add(filename);
  let count = 0;
  let batch: TrashedRecord[] = [];
  for await (const record of trashedRecords(sources, times)) {
    batch.push(record);
    if (batch.length < BATCH) continue;
    count += await catalog.loadTrash(batch);
    batch = [];
  }
  return count + (await catalog.loadTrash(batch));
}

/** Returns how many live images were deleted by it, and the filenames of all that the audit log has as deleted. */
async function takeInDeletes(
  { layout, catalog, context }: CatchingUp,
  { deletes, broughtBack }: Audit,
): Promise<{ deleted: number; filenames: Set<string> }> {
  const now = context.now();
  await catalog.forgetDeletes([...broughtBack].map(([filename, time]) => ({ filename, time })));
  const tombstones = standing(deletes, broughtBack);
  let deleted = 0;
  for (const batch of batchesOf(tombstones)) {
    const settled = await Promise.all(batch.map((tombstone) => withPendingUnlink(layout, tombstone)));
    deleted += await catalog.loadDeletes(settled.map((tombstone) => withoutOldKey(tombstone, now)));
  }
  // Before records are taken in: their idempotency keys may be those of old deletes.
  await catalog.purgeTombstones(now - LOCAL_TOMBSTONE_MS);
  return { deleted, filenames: new Set(tombstones.map(({ record }) => record.filename)) };
}

/**
 * Marks the unlink as pending where a crash left the image, in the trash, too. One that changed after the delete was
 * restored from a backup or copied: it stays, and verify reports it.
 */
async function withPendingUnlink(layout: Layout, tombstone: Tombstone): Promise<Tombstone> {
  const { filename } = tombstone.record;
  const image = await ifPresent(stat(layout.image(filename)));
  if (image !== undefined) return { ...tombstone, unlinkPending: image.ctimeMs <= tombstone.deleteTime };
  return { ...tombstone, unlinkPending: (await inodeOf(layout.trashedImage(filename))) !== undefined };
}

/** Returns how many records were taken in. */
async function takeInRecords(catching: CatchingUp, deleted: Set<string>): Promise<number> {
  const { layout, catalog, context } = catching;
  const { name: provider, log, signal } = context;
  let [seen, images, reported] = [0, 0, Date.now()];
  const takeIn = async (folder: string, names: string[]) => {
    const standing = await notDeleted(catching, names, deleted);
    const records: ImageRecord[] = [];
    for await (const record of readRecords(folder, standing, context)) records.push(record);
    if (records.length > 0) images += await catalog.load(records);
  };
  for await (const { folder, names } of namesByFolder(layout.records, log)) {
    for (const batch of batchesOf(names)) {
      signal?.throwIfAborted();
      await takeIn(folder, batch);
      seen += batch.length;
      if (Date.now() - reported < PROGRESS_MS) continue;
      reported = Date.now();
      log.info({ provider, records: seen, images }, 'comparing the catalog with the records');
    }
  }
  const { uploads, updates } = await readStaged(layout, context);
  const isKept = ({ filename }: ImageRecord) => !deleted.has(filename);
  images += await catalog.load(updates.filter(isKept));
  return images + (await catalog.loadStaged(uploads.filter(isKept)));
}

/**
 * Returns those names of record files whose images were not deleted: that of a live row may have a higher revision, one
 * that the catalog has in the trash was brought back since.
 */
async function notDeleted({ catalog }: CatchingUp, names: string[], deleted: Set<string>): Promise<string[]> {
  const filenames = names.map((name) => name.replace(/\.json$/, ''));
  const states = await catalog.rowStates(filenames);
  return names.filter((_, index) => NOT_DELETED.includes(states[index]!) && !deleted.has(filenames[index]!));
}

/** Logs how many files of images no row accounts for, and how many rows have no file. */
export async function reportStrays({ layout, catalog, context }: Omit<CatchingUp, 'keepMs'>): Promise<void> {
  const { name: provider, log } = context;
  const { unknown, deleted, live } = await countImages({ layout, catalog, context });
  const missing = (await catalog.statistics()).count - live;
  const about = { provider, folder: layout.images };
  if (unknown > 0) log.warn({ ...about, images: unknown }, unrecorded(unknown, layout.images));
  if (deleted > 0)
    log.warn({ ...about, images: deleted }, 'files of deleted images are there: `verify --repair` moves them away');
  if (missing > 0) log.warn({ ...about, images: missing }, 'listed images have no file: `verify` names them');
}

/** Returns the message for images that have neither row nor record. */
export function unrecorded(count: number, folder: string): string {
  const images = count === 1 ? '1 image' : `${count} images`;
  return `${images} in ${folder} without a record: put metadata/ back, or \`image-storage verify --repair\` adopts them`;
}

async function countImages({ layout, catalog, context }: Omit<CatchingUp, 'keepMs'>) {
  const counts = { unknown: 0, deleted: 0, live: 0 };
  for await (const { names } of namesByFolder(layout.images)) {
    for (const batch of batchesOf(names.filter((name) => folderOf(name) !== undefined))) {
      context.signal?.throwIfAborted();
      for (const state of await catalog.rowStates(batch)) {
        if (state === 'trashing') continue;
        counts[state === 'absent' ? 'unknown' : state === 'live' ? 'live' : 'deleted'] += 1;
      }
    }
  }
  return counts;
}

function* batchesOf<T>(items: readonly T[]): Generator<T[]> {
  for (let start = 0; start < items.length; start += BATCH) yield items.slice(start, start + BATCH);
}
