/** The connections to the Postgres of a store: bounded in number and time, with errors in the catalog's terms. */
import { hash } from 'node:crypto';
import pg from 'pg';
import { StorageError, StoreOpenError } from '../../domain/errors.ts';
import type { Connections, IndexCall, IndexLoad } from '../../domain/meter.ts';
import { CatalogError } from '../catalog.ts';

const MAX_READERS = 5;
/** Of writes, and of reads that a save or a Get waits for: no search of others holds them off. */
const MAX_WRITERS = 3;
/** At most; one asks whether the server answers, and one holds the lock of a comparison. */
export const CONNECTIONS_OF_A_DAEMON: number = MAX_READERS + MAX_WRITERS + 2;
const CONNECT_TIMEOUT_MS = 5_000;
const STATEMENT_TIMEOUT_MS = 10_000;
const LOCK_TIMEOUT_MS = 5_000;
/** Of a server that hangs, and enforces no limit of its own. */
const ANSWER_TIMEOUT_MS = 15_000;
/** Of a question that takes no lock and reads nothing: a server that leaves it open hangs. */
const PING_TIMEOUT_MS = 2_500;
/** Of a daemon that was cut off in a transaction, whose locks others wait for. */
const IDLE_IN_TRANSACTION_MS = 5_000;
/** How soon the server notices that the machine of a daemon is gone, which has other locks. Postgres takes seconds here. */
const WATCHED = 'SET tcp_keepalives_idle = 5; SET tcp_keepalives_interval = 3; SET tcp_keepalives_count = 3';
/** A quarter of what it takes to insert an image is the usual compression of its texts. A server may be built without. */
const COMPRESSED = `
  SELECT set_config(name, 'lz4', false) FROM pg_settings WHERE name = 'default_toast_compression' AND 'lz4' = ANY(enumvals)`;
const IDLE_TIMEOUT_MS = 60_000;
const RETRY_AFTER_MS = 1_000;
const MAX_ATTEMPTS = 8;

const READ = 'BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY';
const WRITE = 'BEGIN';
/** Survives a crash of the server once a later one does. */
const WRITE_LATER = 'BEGIN; SET LOCAL synchronous_commit = off';

/** `unique_violation`, `serialization_failure`, `deadlock_detected`: the same transaction succeeds when it begins again. */
const PASSING = ['23505', '40001', '40P01'];
/** Of a statement: data, integrity, syntax. `42P01` and `3F000` say that the tables are gone. */
const OURS = /^(22|23|42)/;
/** `lock_not_available`, `query_canceled`, `serialization_failure`, `deadlock_detected`. */
const BUSY = ['55P03', '57014', '40001', '40P01'];
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

/** Throws a StoreOpenError `config` for what is no URL of a Postgres. Its text is told to nobody: it has a password. */
export function checkUrl(url: string): void {
  try {
    new pg.Client({ connectionString: url });
  } catch (error) {
    const { path } = error as NodeJS.ErrnoException;
    const message =
      path === undefined
        ? 'the index is not a URL: in its password write / as %2F, # as %23, ? as %3F, @ as %40 and % as %25'
        : `the index names a file that cannot be read: ${path}`;
    throw new StoreOpenError('config', `${message}; correct the index setting`);
  }
}

/** Returns the first of several errors that are one: such as of the addresses of a host. */
export function firstOf(error: unknown): unknown {
  return error instanceof AggregateError && error.message === '' ? error.errors[0] : error;
}

export class Pool {
  readonly schema: string;
  readonly #readers: pg.Pool;
  readonly #writers: pg.Pool;
  readonly #pings: pg.Pool;
  readonly #locks: pg.Pool;
  /** The names of those that are held here. */
  readonly #held = new Set<string>();
  readonly #onConnect: (transaction: Transaction) => Promise<void>;
  readonly #onCall: (call: IndexCall) => void;

  /** `onConnect` is awaited with each new connection before it is used. `onCall` is told of each transaction. */
  constructor(
    url: string,
    storeId: string,
    onConnect: (transaction: Transaction) => Promise<void>,
    onCall: (call: IndexCall) => void = () => {},
  ) {
    this.schema = schemaOf(storeId);
    this.#onConnect = onConnect;
    this.#onCall = onCall;
    const options: pg.PoolConfig = {
      connectionString: url,
      connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
      idleTimeoutMillis: IDLE_TIMEOUT_MS,
      statement_timeout: STATEMENT_TIMEOUT_MS,
      lock_timeout: LOCK_TIMEOUT_MS,
      idle_in_transaction_session_timeout: IDLE_IN_TRANSACTION_MS,
      query_timeout: ANSWER_TIMEOUT_MS,
      keepAlive: true,
      application_name: 'image-storage',
      types,
    };
    this.#readers = poolOf({ ...options, max: MAX_READERS });
    this.#writers = poolOf({ ...options, max: MAX_WRITERS });
    const soon = { connectionTimeoutMillis: PING_TIMEOUT_MS, query_timeout: PING_TIMEOUT_MS };
    this.#pings = poolOf({ ...options, ...soon, max: 1 });
    this.#locks = poolOf({ ...options, max: 1 });
  }

