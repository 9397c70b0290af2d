/** Examines a Postgres that is to have an index, without changing anything in it. */
import pg from 'pg';
import { MIN_SERVER_VERSION } from './migrate.ts';
import { checkUrl, firstOf } from './pool.ts';

const CONNECT_TIMEOUT_MS = 5_000;
const MAX_SKEW_MS = 5 * 60 * 1000;

export interface ServerFacts {
  /** Such as `15.6`. */
  version: string;
  /** Of one statement. */
  latencyMs: number;
  /** What keeps it from having an index, and what to do; empty: nothing. */
  shortcomings: string[];
}

/** Rejects where it cannot be reached, or refuses the role; the message is that of the server. */
export async function examineServer(url: string, now: () => number): Promise<ServerFacts> {
  checkUrl(url);
  const options = {
    connectionString: url,
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    query_timeout: CONNECT_TIMEOUT_MS,
  };
  const clients = [new pg.Client(options), new pg.Client(options)];
  try {
    // A fleet has many: a pooler or a limit of one would show here.
    for (const client of clients) await client.connect();
    return await factsOf(clients[0]!, now);
  } catch (error) {
    throw firstOf(error);
  } finally {
    for (const client of clients) await client.end().catch(() => {});
  }
}

async function factsOf(client: pg.Client, now: () => number): Promise<ServerFacts> {
  const sql = `
    SELECT current_setting('server_version') AS version, current_setting('server_version_num')::int AS number,
      pg_encoding_to_char(encoding) AS encoding, has_database_privilege(current_database(), 'CREATE') AS may_create,
      pg_is_in_recovery() AS is_standby, (extract(epoch FROM clock_timestamp()) * 1000)::float8 AS time
    FROM pg_database WHERE datname = current_database()`;
  const { rows } = await client.query(sql);
  const began = performance.now();
  await client.query('SELECT 1');
  const latencyMs = performance.now() - began;
  const { version, number, encoding, may_create: mayCreate, is_standby: isStandby, time } = rows[0];
  const told: [boolean, string][] = [
    [number < MIN_SERVER_VERSION, `it is Postgres ${version}, and 15 or newer is needed: use another server`],
    [encoding !== 'UTF8', `the database is in ${encoding}: create one with ENCODING UTF8`],
    [!mayCreate, 'the role may not create a schema: GRANT CREATE ON DATABASE … TO …'],
    [isStandby, 'it is a standby, which takes no writes: use the URL of the primary'],
    [Math.abs(time - now()) > MAX_SKEW_MS, 'its clock differs from that of this machine by more than five minutes'],
  ];
  return { version, latencyMs, shortcomings: told.flatMap(([isSo, what]) => (isSo ? [what] : [])) };
}
