/** The connections to the Postgres of a store: bounded in number and time, with errors in the catalog's terms. */
import { hash } from 'node:crypto';
import pg from 'pg';
import { StorageError, StoreOpenError } from '../../domain/errors.ts';
import { CatalogError } from '../catalog.ts';

const MAX_CONNECTIONS = 8;
const CONNECT_TIMEOUT_MS = 5_000;
const STATEMENT_TIMEOUT_MS = 10_000;
const LOCK_TIMEOUT_MS = 5_000;
/** Of a server that hangs, and enforces no limit of its own. */
const ANSWER_TIMEOUT_MS = 15_000;
const IDLE_TIMEOUT_MS = 60_000;
const RETRY_AFTER_MS = 1_000;
const MAX_ATTEMPTS = 8;

/** `unique_violation`, `serialization_failure`, `deadlock_detected`: the same transaction succeeds when it begins again. */
const PASSING = ['23505', '40001', '40P01'];
/** Of a statement: data, integrity, syntax. `42P01` and `3F000` say that the tables are gone. */
const OURS = /^(22|23|42)/;
const EMPTIED = ['42P01', '3F000'];

export type Row = Record<string, unknown>;

/** Statements of one transaction. */
export interface Transaction {
  rows<R = Row>(sql: string, values?: readonly unknown[]): Promise<R[]>;
}

const types = {
  // Within the range in which a number is exact: sizes, times, counts.
  getTypeParser: ((oid: number, format: 'text' | 'binary') =>
    oid === pg.types.builtins.INT8 || oid === pg.types.builtins.NUMERIC
      ? Number
      : pg.types.getTypeParser(oid, format)) as typeof pg.types.getTypeParser,
};

/** The name of the schema that has the tables of a store: a database may serve several. */
export function schemaOf(storeId: string): string {
  return `image_storage_${hash('sha256', storeId, 'hex').slice(0, 16)}`;
}

export class Pool {
  readonly schema: string;
  readonly #pool: pg.Pool;
  readonly #onConnect: (transaction: Transaction) => Promise<void>;

  /** `onConnect` is awaited with each new connection before it is used. */
  constructor(url: string, storeId: string, onConnect: (transaction: Transaction) => Promise<void>) {
    this.schema = schemaOf(storeId);
    this.#onConnect = onConnect;
    this.#pool = new pg.Pool({
      connectionString: url,
      max: MAX_CONNECTIONS,
      connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
      idleTimeoutMillis: IDLE_TIMEOUT_MS,
      statement_timeout: STATEMENT_TIMEOUT_MS,
      lock_timeout: LOCK_TIMEOUT_MS,
      idle_in_transaction_session_timeout: 2 * ANSWER_TIMEOUT_MS,
      query_timeout: ANSWER_TIMEOUT_MS,
      keepAlive: true,
      application_name: 'image-storage',
      types,
    });
    // Also of a connection that is lost between two statements: the next one reports it.
    this.#pool.on('connect', (client) => client.on('error', () => {}));
    this.#pool.on('error', () => {});
  }

  /** The connections that are open, in use, and waited for. */
  get load(): { open: number; used: number; waiting: number } {
    const { totalCount, idleCount, waitingCount } = this.#pool;
    return { open: totalCount, used: totalCount - idleCount, waiting: waitingCount };
  }

  /** Runs statements that see one moment. Rejects with INDEX_UNAVAILABLE, or a CatalogError `definite`. */
  read<T>(work: (transaction: Transaction) => Promise<T>): Promise<T> {
    return this.#transaction('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY', work);
  }

  /**
   * Runs statements that are committed together, and again where those of others were faster. Rejects likewise; the outcome
   * is then unknown.
   */
  async write<T>(work: (transaction: Transaction) => Promise<T>): Promise<T> {
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await this.#transaction('BEGIN', work);
      } catch (error) {
        if (attempt === MAX_ATTEMPTS || !isPassing(error)) throw error;
      }
    }
  }

  async end(): Promise<void> {
    await this.#pool.end();
  }

  async #transaction<T>(begin: string, work: (transaction: Transaction) => Promise<T>): Promise<T> {
    const client = await this.#connection();
    let failure: Error | undefined;
    try {
      await client.query(begin);
      const result = await work(statementsOf(client));
      await client.query('COMMIT');
      return result;
    } catch (error) {
      failure = error as Error;
      const told = folded(error);
      // Made anew by the next one who takes the connection.
      if (isEmptied(told)) prepared.delete(client);
      throw told;
    } finally {
      if (failure !== undefined)
        await client.query('ROLLBACK').then(
          () => (failure = undefined),
          () => {},
        );
      client.release(failure);
    }
  }

  async #connection(): Promise<pg.PoolClient> {
    try {
      const client = await this.#pool.connect();
      if (prepared.has(client)) return client;
      try {
        // A walk in the order of time ends early; nothing of ours is quicker by reading a whole table.
        await client.query(`SET search_path TO ${this.schema}; SET enable_seqscan = off; SET jit = off`);
        await this.#onConnect(statementsOf(client));
        prepared.add(client);
        return client;
      } catch (error) {
        client.release(true);
        throw error;
      }
    } catch (error) {
      throw folded(error);
    }
  }
}

function statementsOf(client: pg.PoolClient): Transaction {
  return {
    rows: async <R>(sql: string, values: readonly unknown[] = []) =>
      (await client.query({ text: sql, values: [...values] })).rows as R[],
  };
}

/** Connections that are ready for use. */
const prepared = new WeakSet<object>();
const KNOWN = [StorageError, CatalogError, StoreOpenError];
const BUGS = [TypeError, RangeError, ReferenceError];

/** Returns whether a failure is that the index cannot be used now. */
export function isUnavailable(error: unknown): error is StorageError {
  return error instanceof StorageError && error.reason === 'INDEX_UNAVAILABLE';
}

/** Returns whether a failure is that the tables are gone. */
export function isEmptied(error: unknown): boolean {
  return isUnavailable(error) && EMPTIED.includes(codeOf(error.cause) ?? '');
}

function isPassing(error: unknown): boolean {
  return PASSING.includes(codeOf((error as Error).cause) ?? '');
}

function folded(error: unknown): Error {
  if (KNOWN.some((known) => error instanceof known)) return error as Error;
  const code = codeOf(error);
  const message = error instanceof Error ? error.message : String(error);
  if (code !== undefined && OURS.test(code) && !EMPTIED.includes(code)) {
    return new CatalogError('definite', message, { cause: error });
  }
  if (BUGS.some((bug) => error instanceof bug)) return new CatalogError('definite', message, { cause: error });
  return unavailable(error);
}

export function unavailable(cause: unknown, message = 'the index cannot be reached; try again later'): StorageError {
  return new StorageError('INDEX_UNAVAILABLE', message, { cause, retryAfterMs: RETRY_AFTER_MS });
}

function codeOf(error: unknown): string | undefined {
  return (error as { code?: string } | undefined)?.code;
}
