/** Catalogs for tests: a temporary file, its two implementations, and records to put in. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import type { Worker } from 'node:worker_threads';
import type { BucketCatalog } from '../../src/storage/catalog/bucket-catalog.ts';
import type { Change, LocalCatalog } from '../../src/storage/catalog/catalog.ts';
import { RecentChanges } from '../../src/storage/catalog/recent-changes.ts';
import { CatalogReader } from '../../src/storage/catalog/sqlite/reader.ts';
import { type CatalogBuilder, CatalogThreads } from '../../src/storage/catalog/sqlite/threads.ts';
import { openCatalog, type WorkerCatalog } from '../../src/storage/catalog/sqlite/worker-catalog.ts';
import { CatalogWriter } from '../../src/storage/catalog/sqlite/writer.ts';
import { imageFilename, imageKey, modelSlug } from '../../src/storage/domain/naming.ts';
import type { ImageRecord } from '../../src/storage/domain/record.ts';

/** What one SQLite catalog is to a local store, and the keys that it keeps for both kinds. */
export type TestedCatalog = LocalCatalog & Pick<BucketCatalog, 'findByKey'>;

export const STORE_ID = 'a-store';
export const T0: number = Date.UTC(2024, 8, 27, 14, 15, 22);

/** A path for a catalog; its folder goes with `release`. */
export function temporaryCatalog(): { path: string; release: () => void } {
  const folder = mkdtempSync(join(tmpdir(), 'image-storage-catalog-'));
  return { path: join(folder, 'catalog.db'), release: () => rmSync(folder, { recursive: true, force: true }) };
}

/** Creates a catalog with these images. */
export function createWith(path: string, records: ImageRecord[] = []): void {
  const created = new CatalogWriter({ path, storeId: STORE_ID });
  created.create();
  created.load(records);
  created.seal();
}

/** Builds catalogs in threads that open none of them. */
export async function buildInThreads<T>(work: (builder: CatalogBuilder) => Promise<T>): Promise<T> {
  const threads = new CatalogThreads(() => {});
  try {
    return await work(threads);
  } finally {
    await threads.stop();
  }
}

export async function openInWorkers(path: string, onDeath?: (error: Error) => void): Promise<WorkerCatalog> {
  const opened = await openCatalog({ path, storeId: STORE_ID, onDeath });
  if (opened.state === 'lost') throw new Error(`lost: ${opened.why}`);
  return opened.catalog;
}

/** The same in the thread of the test, where coverage sees it. */
export async function openInThread(path: string): Promise<TestedCatalog> {
  const writer = new CatalogWriter({ path, storeId: STORE_ID });
  const reader = new CatalogReader({ path });
  const opened = writer.open();
  if (opened.state === 'lost') throw new Error(`lost: ${opened.why}`);
  reader.open();
  const recent = new RecentChanges();
  return {
    async commit(changes) {
      const outcomes = writer.commit(changes);
      recent.note(changes, outcomes);
      return outcomes;
    },
    moment: async () => recent.momentAt(reader.lastSequence()),
    remembers: (moment) => recent.remembers(moment),
    changedSince: async (filenames, since) => {
      const newer = reader.newerThan(filenames, since.sequence);
      return filenames.filter((filename) => newer.includes(filename) || recent.isChangedSince(filename, since));
    },
    find: async (filename) => reader.find(filename),
    findByKey: async (key) => reader.findByKey(key),
    rowStates: async (filenames) => reader.rowStates(filenames),
    findTrashed: async (filename) => reader.findTrashed(filename),
    trashPage: async (query, request) => finish(reader.trashPage(query, request)),
    dueTrash: async (limit, until) => reader.dueTrash(limit, until),
    expired: async (limit, until) => reader.expired(limit, until),
    arrivedSince: async (filenames, time) => reader.arrivedSince(filenames, time),
    wasDeleted: async (sha256) => reader.wasDeleted(sha256),
    quietUntil: async () => reader.quietUntil(),
    setQuietUntil: async (time) => writer.setQuietUntil(time),
    unhashed: async (before, limit) => reader.unhashed(before, limit),
    setThumbHashes: async (hashes) => writer.setThumbHashes(hashes),
    page: async (query, request) => finish(reader.page(query, request)),
    pageSizes: async (query, request) => recent.mark(finish(reader.pageSizes(query, request)), request.since),
    statistics: async () => reader.statistics(),
    totals: async (query, grouping) => finish(reader.totals(query, grouping)),
    pendingUnlinks: async (limit) => reader.pendingUnlinks(limit),
    clearPendingUnlinks: async (done) => writer.clearPendingUnlinks(done),
    purgeTombstones: async (...purge) => finish(writer.purgeTombstones(...purge)),
    unsyncedRecords: async (limit, young) => reader.unsyncedRecords(limit, young),
    lastSequence: async () => reader.lastSequence(),
    updatedRecords: async (limit) => reader.updatedRecords(limit),
    setUpdatedSynced: async (updated) => writer.setUpdatedSynced(updated),
    setRecordsSynced: async (sequence) => writer.setRecordsSynced(sequence),
    load: async (records) => writer.load(records),
    loadStaged: async (records) => writer.loadStaged(records),
    loadDeletes: async (tombstones) => writer.loadDeletes(tombstones),
    loadTrash: async (records) => writer.loadTrash(records),
    forgetDeletes: async (broughtBack) => writer.forgetDeletes(broughtBack),
    raiseGeneration: async (above) => writer.raiseGeneration(above),
    copyLog: async () => writer.copyLog(),
    async close(clean) {
      reader.close();
      writer.close(clean);
    },
  };
}

