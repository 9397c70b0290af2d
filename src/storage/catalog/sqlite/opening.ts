/** Opens and closes a SQLite catalog: creates, checks, migrates and seals it, and keeps the flag of a clean close. */
import { accessSync, closeSync, constants, existsSync, fsyncSync, openSync, rmSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { StoreOpenError } from '../../domain/errors.ts';
import { CatalogError } from '../catalog.ts';
import { type Connection, SQLITE, sqliteCode } from './connection.ts';
import { addDeletedBytes } from './deleted-bytes.ts';
import { leaveToCounting } from './label-counts.ts';
import { examineWal, setWalAside, type WalState } from './main-file.ts';
import { INITIAL } from './migrations/001-initial.ts';
import { BUCKETS } from './migrations/002-buckets.ts';
import { TIMELINE } from './migrations/003-timeline.ts';
import { SETTINGS } from './migrations/004-settings.ts';
import { LABEL_COUNTS } from './migrations/005-label-counts.ts';
import { REVISIONS } from './migrations/006-revisions.ts';
import { TRASH } from './migrations/007-trash.ts';
import { THUMB_HASHES } from './migrations/008-thumb-hashes.ts';
import { leaveToIndexing } from './text-index.ts';

/** Step n brings a catalog from `user_version` n - 1 to n. */
const MIGRATIONS = [INITIAL, BUCKETS, TIMELINE, SETTINGS, LABEL_COUNTS, REVISIONS, TRASH, THUMB_HASHES];
export const CATALOG_VERSION: number = MIGRATIONS.length;
const TIMELINE_VERSION = MIGRATIONS.indexOf(TIMELINE) + 1;

/** The codes that a lost catalog fails with; for the fixed statements here, ERROR means a schema that is not ours. */
const LOST_CODES: readonly (number | undefined)[] = [SQLITE.CORRUPT, SQLITE.NOTADB, SQLITE.ERROR];
const DENIED_CODES: readonly (number | undefined)[] = [SQLITE.CANTOPEN, SQLITE.READONLY];

export interface CatalogFile {
  path: string;
  /** The id of the store that the catalog belongs to. */
  storeId: string;
  /**
   * Default FULL: what is committed survives a power cut. NORMAL exists for the power-cut test, which proves by it that
   * it detects a loss.
   */
  synchronous?: 'FULL' | 'NORMAL';
  /** The file may have been changed since it was closed: it is checked even if it was closed clean. */
  suspect?: boolean;
  /**
   * One that was not closed clean is opened unchecked where its file is larger, in bytes: it is looked through behind
   * the calls. Unset: none is.
   */
  checkLaterAbove?: number;
  /** One that is created gets its text index and the counts of labels once it is open, behind the calls. */
  indexLater?: boolean;
}

/** `lost`: only a rebuild helps. */
export type Opened = OpenState | { state: 'lost'; why: string };

export interface OpenState {
  state: 'open';
  /** The last process closed it clean. */
  clean: boolean;
  /** False: nobody has looked yet for damage that an unclean stop may have left. */
  checked: boolean;
  /** False: commits may be missing, since its write-ahead log is gone or belongs to another state of the file. */
  whole: boolean;
  /** Grows with every start, clean close and checkpoint; 0 in a catalog of a version that knows no generation. */
  generation: number;
}

/**
 * Opens a catalog for writing and marks it as not closed clean, durably. Throws a StoreOpenError, or a CatalogError
 * `full` when there is no space to open a catalog that may be sound.
 */
export function openExisting(db: Connection, file: CatalogFile): Opened {
  try {
    if ((statSync(file.path, { throwIfNoEntry: false })?.size ?? 0) === 0)
      return { state: 'lost', why: 'missing or empty' };
    const wal = examineWal(file.path);
    if (wal === 'foreign') setWalAside(file.path);
    db.open();
    const why = whyLost(db, file, wal);
    if (why === undefined) {
      const clean = storeValue(db, 'clean') === 1;
      const checked = !isCheckedLater(db, file, wal);
      const whole = wal === 'missing' ? clean : wal !== 'foreign';
      markInUse(db, file, { clean, wal });
      return { state: 'open', clean, checked, whole, generation: generationOf(db) };
    }
    db.close();
    return { state: 'lost', why };
  } catch (error) {
    closeDamaged(db);
    return judge(error, file.path);
  }
}

function whyLost(db: Connection, file: CatalogFile, wal: WalState): string | undefined {
  if ((db.value('PRAGMA user_version') as number) > CATALOG_VERSION) {
    throw new StoreOpenError('config', 'the catalog was written by a newer version of image-storage; run that one');
  }
  if (storeValue(db, 'store_id') !== file.storeId) return 'it belongs to another store';
  if (storeValue(db, 'clean') === 1 && !file.suspect) return undefined;
  if (isCheckedLater(db, file, wal)) return undefined;
  if (wal !== 'unproved') return damageOf(db);
  // A log of another moment may leave pages that are sound one by one, which quick_check does not compare.
  const found = db.value('PRAGMA integrity_check(1)');
  if (found !== 'ok') return `damaged: ${found}`;
  return isCounted(db) ? undefined : 'damaged: its totals are not those of its images';
}

/** A large one takes seconds to look through, and a kill alone damages nothing. */
function isCheckedLater(
  db: Connection,
  { path, checkLaterAbove = Number.POSITIVE_INFINITY }: CatalogFile,
  wal: WalState,
): boolean {
  return wal !== 'unproved' && storeValue(db, 'clean') !== 1 && statSync(path).size > checkLaterAbove;
}

/** Looks through the whole file; returns undefined where it is sound. */
export function damageOf(db: Connection): string | undefined {
  const found = db.value('PRAGMA quick_check(1)');
  return found === 'ok' ? undefined : `damaged: ${found}`;
}

/** Returns whether the totals, which every commit writes, and the search texts are those of the images. */
function isCounted(db: Connection): boolean {
  const listed = db.get(
    `SELECT count(*) AS count, ifnull(sum(size), 0) AS bytes FROM images WHERE delete_time IS NULL`,
  );
  const total = db.get(`SELECT count, bytes FROM rollups WHERE kind = 'total'`) ?? { count: 0, bytes: 0 };
  if (listed?.count !== total.count || listed?.bytes !== total.bytes) return false;
  // The later text index is filled behind the calls.
  const hasAllTexts = (db.value('PRAGMA user_version') as number) < TIMELINE_VERSION;
  return !hasAllTexts || db.value('SELECT count(*) FROM prompts_docsize') === total.count;
}

function markInUse(
  db: Connection,
  { path, synchronous = 'FULL' }: CatalogFile,
  { clean, wal }: { clean: boolean; wal: WalState },
): void {
  makeDurable(db, synchronous);
  migrate(db);
  const isEmptied = !clean && tryCheckpoint(db);
  // Written even when nothing changes: it creates the WAL, whose name must be in the folder before the first commit.
  db.transactionInPlace(() => {
    setStoreValue(db, 'clean', 0);
    if (isEmptied || wal !== 'continues') beginLog(db);
  });
  syncFolder(dirname(path));
}

/** Notes in a new WAL the generation of its database file, by which `examineWal` knows that they belong together. */
function beginLog(db: Connection): void {
  setStoreValue(db, 'log_of', generationOf(db));
}

/** Creates an empty catalog that is fast to fill and durable only once it is sealed. Throws a StoreOpenError. */
export function createEmpty(db: Connection, { path, storeId, indexLater = false }: CatalogFile): void {
  if (existsSync(path)) throw new StoreOpenError('io', 'a new catalog would overwrite another');
  // SQLite would replay a WAL left by an earlier database over this one.
  for (const suffix of ['-wal', '-shm', '-journal']) rmSync(path + suffix, { force: true });
  try {
    db.open();
    db.exec('PRAGMA synchronous = OFF; PRAGMA journal_mode = MEMORY; PRAGMA cache_size = -16384');
    migrate(db);
    db.transaction(() => {
      setStoreValue(db, 'store_id', storeId);
      setStoreValue(db, 'records_synced', 0);
      if (!indexLater) return;
      leaveToIndexing(db);
      leaveToCounting(db);
    });
  } catch (error) {
    closeDamaged(db);
    throw openError(error, path);
  }
}

/** Makes a created catalog durable, marks it clean and closes it. Does not sync the name of the file. */
export function seal(db: Connection): void {
  makeDurable(db, 'FULL');
  closeCatalog(db, true);
}

/** Closes a catalog, durably; the flag is written last. */
export function closeCatalog(db: Connection, clean: boolean): void {
  try {
    if (clean) {
      db.transactionInPlace(() => {
        setStoreValue(db, 'clean', 1);
        setStoreValue(db, 'generation', generationOf(db) + 1);
      });
    }
    tryCheckpoint(db);
  } finally {
    db.close();
  }
}

/**
 * Returns whether the log was emptied. Without space, or beside a reader, it stays: nothing is lost, and a later
 * checkpoint may succeed.
 */
function tryCheckpoint(db: Connection): boolean {
  try {
    return checkpoint(db, 'TRUNCATE');
  } catch (error) {
    if (!isPassing(error)) throw error;
    return false;
  }
}

/** Copies the WAL into the database; TRUNCATE waits for readers and empties it. Returns whether all of it was copied. */
export function checkpoint(db: Connection, mode: 'PASSIVE' | 'TRUNCATE'): boolean {
  const { busy, log, checkpointed } = db.get(`PRAGMA wal_checkpoint(${mode})`) ?? {};
  return busy === 0 && log === checkpointed;
}

/**
 * Raises the generation above this one, in the database file itself, and once more in the WAL after it. Returns the
 * one in the file.
 */
export function raiseGeneration(db: Connection, above: number): number {
  const generation = Math.max(generationOf(db), above) + 1;
  db.transaction(() => setStoreValue(db, 'generation', generation));
  if (tryCheckpoint(db)) noteCheckpoint(db);
  return generation;
}

/** Begins the WAL after a complete checkpoint, with the next generation. */
export function noteCheckpoint(db: Connection): void {
  try {
    db.transaction(() => {
      beginLog(db);
      setStoreValue(db, 'generation', generationOf(db) + 1);
    });
  } catch {
    // Without space the next one raises it; an uncertain commit refuses every further transaction.
  }
}

function generationOf(db: Connection): number {
  const value = storeValue(db, 'generation');
  return typeof value === 'number' ? value : 0;
}

/**
 * Returns whether a checkpoint failed for lack of space or because of a reader: the WAL remains, and a later one may
 * succeed.
 */
export function isPassing(error: unknown): boolean {
  const code = sqliteCode(error);
  return code === SQLITE.FULL || code === SQLITE.BUSY;
}

function makeDurable(db: Connection, synchronous: string): void {
  db.exec(`PRAGMA synchronous = ${synchronous}; PRAGMA fullfsync = 1; PRAGMA checkpoint_fullfsync = 1`);
  db.exec('PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = 0');
}

function migrate(db: Connection): void {
  const version = db.value('PRAGMA user_version') as number;
  db.transaction(() => {
    for (const step of MIGRATIONS.slice(version)) db.exec(step);
    if (version !== CATALOG_VERSION) db.exec(`PRAGMA user_version = ${CATALOG_VERSION}`);
    addDeletedBytes(db, Date.now());
  });
}

function storeValue(db: Connection, name: string): unknown {
  return db.value('SELECT value FROM store WHERE name = ?', name);
}

function setStoreValue(db: Connection, name: string, value: string | number): void {
  db.run('INSERT INTO store (name, value) VALUES (?, ?) ON CONFLICT DO UPDATE SET value = excluded.value', name, value);
}

/** Syncs the name of a new WAL. Never opens the database's own files: to close them would drop SQLite's locks. */
function syncFolder(path: string): void {
  const folder = openSync(path, 'r');
  try {
    fsyncSync(folder);
  } finally {
    closeSync(folder);
  }
}

function closeDamaged(db: Connection): void {
  try {
    db.close();
  } catch {
    // The error that led here is the one to report.
  }
}

function judge(error: unknown, path: string): Opened {
  if (LOST_CODES.includes(codeOf(error))) return { state: 'lost', why: messageOf(error) };
  throw openError(error, path);
}

function openError(error: unknown, path: string): Error {
  if (error instanceof StoreOpenError) return error;
  const code = codeOf(error);
  if (code === SQLITE.FULL) return new CatalogError('full', 'no room to open the catalog', { cause: error });
  const denied = DENIED_CODES.includes(code) && !mayWrite(path);
  return new StoreOpenError(denied ? 'permission' : 'io', `the catalog cannot be opened: ${messageOf(error)}`, {
    cause: error,
  });
}

function codeOf(error: unknown): number | undefined {
  return sqliteCode(error) ?? (error instanceof CatalogError ? sqliteCode(error.cause) : undefined);
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** Returns false only when the permissions forbid it. */
function mayWrite(path: string): boolean {
  try {
    accessSync(dirname(path), constants.W_OK | constants.X_OK);
    accessSync(path, constants.R_OK | constants.W_OK);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== 'EACCES';
  }
}
