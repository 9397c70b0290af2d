/** One SQLite connection of a catalog: settings, cached statements, transactions, and errors in the catalog's terms. */
import { DatabaseSync, type SQLInputValue, type StatementSync } from 'node:sqlite';
import { CatalogError, type CatalogFailure, type LogState } from '../catalog.ts';
import type { Row, RowArray } from './rows.ts';

const BUSY_TIMEOUT_MS = 10_000;
const MAX_CACHED_STATEMENTS = 200;
/** More saves nothing that can be measured, with half a million images: the kernel has the other pages in memory. */
const CACHE_KIB = 2 * 1024;

/** Primary result codes; the only extended one is what a full disk gives when a database is opened. */
export const SQLITE = { ERROR: 1, BUSY: 5, READONLY: 8, CORRUPT: 11, FULL: 13, CANTOPEN: 14, NOTADB: 26 } as const;
const SQLITE_IOERR_SHMSIZE = 4874;

const FAILURES = new Map<number, CatalogFailure>([
  [SQLITE.FULL, 'full'],
  [SQLITE.CORRUPT, 'corrupt'],
  [SQLITE.NOTADB, 'corrupt'],
]);

/** Returns the primary result code of what node:sqlite threw; undefined for any other error. */
export function sqliteCode(error: unknown): number | undefined {
  const errcode = (error as { errcode?: number } | undefined)?.errcode;
  if (errcode === SQLITE_IOERR_SHMSIZE) return SQLITE.FULL;
  return errcode === undefined ? undefined : errcode & 0xff;
}

/** Converts whatever was thrown to a CatalogError; `definite` unless SQLite says otherwise. */
export function toCatalogError(error: unknown): CatalogError {
  if (error instanceof CatalogError) return error;
  const message = error instanceof Error ? error.message : String(error);
  return new CatalogError(FAILURES.get(sqliteCode(error) ?? 0) ?? 'definite', message, { cause: error });
}

/** Part of a SQL statement and the values of its parameters. */
export interface Fragment {
  sql: string;
  values: SQLInputValue[];
}

/** All methods throw what node:sqlite throws, except `transaction`. A SQL text is read either as rows or as arrays. */
export class Connection {
  readonly #db: DatabaseSync;
  readonly #statements = new Map<string, StatementSync>();
  #inDoubt: CatalogError | undefined;