function finish<T>(steps: Generator<void, T>): T {
  for (;;) {
    const step = steps.next();
    if (step.done) return step.value;
  }
}

/** The threads that are started until `stop`, in their order. */
export function startedWorkers(): { workers: Worker[]; stop: () => void } {
  const workers: Worker[] = [];
  const onWorker = (worker: Worker) => workers.push(worker);
  process.on('worker', onWorker);
  return { workers, stop: () => process.off('worker', onWorker) };
}

/** Changes a closed catalog behind its back. */
export function tamper(path: string, sql: string): void {
  const db = new DatabaseSync(path, { defensive: false });
  db.exec(sql);
  db.close();
}

/** Writes garbage over this part of a closed catalog, from 0 to 1. */
export function overwrite(path: string, from: number, to: number): void {
  const bytes = readFileSync(path);
  bytes.fill(0x5a, Math.floor(bytes.length * from), Math.floor(bytes.length * to));
  writeFileSync(path, bytes);
}

/** The image number `id`, generated `id` seconds after T0 unless told otherwise. */
export function recordOf(id: number, given: Partial<ImageRecord> = {}): ImageRecord {
  const { timestamp = T0 + id * 1000, model = 'flux-schnell' } = given;
  const filename = imageFilename(timestamp, modelSlug(model), id.toString(36).padStart(6, '0'), 'png');
  return {
    filename,
    key: imageKey(filename),
    size: 1000 + id,
    sha256: id.toString(16).padStart(64, 'a'),
    contentType: 'image/png',
    width: 1024,
    height: 768,
    createTime: T0 + id,
    pinned: false,
    prompt: '',
    category: '',
    tags: [],
    parametersJson: '{}',
    idempotencyKey: '',
    fingerprint: id.toString(16).padStart(64, 'f'),
    ...given,
    model,
    timestamp,
  };
}

export function insertOf(record: ImageRecord): Change {
  return { kind: 'insert', record };
}

export function deleteOf(
  { filename }: ImageRecord,
  { deleteTime = T0, sparePinned = false, ...trash }: Partial<Change & { kind: 'delete' }> = {},
): Change {
  return { kind: 'delete', filename, deleteTime, sparePinned, ...trash };
}

/** Of 3 kB each, so that the middle of the file holds images. */
export const LARGE_RECORDS: ImageRecord[] = Array.from({ length: 200 }, (_, id) =>
  recordOf(id, { prompt: 'a red fox', parametersJson: `"${'x'.repeat(3000)}"` }),
);
/** All of them. */
export const WHOLE_PAGE = { limit: 1000, maxBytes: 1 << 30 } as const;
