/** Examines a Postgres that is to have an index: what it is, and what a daemon would do with it, all of which is undone. */
import { randomUUID } from 'node:crypto';
import pg from 'pg';
import { MIN_SERVER_VERSION } from './migrate.ts';
import { CONNECTIONS_OF_A_DAEMON, checkUrl, firstOf, schemaOf } from './pool.ts';

const CONNECT_TIMEOUT_MS = 5_000;
const NOTEWORTHY_SKEW_MS = 5_000;
const MAX_SKEW_MS = 5 * 60 * 1000;
/** Of a commit: saves wait for it, and are written later where it takes half a second. */
const NOTEWORTHY_COMMIT_MS = 50;
const COMMITS = 5;

export interface ServerFinding {
  /** What was examined: `index`, `encoding`, `rights`, `sessions`, `index-time`, `latency`, `index-tls`. */
  name: string;
  /** `note`: works, with something worth knowing · `failed`: it cannot have an index. */
  verdict: 'ok' | 'note' | 'failed';
  /** What was found, or what to change; no secret. */
  message: string;
}

interface Facts {
  version: string;
  number: number;
  database: string;
  role: string;
  encoding: string;
  isStandby: boolean;
  isReadOnly: boolean;
  /** Of the server, the database and the role; below zero: no limit of its own. */
  limits: [server: number, database: number, role: number];
  isEncrypted: boolean;
  isNear: boolean;
}

/** Rejects where it cannot be reached, or refuses the role; the message says what to change. */
export async function examineServer(url: string, now: () => number, storeId?: string): Promise<ServerFinding[]> {
  checkUrl(url);
  const client = await connected(url).catch((error) => Promise.reject(new Error(whyNot(error), { cause: error })));
  try {
    const facts = await factsOf(client);
    const [time, latency] = [await timeFinding(client, now), await latencyFinding(client)];
    return [
      versionFinding(facts),
      encodingFinding(facts),
      await rightsFinding(client, facts, storeId),
      await sessionsFinding(client, url, facts),
      time,
      latency,
      encryptionFinding(facts),
    ];
  } finally {
    await client.end().catch(() => {});
  }
}

async function connected(url: string): Promise<pg.Client> {
  const options = {
    connectionString: url,
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    query_timeout: CONNECT_TIMEOUT_MS,
    application_name: 'image-storage doctor',
  };
  const client = new pg.Client(options);
  // One that is lost between two statements: the next one reports it.
  client.on('error', () => {});
  try {
    await client.connect();
    return client;
  } catch (error) {
    await client.end().catch(() => {});
    throw firstOf(error);
  }
}

/** By the code of the server or of the system; else its message has to do. */
const REASONS: [RegExp, string][] = [
  [/^ECONNREFUSED$/, 'start it, or correct its host and port'],
  [/^(ENOTFOUND|EAI_AGAIN)$/, 'its name does not resolve: correct its host'],
  [/^(ENOENT|EACCES)$/, 'there is no socket that this user may open: correct its host'],
  [/^(EHOSTUNREACH|ENETUNREACH|ETIMEDOUT)$/, 'there is no route to it: correct its host, or open the way'],
  [/^28/, 'correct user and password, or what pg_hba.conf admits'],
  [/^3D000$/, 'create the database: CREATE DATABASE … ENCODING UTF8 TEMPLATE template0'],
  [/^42501$/, 'GRANT CONNECT ON DATABASE … TO …'],
  [/^53300$/, 'raise max_connections, or the CONNECTION LIMIT of the role or database'],
  [/CERT|SELF_SIGNED|UNABLE_TO_/, 'its certificate is not trusted: add sslrootcert=FILE with its CA'],
];

function whyNot(error: unknown): string {
  const { code = '', message } = error as { code?: string; message: string };
  const [, advice] = REASONS.find(([pattern]) => pattern.test(code)) ?? [];
  if (advice !== undefined) return `${message}; ${advice}`;
  if (message.includes('does not support SSL')) return `${message}; turn ssl on there, or take sslmode out`;
  return message.includes('timeout') ? `${message}; nothing answers there: correct its host and port` : message;
}

