/** What `doctor` says of the Postgres of an index: what is well, and the line that mends what is not. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { examineServer } from '../../src/storage/catalog/postgres/examination.ts';
import { CONNECTIONS_OF_A_DAEMON as EACH, schemaOf } from '../../src/storage/catalog/postgres/pool.ts';
import { ask, type PostgresServer, postgresAvailable, startPostgres } from '../support/postgres.ts';
import { requires } from '../support/requires.ts';
import { type Checks, diagnose, newFolder, thoseThat } from './diagnosis.ts';

requires('Postgres 15 or newer', postgresAvailable)('of a Postgres', () => {
  let server: PostgresServer;
  let url: string;
  let admin: string;

  beforeAll(async () => {
    server = await startPostgres();
    url = await server.createDatabase();
    admin = url.replace('images@', 'postgres@');
  });
  afterAll(() => server?.stop());

  async function found(at = url, now: () => number = Date.now, storeId?: string): Promise<Checks> {
    const findings = await examineServer(at, now, storeId);
    return Object.fromEntries(findings.map(({ name, verdict, message }) => [name, `${verdict}: ${message}`]));
  }

  /** Carries out a line that a check has named. */
  const mend = (check: string, at = admin) =>
    ask(at, /((?:GRANT|ALTER|REASSIGN|CREATE DATABASE) .*)$/.exec(check)![1]!);

  it('proves version, encoding, rights, sessions, clock and latency, and leaves nothing', async () => {
    const checks = await found();
    expect(Object.keys(checks)).toEqual([
      ...['index', 'encoding', 'rights', 'sessions', 'index-time', 'latency', 'index-tls'],
    ]);
    expect(thoseThat('ok', checks)).toEqual(Object.keys(checks));
    expect(checks.index).toMatch(/^ok: Postgres \d+\.\d+.* can have the index$/);
    expect(checks.sessions).toContain(
      `room for 57 connections, and a daemon uses up to ${EACH}: ${Math.floor(57 / EACH)} daemons`,
    );
    expect(checks.latency).toMatch(/a statement takes \d+\.\d ms, a commit \d+\.\d$/);
    expect(await ask(url, "SELECT 1 FROM pg_namespace WHERE nspname LIKE 'image_storage%'")).toEqual([]);
  });

  it('is among the checks of a bucket', async () => {
    const settings = { type: 'memory', bucket: new Map(), stateDir: await newFolder(), index: url } as const;
    const checks = await diagnose(settings);
    expect(thoseThat('failed', checks)).toEqual([]);
    expect(checks.rights).toBe('ok: images may create the tables of the index');
    const nowhere = url.replace('test_1', 'nothing');
    expect((await diagnose({ ...settings, index: nowhere })).index).toMatch(
      /^failed: .*database "nothing" does not exist; create the database: CREATE DATABASE .* \(index\)$/,
    );
  });

  it('names the right that is missing', async () => {
    await ask(admin, 'ALTER DATABASE test_1 OWNER TO postgres');
    const { rights } = await found();
    expect(rights).toBe('failed: the role may not create a schema: GRANT CREATE ON DATABASE "test_1" TO "images"');
    await mend(rights!);
    expect((await found()).rights).toMatch(/^ok/);
  });

  it('says whose the tables are where they are of another role', async () => {
    const schema = schemaOf('store');
    await ask(admin, `CREATE ROLE former; CREATE SCHEMA ${schema} AUTHORIZATION former`);
    expect((await found(url, Date.now, 'other')).rights).toMatch(/^ok/);
    const { rights } = await found(url, Date.now, 'store');
    expect(rights).toMatch(/^failed: .*: REASSIGN OWNED BY "former" TO "images"$/);
    await mend(rights!);
    expect((await found(url, Date.now, 'store')).rights).toMatch(/^ok/);
  });

  it('needs UTF8', async () => {
    await ask(admin, "CREATE DATABASE latin ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0");
    const { encoding } = await found(admin.replace('test_1', 'latin'));
    expect(encoding).toMatch(/^failed: the database is in LATIN1, and UTF8 is needed: CREATE DATABASE/);
    await mend(encoding!);
    expect((await found(admin.replace('test_1', 'latin_utf8'))).encoding).toMatch(/^ok/);
  });

  it('needs transactions that write', async () => {
    await ask(admin, 'ALTER ROLE images SET default_transaction_read_only = on');
    const { index } = await found();
    expect(index).toMatch(/^failed: its transactions are read-only: ALTER ROLE "images" SET /);
    await mend(index!);
    expect((await found()).index).toMatch(/^ok/);
  });

  describe('counts connections', () => {
    const limited = async (limit: number) => {
      await ask(admin, `ALTER ROLE images CONNECTION LIMIT ${limit}`);
      return (await found()).sessions;
    };
    afterAll(() => ask(admin, 'ALTER ROLE images CONNECTION LIMIT -1'));

    it.each([
      [1, /^failed: it takes no second connection: too many connections for role "images"; raise max_connections, or/],
      [
        EACH - 1,
        /^failed: room for \d+ connections, and a daemon uses up to \d+: ALTER ROLE "images" CONNECTION LIMIT …$/,
      ],
      [EACH, /^note: two at once work; .*: one daemon; for more, ALTER ROLE "images" CONNECTION LIMIT …$/],
      [3 * EACH, /^ok: two at once work; .*: 3 daemons$/],
    ])('of a role that may have %i', async (limit, told) => {
      expect(await limited(limit)).toMatch(told);
    });
  });

  it.each([
    [60_000, /^note: the clock of this machine is 60 s ahead of that of the Postgres: set both \(NTP\)$/],
    [-600_000, /^failed: the clock of this machine is 600 s behind /],
  ])('compares the clocks: %i ms', async (aheadMs, told) => {
    expect((await found(url, () => Date.now() + aheadMs))['index-time']).toMatch(told);
  });

  it.each([
    [(at: string) => at.replace('images@', 'nobody@'), /role "nobody" does not exist; correct user and password/],
    [(at: string) => at.replace(/host=.*/, 'host=%2Fnowhere'), /there is no socket that this user may open/],
    [() => 'postgres://images@127.0.0.1:1/test_1', /ECONNREFUSED.*; start it, or correct its host and port/],
  ])('says why it cannot be reached', async (changed, told) => {
    await expect(found(changed(url))).rejects.toThrow(told);
  });
});

it('a bucket without a Postgres has no such check', async () => {
  const checks = await diagnose({ type: 'memory', bucket: new Map(), stateDir: await newFolder() });
  expect(checks).not.toHaveProperty('index');
});
