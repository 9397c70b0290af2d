/** Creates the tables of a store in Postgres, and brings older ones up to date. */
import { randomUUID } from 'node:crypto';
import { StoreOpenError } from '../../domain/errors.ts';
import { DOUBT_MS } from '../../domain/purge-clock.ts';
import { INITIAL } from './migrations/001-initial.ts';
import { DAEMONS } from './migrations/002-daemons.ts';
import type { Transaction } from './pool.ts';

/** In their order; the number of those that were carried out is noted as `version`. */
const MIGRATIONS = [INITIAL, DAEMONS];
export const MIN_SERVER_VERSION = 150_000;
const MAX_ATTEMPTS = 3;
const UNIQUE_VIOLATION = '23505';

/** Requires an open connection, outside of a transaction. Rejects with a StoreOpenError `config` where the server is unfit. */
export async function migrate(statements: Transaction, schema: string, storeId: string, now: number): Promise<void> {
  if ((await versionOf(statements, schema)) === MIGRATIONS.length) return;
  await checkServer(statements);
  for (let attempt = 1; ; attempt += 1) {
    try {
      await committed(statements, () => migrateIn(statements, schema, storeId, now));
      return;
    } catch (error) {
      // Behind the lock, the server may not have heard yet that another made the schema.
      if (attempt === MAX_ATTEMPTS || (error as { code?: string }).code !== UNIQUE_VIOLATION) throw error;
    }
  }
}

/** Does the work in a transaction of its own. Requires an open connection, outside of a transaction. */
export async function committed<T>(statements: Transaction, work: () => Promise<T>): Promise<T> {
  await statements.rows('BEGIN');
  try {
    const result = await work();
    await statements.rows('COMMIT');
    return result;
  } catch (error) {
    await statements.rows('ROLLBACK').catch(() => {});
    throw error;
  }
}

async function migrateIn(transaction: Transaction, schema: string, storeId: string, now: number): Promise<void> {
  // One daemon at a time: others wait here, and find it done.
  await transaction.rows('SELECT pg_advisory_xact_lock(hashtextextended($1, 0))', [`${schema} migrations`]);
  await transaction.rows(`CREATE SCHEMA IF NOT EXISTS ${schema}`);
  const version = await versionOf(transaction, schema);
  if (version > MIGRATIONS.length) {
    const message = `the index has schema ${version}, this program knows ${MIGRATIONS.length}; use a newer one`;
    throw new StoreOpenError('config', message);
  }
  for (const sql of MIGRATIONS.slice(version)) await transaction.rows(sql);
  const notes = { version: `${MIGRATIONS.length}`, store_id: storeId };
  await setNotes(transaction, notes);
  const first = 'INSERT INTO notes VALUES ($1, $2) ON CONFLICT DO NOTHING';
  await transaction.rows(first, ['incarnation', randomUUID()]);
  await transaction.rows(first, ['epoch', randomUUID()]);
  // Grows with every change of an image; what was changed after a moment has a higher one.
  await transaction.rows(first, ['change', '0']);
  // As after a catalog that was lost: nothing goes by itself for a while.
  await transaction.rows(first, ['quiet_until', `${now + DOUBT_MS}`]);
}

export async function setNotes(transaction: Transaction, notes: Record<string, string>): Promise<void> {
  const sql = 'INSERT INTO notes VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET value = excluded.value';
  for (const [name, value] of Object.entries(notes)) await transaction.rows(sql, [name, value]);
}

async function versionOf(transaction: Transaction, schema: string): Promise<number> {
  const [found] = await transaction.rows<{ table: string | null }>('SELECT to_regclass($1)::text AS table', [
    `${schema}.notes`,
  ]);
  if (found!.table === null) return 0;
  const [note] = await transaction.rows<{ value: string }>("SELECT value FROM notes WHERE name = 'version'");
  return Number(note?.value ?? 0);
}

async function checkServer(transaction: Transaction): Promise<void> {
  const sql =
    "SELECT current_setting('server_version_num')::int AS version, pg_encoding_to_char(encoding) AS encoding FROM pg_database WHERE datname = current_database()";
  const [server] = await transaction.rows<{ version: number; encoding: string }>(sql);
  if (server!.version < MIN_SERVER_VERSION) {
    throw new StoreOpenError('config', 'the index needs Postgres 15 or newer; use another server');
  }
  if (server!.encoding === 'UTF8') return;
  throw new StoreOpenError('config', `the database of the index is in ${server!.encoding}; create one in UTF8`);
}