async function factsOf(client: pg.Client): Promise<Facts> {
  // Before 16 there is no reserved_connections.
  const sql = `
    SELECT current_setting('server_version') AS version, current_setting('server_version_num')::int AS number,
      current_database() AS database, current_user AS role, pg_encoding_to_char(encoding) AS encoding,
      pg_is_in_recovery() AS "isStandby", current_setting('transaction_read_only')::boolean AS "isReadOnly",
      ARRAY[
        current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int
          - coalesce(current_setting('reserved_connections', true), '0')::int,
        datconnlimit,
        (SELECT rolconnlimit FROM pg_roles WHERE rolname = current_user)
      ] AS limits,
      coalesce((SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()), FALSE) AS "isEncrypted",
      coalesce(inet_server_addr() <<= '127.0.0.0/8' OR inet_server_addr() = '::1', TRUE) AS "isNear"
    FROM pg_database WHERE datname = current_database()`;
  return (await client.query<Facts>(sql)).rows[0]!;
}

function versionFinding({ version, number, isStandby, isReadOnly, role }: Facts): ServerFinding {
  const told = (verdict: ServerFinding['verdict'], message: string) => ({ name: 'index', verdict, message });
  if (number < MIN_SERVER_VERSION) {
    return told('failed', `it is Postgres ${version}, and 15 or newer is needed: use another server`);
  }
  if (isStandby) return told('failed', 'it is a standby, which takes no writes: use the URL of the primary');
  if (isReadOnly) {
    const fix = `ALTER ROLE ${quoted(role)} SET default_transaction_read_only = off`;
    return told('failed', `its transactions are read-only: ${fix}`);
  }
  return told('ok', `Postgres ${version} can have the index`);
}

function encodingFinding({ encoding, database }: Facts): ServerFinding {
  if (encoding === 'UTF8') return { name: 'encoding', verdict: 'ok', message: 'the database is in UTF8' };
  const fix = `CREATE DATABASE ${quoted(`${database}_utf8`)} ENCODING UTF8 TEMPLATE template0`;
  return { name: 'encoding', verdict: 'failed', message: `the database is in ${encoding}, and UTF8 is needed: ${fix}` };
}

/** Does once what a daemon does at its first start, and takes it back. */
async function rightsFinding(client: pg.Client, facts: Facts, storeId?: string): Promise<ServerFinding> {
  const name = 'rights';
  const trial = `image_storage_doctor_${randomUUID().slice(0, 8)}`;
  const statements = [
    'BEGIN',
    `CREATE SCHEMA ${trial}`,
    `CREATE TABLE ${trial}.trial (key text COLLATE "C" PRIMARY KEY, words tsvector NOT NULL)`,
    `CREATE INDEX trial_words ON ${trial}.trial USING gin (words) WITH (fastupdate = off)`,
    `INSERT INTO ${trial}.trial VALUES ('a', 'fox')`,
    `SELECT pg_try_advisory_xact_lock(hashtextextended('${trial}', 0))`,
  ];
  try {
    for (const sql of statements) await client.query(sql);
  } catch (error) {
    return { name, verdict: 'failed', message: whatIsMissing(error, facts) };
  } finally {
    await client.query('ROLLBACK').catch(() => {});
  }
  const owner = await foreignOwner(client, storeId);
  if (owner === undefined) {
    return { name, verdict: 'ok', message: `${facts.role} may create the tables of the index` };
  }
  const fix = `REASSIGN OWNED BY ${quoted(owner)} TO ${quoted(facts.role)}`;
  return { name, verdict: 'failed', message: `the tables of the index belong to another role: ${fix}` };
}

function whatIsMissing(error: unknown, { database, role }: Facts): string {
  const { code, message } = error as { code?: string; message: string };
  if (code !== '42501') return `tables of an index cannot be created: ${message}`;
  return `the role may not create a schema: GRANT CREATE ON DATABASE ${quoted(database)} TO ${quoted(role)}`;
}

/** Returns the role that the tables of this store belong to, where that is neither ours nor one that we are in. */
async function foreignOwner(client: pg.Client, storeId: string | undefined): Promise<string | undefined> {
  if (storeId === undefined) return undefined;
  const sql = `
    SELECT pg_get_userbyid(nspowner) AS owner FROM pg_namespace
    WHERE nspname = $1 AND NOT pg_has_role(nspowner, 'USAGE')`;
  return (await client.query<{ owner: string }>(sql, [schemaOf(storeId)])).rows[0]?.owner;
}

