/** What starts and clean stops leave that are cut short at a checkpoint, or whose checkpoints fail: a log that is replayed. */
import { copyFileSync, existsSync } from 'node:fs';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { Connection, SQLITE } from '../../src/storage/catalog/sqlite/connection.ts';
import { closeCatalog, openExisting, raiseGeneration } from '../../src/storage/catalog/sqlite/opening.ts';
import { createWith, STORE_ID, temporaryCatalog } from './catalogs.ts';

/** How every checkpoint of a session ends. */
type Checkpoints = 'done' | 'busy' | 'full';

/** The files of a catalog at one moment. */
interface Left {
  path: string;
  at: string;
  /** What was committed by then. */
  committed: number;
  /** The generation that the folder had noted. */
  known: number;
}

let path: string;
let release: () => void;

beforeEach(() => {
  ({ path, release } = temporaryCatalog());
});
afterEach(() => release());

/** Starts, commits and stops clean; returns what a kill would have left before each checkpoint and before the end. */
function session({ path, at, committed, known }: Left, checkpoints: Checkpoints): Left[] {
  const left: Left[] = [];
  const now = { committed, known };
  const db = new Connection(path, false);
  const leave = (what: string) => {
    const copy = { path: `${path}-${checkpoints[0]}${left.length}`, at: `${at} > ${checkpoints}: ${what}`, ...now };
    for (const suffix of ['', '-wal']) if (existsSync(path + suffix)) copyFileSync(path + suffix, copy.path + suffix);
    left.push(copy);
  };
  const [get, close] = [db.get.bind(db), db.close.bind(db)];
  db.get = (sql, ...values) => {
    if (!sql.includes('wal_checkpoint(TRUNCATE)')) return get(sql, ...values);
    leave(`checkpoint ${left.length + 1}`);
    if (checkpoints === 'full') throw Object.assign(new Error('database or disk is full'), { errcode: SQLITE.FULL });
    return checkpoints === 'busy' ? { busy: 1, log: 2, checkpointed: 1 } : get(sql, ...values);
  };
  db.close = () => {
    leave('end');
    close();
  };
  expect(openExisting(db, { path, storeId: STORE_ID }), at).toMatchObject({ state: 'open', whole: true });
  expect(committedIn(db), at).toBe(committed);
  now.known = raiseGeneration(db, known);
  db.transaction(() => db.run('INSERT OR REPLACE INTO store (name, value) VALUES (?, ?)', 'committed', committed + 1));
  now.committed += 1;
  closeCatalog(db, true);
  return left;
}

const committedIn = (db: Connection) => db.value("SELECT value FROM store WHERE name = 'committed'") ?? 0;

it('is whole wherever two sessions are cut short, however their checkpoints end', () => {
  createWith(path);
  let left: Left[] = [{ path, at: 'created', committed: 0, known: 0 }];
  for (let sessions = 0; sessions < 3; sessions += 1) {
    // The last one only looks.
    const ends: Checkpoints[] = sessions < 2 ? ['done', 'busy', 'full'] : ['done'];
    left = left.flatMap((before) =>
      ends.flatMap((checkpoints) => {
        const copy = { ...before, path: `${before.path}.${checkpoints[0]}` };
        for (const suffix of ['', '-wal']) {
          if (existsSync(before.path + suffix)) copyFileSync(before.path + suffix, copy.path + suffix);
        }
        return session(copy, checkpoints);
      }),
    );
  }
  expect(left.length).toBeGreaterThan(100);
});