  /** Opens nothing before `open` is called. */
  constructor(path: string | URL, readOnly: boolean) {
    this.#db = new DatabaseSync(path, {
      open: false,
      readOnly,
      timeout: BUSY_TIMEOUT_MS,
      enableForeignKeyConstraints: false,
    });
  }

  open(): void {
    this.#db.open();
    this.setCache();
    this.exec('PRAGMA temp_store = MEMORY; PRAGMA mmap_size = 0');
  }

  /** Keeps at most so many pages in memory; default: as many as are of use while the catalog is open. */
  setCache(kib: number = CACHE_KIB): void {
    this.exec(`PRAGMA cache_size = -${kib}`);
  }

  get isOpen(): boolean {
    return this.#db.isOpen;
  }

  close(): void {
    this.#statements.clear();
    if (this.#db.isOpen) this.#db.close();
  }

  exec(sql: string): void {
    this.#db.exec(sql);
  }

  get(sql: string, ...values: SQLInputValue[]): Row | undefined {
    return this.#prepare(sql).get(...values) as Row | undefined;
  }

  /** Returns the first column of the first row. */
  value(sql: string, ...values: SQLInputValue[]): string | number | null | undefined {
    const row = this.get(sql, ...values);
    return row && Object.values(row)[0];
  }

  all(sql: string, ...values: SQLInputValue[]): Row[] {
    return this.#prepare(sql).all(...values) as Row[];
  }

  /** As `iterate`, with the columns of a row in their order. */
  iterateArrays(sql: string, ...values: SQLInputValue[]): Iterable<RowArray> {
    const statement = this.#prepare(sql);
    statement.setReturnArrays(true);
    return statement.iterate(...values) as unknown as Iterable<RowArray>;
  }

  /** Returns the columns of the first row in their order. */
  getArray(sql: string, ...values: SQLInputValue[]): RowArray | undefined {
    const statement = this.#prepare(sql);
    statement.setReturnArrays(true);
    return statement.get(...values) as unknown as RowArray | undefined;
  }

  /** Holds a read transaction until the iterator ends or is returned from; the same SQL must not run meanwhile. */
  iterate(sql: string, ...values: SQLInputValue[]): Iterable<Row> {
    return this.#prepare(sql).iterate(...values) as Iterable<Row>;
  }

  run(sql: string, ...values: SQLInputValue[]): { changes: number; lastInsertRowid: number } {
    return this.#prepare(sql).run(...values) as { changes: number; lastInsertRowid: number };
  }

  /** As `run`, with named values. */
  runNamed(sql: string, values: Record<string, SQLInputValue>): { changes: number; lastInsertRowid: number } {
    return this.#prepare(sql).run(values) as { changes: number; lastInsertRowid: number };
  }

  /** Does reads that all see the same state. */
  reads<T>(work: () => T): T {
    this.exec('BEGIN');
    try {
      return work();
    } finally {
      this.exec('COMMIT');
    }
  }

  /**
   * Does all of the work, durably, or none of it. Throws a CatalogError; after `unknown` every further transaction
   * throws the same, since nothing may build on an uncertain commit.
   */
  transaction<T>(work: () => T): T {
    if (this.#inDoubt !== undefined) throw this.#inDoubt;
    const result = this.#untilCommit(work);
    try {
      this.exec('COMMIT');
    } catch (error) {
      this.#rollback();
      const folded = toCatalogError(error);
      if (folded.failure === 'full') throw folded;
      throw this.doubt(error);
    }
    return result;
  }

  /**
   * As `transaction`. On a full disk, copies the write-ahead log into the database and tries once more: a log that is
   * copied is overwritten in place, and needs no space.
   */
  transactionInPlace<T>(work: () => T): T {
    try {
      return this.transaction(work);
    } catch (error) {
      if (!(error instanceof CatalogError) || error.failure !== 'full' || this.copyLog() !== 'copied') throw error;
      return this.transaction(work);
    }
  }

  /** Copies the write-ahead log into the database, as far as readers allow it. Throws a CatalogError `unknown`. */
  copyLog(): LogState {
    try {
      const { busy, log, checkpointed } = this.get('PRAGMA wal_checkpoint(PASSIVE)') ?? {};
      return busy === 0 && log === checkpointed ? 'copied' : 'busy';
    } catch (error) {
      // After any other failure no sync may be trusted.
      if (sqliteCode(error) !== SQLITE.FULL) throw this.doubt(error);
      return 'full';
    }
  }

  /** Runs work that fails at once where it would wait for another connection. */
  withoutWaiting(work: () => void): void {
    this.exec('PRAGMA busy_timeout = 0');
    try {
      work();
    } finally {
      this.exec(`PRAGMA busy_timeout = ${BUSY_TIMEOUT_MS}`);
    }
  }

  /** Refuses all further transactions, and returns the error that they throw. */
  doubt(cause: unknown): CatalogError {
    const message = cause instanceof Error ? cause.message : String(cause);
    this.#inDoubt = new CatalogError('unknown', message, { cause });
    return this.#inDoubt;
  }

  #untilCommit<T>(work: () => T): T {
    try {
      this.exec('BEGIN IMMEDIATE');
      const result = work();
      // Otherwise FTS5 writes only at COMMIT, where a failure is not definite.
      this.exec('SAVEPOINT written; RELEASE written');
      // SQLite ends a transaction on its own when the disk is full or fails.
      if (!this.#db.isTransaction) throw new CatalogError('definite', 'the transaction was rolled back');
      return result;
    } catch (error) {
      this.#rollback();
      throw toCatalogError(error);
    }
  }

  #rollback(): void {
    try {
      if (this.#db.isTransaction) this.exec('ROLLBACK');
    } catch (error) {
      this.doubt(error);
    }
  }

  #prepare(sql: string): StatementSync {
    const cached = this.#statements.get(sql);
    if (cached !== undefined) return cached;
    if (this.#statements.size === MAX_CACHED_STATEMENTS) this.#statements.clear();
    const statement = this.#db.prepare(sql);
    this.#statements.set(sql, statement);
    return statement;
  }
}
