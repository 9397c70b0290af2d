/** Reads a closed catalog's database file by itself, and finds out whether its write-ahead log continues it. */
import { renameSync, rmSync, statSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { pathToFileURL } from 'node:url';

/** The values of the table `store` that decide whether a catalog is the newest of its folder. */
export interface StoreValues {
  storeId: string | undefined;
  clean: boolean;
  /** 0 in a catalog that only versions without a generation have written. */
  generation: number;
  /** The generation of the database file when its log began; undefined before a log that noted it. */
  logOf: number | undefined;
  /** The highest sequence that a row ever had. */
  sequence: number;
}

/**
 * `missing`: there is no log, or it is empty. `foreign`: it belongs to another state of the database file. `unproved`:
 * it may, since it has no generation of its own; a version that raises none leaves it like this.
 */
export type WalState = 'continues' | 'unproved' | 'missing' | 'foreign';

/**
 * Returns the values in the database file alone, without its log; undefined when they cannot be read. Requires that the
 * process has not opened the catalog: closing any descriptor of it would drop SQLite's locks.
 */
export function readMainFile(path: string): StoreValues | undefined {
  const url = pathToFileURL(path);
  url.searchParams.set('immutable', '1');
  return readValues(url);
}

/**
 * Compares a closed catalog's database file with its log, which SQLite would replay unseen. A log begins with the
 * generation of its database file, and with a higher one of its own; a start or a clean stop whose checkpoint fails
 * raises that again.
 */
export function examineWal(path: string): WalState {
  if ((statSync(`${path}-wal`, { throwIfNoEntry: false })?.size ?? 0) === 0) return 'missing';
  const main = readMainFile(path);
  const replayed = readValues(path);
  // A checkpoint that a power cut tore: replaying the log completes it, and the check of the open catalog follows.
  if (main === undefined || replayed === undefined) return 'unproved';
  const ahead = replayed.generation - main.generation;
  const isNoted = replayed.logOf === main.generation;
  if (isNoted && ahead > 0) return 'continues';
  // One whose first commit found no space repeats what the database file has from the log before.
  if (!isNoted && replayed.logOf !== main.logOf) return 'foreign';
  if (ahead !== 0 && ahead !== 1) return 'foreign';
  // A clean close removes the log, and the first commit after it clears the flag.
  if (main.clean && replayed.clean) return 'foreign';
  return ahead === 1 ? 'continues' : 'unproved';
}

/** Moves a foreign log to `<path>-wal.aside`, for inspection, over an earlier one. */
export function setWalAside(path: string): void {
  renameSync(`${path}-wal`, `${path}-wal.aside`);
  rmSync(`${path}-shm`, { force: true });
}

function readValues(file: string | URL): StoreValues | undefined {
  let db: DatabaseSync | undefined;
  try {
    db = new DatabaseSync(file, { readOnly: true });
    const rows = db.prepare('SELECT name, value FROM store').all() as { name: string; value: unknown }[];
    const values = new Map(rows.map(({ name, value }) => [name, value]));
    const last = db.prepare("SELECT seq FROM sqlite_sequence WHERE name = 'images'").get();
    const [storeId, generation, logOf] = ['store_id', 'generation', 'log_of'].map((name) => values.get(name));
    return {
      storeId: typeof storeId === 'string' ? storeId : undefined,
      clean: values.get('clean') === 1,
      generation: typeof generation === 'number' ? generation : 0,
      logOf: typeof logOf === 'number' ? logOf : undefined,
      sequence: Number(last?.seq ?? 0),
    };
  } catch {
    return undefined;
  } finally {
    db?.close();
  }
}