  /**
   * Runs the work, and returns true, unless a connection holds the lock of that name. The lock ends with the connection,
   * also where that is lost while the work goes on.
   */
  async locked(name: string, work: () => Promise<void>): Promise<boolean> {
    if (this.#held.has(name)) return false;
    this.#held.add(name);
    try {
      return await this.#withLock(name, work);
    } finally {
      this.#held.delete(name);
    }
  }

  async #withLock(name: string, work: () => Promise<void>): Promise<boolean> {
    const client = await this.#locks.connect().catch((error) => {
      throw folded(error);
    });
    let failure: Error | undefined;
    const ask = (sql: string, values?: unknown[]) =>
      client.query(sql, values).catch((error) => {
        failure = error;
        throw folded(error);
      });
    try {
      await ask(WATCHED);
      const { rows } = await ask('SELECT pg_try_advisory_lock(hashtextextended($1, 0)) AS is_ours', [
        `${this.schema} ${name}`,
      ]);
      if (!rows[0].is_ours) return false;
      await work();
      return true;
    } finally {
      if (failure === undefined) await ask('SELECT pg_advisory_unlock_all()').catch(() => {});
      client.release(failure);
    }
  }

  /** Rejects with INDEX_UNAVAILABLE where the server does not answer within seconds, whatever else it is busy with. */
  async ping(): Promise<void> {
    try {
      await this.#pings.query('SELECT 1');
    } catch (error) {
      throw unavailable(error);
    }
  }

  /** Runs statements that see one moment. Rejects with INDEX_UNAVAILABLE, or a CatalogError `definite`. */
  read<T>(work: (transaction: Transaction) => Promise<T>): Promise<T> {
    return this.#transaction(this.#readers, READ, work);
  }

  /** The same of a read that is quick, and that a call waits for which goes on without it. */
  readSoon<T>(work: (transaction: Transaction) => Promise<T>): Promise<T> {
    return this.#transaction(this.#writers, READ, work);
  }

  /**
   * Runs statements that are committed together, and again where those of others were faster. Rejects likewise; the outcome
   * is then unknown.
   */
  write<T>(work: (transaction: Transaction) => Promise<T>): Promise<T> {
    return this.#write(WRITE, work);
  }

  /** As `write`; a crash of the server may lose it until a later `write` is committed. */
  writeLater<T>(work: (transaction: Transaction) => Promise<T>): Promise<T> {
    return this.#write(WRITE_LATER, work);
  }

  async #write<T>(begin: string, work: (transaction: Transaction) => Promise<T>): Promise<T> {
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await this.#transaction(this.#writers, begin, work);
      } catch (error) {
        if (attempt === MAX_ATTEMPTS || !isPassing(error)) throw error;
      }
    }
  }

  get load(): Omit<IndexLoad, 'rowsWaiting'> {
    return { read: connectionsOf(this.#readers), write: connectionsOf(this.#writers) };
  }

  async end(): Promise<void> {
    await Promise.all([this.#readers, this.#writers, this.#pings, this.#locks].map((pool) => pool.end()));
  }

  async #transaction<T>(pool: pg.Pool, begin: string, work: (transaction: Transaction) => Promise<T>): Promise<T> {
    const began = performance.now();
    const kind = begin === READ ? 'read' : 'write';
    const end = (outcome: IndexCall['outcome']) => this.#onCall({ kind, outcome, ms: performance.now() - began });
    try {
      const result = await this.#carryOut(pool, begin, work);
      end('ok');
      return result;
    } catch (error) {
      end('failed');
      throw error;
    }
  }

  async #carryOut<T>(pool: pg.Pool, begin: string, work: (transaction: Transaction) => Promise<T>): Promise<T> {
    const client = await this.#connection(pool);
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
      // A server that did not answer has not got to this statement either.
      if (failure !== undefined && !isUnanswered(failure))
        await client.query('ROLLBACK').then(
          () => (failure = undefined),
          () => {},
        );
      client.release(failure);
    }
  }

  async #connection(pool: pg.Pool): Promise<pg.PoolClient> {
    try {
      const client = await pool.connect();
      if (prepared.has(client)) return client;
      try {
        // A walk in the order of time ends early; nothing of ours is quicker by reading a whole table.
        const planned = 'SET enable_seqscan = off; SET jit = off';
        await client.query(`SET search_path TO ${this.schema}; ${planned}; ${COMPRESSED}; ${WATCHED}`);
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

function poolOf(options: pg.PoolConfig): pg.Pool {
  const pool = new pg.Pool(options);
  // Also of a connection that is lost between two statements: the next one reports it.
  pool.on('connect', (client) => client.on('error', () => {}));
  pool.on('error', () => {});
  return pool;
}

function connectionsOf({ totalCount, idleCount: idle, waitingCount: waiting }: pg.Pool): Connections {
  return { busy: totalCount - idle, idle, waiting };
}

/** Returns whether we gave up on a statement, which the server may carry out yet. */
function isUnanswered(error: Error): boolean {
  return error.message === 'Query read timeout';
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

/** Returns whether a failure is that Postgres is out of reach: not that it is being filled, or others hold a lock. */
export function isDown(error: unknown): error is StorageError {
  return isUnavailable(error) && error.cause !== undefined && !BUSY.includes(codeOf(error.cause) ?? '');
}

/** Returns whether a failure is that the tables are gone. */
export function isEmptied(error: unknown): boolean {
  return isUnavailable(error) && EMPTIED.includes(codeOf(error.cause) ?? '');
}

function isPassing(error: unknown): boolean {
  return PASSING.includes(codeOf((error as Error).cause) ?? '');
}

function folded(thrown: unknown): Error {
  const error = firstOf(thrown);
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