/** A daemon holds several connections, and settings of its own in each: a pooler between statements would mix these up. */
async function sessionsFinding(first: pg.Client, url: string, facts: Facts): Promise<ServerFinding> {
  const name = 'sessions';
  const failed = (message: string): ServerFinding => ({ name, verdict: 'failed', message });
  let second: pg.Client;
  try {
    second = await connected(url);
  } catch (error) {
    return failed(`it takes no second connection: ${whyNot(error)}`);
  }
  try {
    const set = "SELECT set_config('image_storage.doctor', $1, false)";
    const clients = [first, second];
    for (const [at, client] of clients.entries()) await client.query(set, [`${at}`]);
    for (const [at, client] of clients.entries()) {
      const sql = "SELECT current_setting('image_storage.doctor', true) AS kept";
      if ((await client.query<{ kept: string }>(sql)).rows[0]!.kept === `${at}`) continue;
      return failed('a pooler gives connections to others between transactions: use its session mode, or the server');
    }
  } catch (error) {
    return failed(`two connections at once do not work: ${(error as Error).message}`);
  } finally {
    await second.end().catch(() => {});
  }
  return roomFinding(facts);
}

function roomFinding({ limits: [server, ofDatabase, ofRole], database, role }: Facts): ServerFinding {
  const name = 'sessions';
  const bounds: [number, string][] = [
    [server, 'raise max_connections in postgresql.conf'],
    [ofDatabase, `ALTER DATABASE ${quoted(database)} CONNECTION LIMIT …`],
    [ofRole, `ALTER ROLE ${quoted(role)} CONNECTION LIMIT …`],
  ];
  const [room, fix] = bounds
    .filter(([limit]) => limit >= 0)
    .reduce((least, each) => (each[0] < least[0] ? each : least));
  const daemons = Math.floor(room / CONNECTIONS_OF_A_DAEMON);
  const message = `room for ${room} connections, and a daemon uses up to ${CONNECTIONS_OF_A_DAEMON}`;
  if (daemons === 0) return { name, verdict: 'failed', message: `${message}: ${fix}` };
  const several = `two at once work; ${message}: ${daemons === 1 ? 'one daemon' : `${daemons} daemons`}`;
  return {
    name,
    verdict: daemons === 1 ? 'note' : 'ok',
    message: daemons === 1 ? `${several}; for more, ${fix}` : several,
  };
}

async function timeFinding(client: pg.Client, now: () => number): Promise<ServerFinding> {
  const name = 'index-time';
  const askedAt = now();
  const { rows } = await client.query('SELECT (extract(epoch FROM clock_timestamp()) * 1000)::float8 AS time');
  const ahead = (askedAt + now()) / 2 - rows[0].time;
  const skew = Math.abs(ahead);
  if (skew <= NOTEWORTHY_SKEW_MS) {
    return { name, verdict: 'ok', message: `its clock is ${(skew / 1000).toFixed(1)} s from that of this machine` };
  }
  const message = `the clock of this machine is ${(skew / 1000).toFixed(0)} s ${ahead > 0 ? 'ahead of' : 'behind'} that of the Postgres: set both (NTP)`;
  return { name, verdict: skew > MAX_SKEW_MS ? 'failed' : 'note', message };
}

/** Of commits that change nothing but the server's log. */
async function latencyFinding(client: pg.Client): Promise<ServerFinding> {
  const statements = await medianMs(client, 'SELECT 1');
  const commits = await medianMs(client, "SELECT pg_logical_emit_message(true, 'image-storage', 'doctor')").catch(
    () => undefined,
  );
  const told = commits === undefined ? '' : `, a commit ${commits.toFixed(1)}`;
  const message = `a statement takes ${statements.toFixed(1)} ms${told}`;
  const name = 'latency';
  if ((commits ?? statements) <= NOTEWORTHY_COMMIT_MS) return { name, verdict: 'ok', message };
  return { name, verdict: 'note', message: `${message}: each save waits for it; move it nearer, or to a faster disk` };
}

async function medianMs(client: pg.Client, sql: string): Promise<number> {
  const times: number[] = [];
  for (let round = 0; round < COMMITS; round += 1) {
    const began = performance.now();
    await client.query(sql);
    times.push(performance.now() - began);
  }
  return times.sort((a, b) => a - b)[Math.floor(COMMITS / 2)]!;
}

function encryptionFinding({ isEncrypted, isNear }: Facts): ServerFinding {
  const name = 'index-tls';
  if (isEncrypted) return { name, verdict: 'ok', message: 'the connection is encrypted' };
  if (isNear) return { name, verdict: 'ok', message: 'the connection stays on this machine' };
  const message = 'password and prompts pass the network in the clear: add ?sslmode=verify-full to the index';
  return { name, verdict: 'note', message };
}

function quoted(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}
