/**
 * The fleet of examples/compose without an engine: its services run here as processes, with the settings and commands that
 * are in the file, behind the Caddy of the example, and one of the daemons is killed while images are saved.
 */
import '../support/ordinary-user.ts';
import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync } from 'node:fs';
import { chmod, mkdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { parse } from 'yaml';
import { connect, type ImageStorageClient, type SavedImage } from '../../src/client.ts';
import { createCa, createCertificate } from '../access/certificates.ts';
import { COMMAND } from '../support/command.ts';
import { parseExposition, sampleOf } from '../support/exposition.ts';
import { freePort } from '../support/free-port.ts';
import { pngOf } from '../support/images.ts';
import { type PostgresServer, postgresAvailable, startPostgres } from '../support/postgres.ts';
import { caddy } from '../support/proxies.ts';
import { requires } from '../support/requires.ts';
import { full } from '../support/scale.ts';
import { versitygwAvailable, versitygwProgram } from '../support/versitygw.ts';

const SAVES = full ? 500 : 50;
const AT_ONCE = 10;
const compose = parse(readFileSync('examples/compose/fleet.yaml', 'utf8'), { merge: true });
const page = readFileSync('docs/scaling.md', 'utf8');
const [, block] = /```sh\n(cd examples\/compose\n.*?)```/s.exec(page)!;
const hasOpenssl = spawnSync('openssl', ['version']).status === 0;
const DAEMONS = ['storage-1', 'storage-2', 'storage-3'] as const;
type Name = (typeof DAEMONS)[number];
/** Each has the ports of the file on an address of its own. */
const HOSTS: Record<Name, string> = { 'storage-1': '127.0.0.51', 'storage-2': '127.0.0.52', 'storage-3': '127.0.0.53' };
const available =
  caddy.available && versitygwAvailable && postgresAvailable && hasOpenssl && process.platform === 'linux';

requires('Caddy, Postgres, openssl, and Go, which builds versitygw', available)('a fleet', () => {
  const folder = mkdtempSync(join(tmpdir(), 'image-storage-fleet-'));
  const secrets = join(folder, 'examples/compose/secrets');
  const running = new AsyncDisposableStack();
  const children = new Map<Name, ChildProcess>();
  let postgres: PostgresServer;
  let ports: { storage: number; ops: number; bucket: number; proxy: number };
  let origin: string;
  let token: string;
  let ca: string;
  let client: ImageStorageClient;
  const retries: unknown[] = [];
  const own: Record<Name, ImageStorageClient> = {} as never;

  beforeAll(async () => {
    await makeSecrets();
    postgres = await startPostgres();
    running.defer(() => postgres.stop());
    // The role is that of the file; the server is another one, on a socket.
    await writeFile(join(secrets, 'index'), await postgres.createDatabase());
    const [storage, ops, bucket, proxy] = await Promise.all([freePort(), freePort(), freePort(), freePort()]);
    ports = { storage: storage!, ops: ops!, bucket: bucket!, proxy: proxy! };
    origin = `https://localhost:${ports.proxy}`;
    await startBucket();
    await Promise.all(DAEMONS.map(startDaemon));
    await startProxy();
    client = connect(origin, { token, caFile: ca, onRetry: ({ code }) => void retries.push(code) });
    running.defer(async () => client.close());
    for (const name of DAEMONS) {
      own[name] = connect(`${HOSTS[name]}:${ports.storage}`, { token, allowPlaintextToken: true });
      running.defer(async () => own[name].close());
    }
  });
  afterAll(async () => {
    await running.disposeAsync();
    await rm(folder, { recursive: true });
  });

  /** By the block of the page, without the engine. */
  async function makeSecrets(): Promise<void> {
    const bin = join(folder, 'bin');
    await mkdir(bin);
    await mkdir(join(folder, 'examples/compose'), { recursive: true });
    await writeFile(join(bin, 'image-storage'), `#!/bin/sh\nexec '${process.execPath}' '${COMMAND}' "$@"\n`);
    await writeFile(join(bin, 'docker'), '#!/bin/sh\nexec test "$*" = "compose -f fleet.yaml up"\n');
    for (const name of ['image-storage', 'docker']) await chmod(join(bin, name), 0o755);
    const env = { ...process.env, PATH: `${bin}:${process.env.PATH}` };
    execFileSync('sh', ['-ec', block!], { cwd: folder, env });
    token = /^is_\S+$/m.exec(readFileSync(join(secrets, 'generator.txt'), 'utf8'))![0];
  }

  async function startBucket(): Promise<void> {
    const { entrypoint, command } = compose.services.bucket;
    const [script] = command as [string];
    const local = script
      .replaceAll('$$', '$')
      .replaceAll('/run/secrets', secrets)
      .replaceAll('/data', join(folder, 'objects'))
      .replace('exec versitygw', `exec ${await versitygwProgram()}`)
      .replace(':7070', `127.0.0.1:${ports.bucket}`);
    const [shell, ...flags] = entrypoint as [string, ...string[]];
    const child = spawn(shell, [...flags, local], { stdio: ['ignore', 'ignore', 'inherit'] });
    running.defer(() => end(child));
    await untilAnswered(`http://127.0.0.1:${ports.bucket}`, child);
  }

  function environmentOf(name: Name): Record<string, string> {
    const { environment } = compose.services[name];
    const local = Object.entries<string>(environment).map(([key, value]) => [
      key,
      value
        .replace('/run/secrets', secrets)
        .replace('http://bucket:7070', `http://127.0.0.1:${ports.bucket}`)
        .replace('/outputs', join(folder, name))
        // biome-ignore lint/suspicious/noTemplateCurlyInString: Compose's own.
        .replace('https://${FLEET_HOST:-localhost}', origin)
        .replace(/0\.0\.0\.0|127\.0\.0\.1(?=:9090)/, HOSTS[name])
        .replace('10.50.51.0/24', '127.0.0.0/8')
        .replace(':50051', `:${ports.storage}`)
        .replace(':9090', `:${ports.ops}`),
    ]);
    return Object.fromEntries(local);
  }

  async function startDaemon(name: Name): Promise<void> {
    await mkdir(join(folder, name), { recursive: true });
    const child = spawn(process.execPath, [COMMAND, 'serve', '--log-level', 'error'], {
      cwd: join(folder, name),
      env: { ...process.env, ...environmentOf(name) },
      stdio: ['ignore', 'ignore', 'inherit'],
    });
    children.set(name, child);
    running.defer(() => end(child));
    await untilAnswered(`http://${HOSTS[name]}:${ports.ops}/readyz`, child);
  }

  async function startProxy(): Promise<void> {
    const certificates = createCa(folder, 'ca');
    ca = certificates.cert;
    const server = createCertificate(folder, 'server', certificates);
    const [source] = compose.services.proxy.volumes[0].split(':') as [string];
    const example = readFileSync(resolve('examples/compose', source), 'utf8');
    await caddy.check(join(folder, 'caddy-example'), example);
    let config = example
      .replace('{$FLEET_HOST:localhost} {', `${origin} {\n\ttls ${server.cert} ${server.key}`)
      .replaceAll(':50051', `:${ports.storage}`)
      .replace('health_port 9090', `health_port ${ports.ops}`);
    for (const name of DAEMONS) config = config.replaceAll(name, HOSTS[name]);
    const place = join(folder, 'caddy');
    await caddy.check(place, config);
    running.use(await caddy.start(place, config, ports.proxy));
  }

  const listed = async (by: ImageStorageClient) => {
    const images: string[] = [];
    for await (const { filename } of by.list()) images.push(filename);
    return images;
  };
  const image = (seed: number) => pngOf({ width: 24, height: 24, seed });
  const counted = async (name: Name, metric: string, labels: Record<string, string>) => {
    const text = await (await fetch(`http://${HOSTS[name]}:${ports.ops}/metrics`)).text();
    return sampleOf(parseExposition(text), metric, labels) ?? 0;
  };
  const savedBy = (name: Name) => counted(name, 'grpc_server_handled_total', { grpc_method: 'Save', grpc_code: 'OK' });
  let filenames: string[];

  it('saves through its one address, at all daemons, and lists the same at each of them', async () => {
    const saves = Array.from({ length: 18 }, (_, seed) =>
      client.save(image(seed), { prompt: 'a fleet', model: 'flux' }),
    );
    filenames = (await Promise.all(saves)).map(({ filename }) => filename);
    for (const name of DAEMONS) {
      expect((await listed(own[name])).toSorted()).toEqual(filenames.toSorted());
      expect(await savedBy(name)).toBeGreaterThan(0);
      expect(await own[name].stats()).toMatchObject([{ count: 18 }]);
    }
    expect(await listed(client)).toEqual(await listed(own['storage-1']));
  });

  it('opens at one daemon a link that another has signed', async () => {
    const [filename] = filenames as [string];
    const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' };
    const plain = (name: Name, url: string) => `http://${HOSTS[name]}:${ports.storage}${url}`;
    const answer = await fetch(plain('storage-1', '/sign'), {
      method: 'POST',
      headers,
      body: JSON.stringify({ filename }),
    });
    const { url } = (await answer.json()) as { url: string };
    expect(url.startsWith(`${origin}/outputs/images/`)).toBe(true);
    const path = url.slice(origin.length);
    for (const name of DAEMONS) {
      const opened = await fetch(plain(name, path));
      expect([opened.status, Buffer.from(await opened.arrayBuffer()).equals(image(0))]).toEqual([200, true]);
    }
    expect((await fetch(plain('storage-2', path.replace(/\?.*/, '')))).status).toBe(401);
  });

  it('tells what its index does', async () => {
    const provider = 's3';
    const idle = await counted('storage-2', 'image_storage_index_connections', {
      provider,
      kind: 'write',
      state: 'idle',
    });
    expect(idle).toBeGreaterThan(0);
    expect(await counted('storage-2', 'image_storage_index_rows_waiting', { provider })).toBe(0);
    const written = { provider, kind: 'write', outcome: 'ok' };
    expect(await counted('storage-2', 'image_storage_index_transaction_seconds_count', written)).toBeGreaterThan(0);
    const compared = await Promise.all(
      DAEMONS.map((name) =>
        counted(name, 'image_storage_chore_runs_total', { provider, chore: 'index', outcome: 'done' }),
      ),
    );
    expect(Math.min(...compared)).toBeGreaterThan(0);
  });

  it('saves through its one address while Postgres is away, and lists that once it is back', async () => {
    await postgres.halt('SIGINT');
    await expect.poll(async () => (await fetch(`http://${HOSTS['storage-1']}:${ports.ops}/readyz`)).status).toBe(503);
    const { filename } = await client.save(image(99), { prompt: 'without an index', model: 'flux' });
    expect((await client.get(filename)).image.filename).toBe(filename);
    const impatient = connect(origin, { token, caFile: ca, retries: 0 });
    await expect(listed(impatient)).rejects.toMatchObject({ reason: 'INDEX_UNAVAILABLE' });
    impatient.close();
    await postgres.start();
    filenames.push(filename);
    await expect.poll(() => listed(client)).toHaveLength(filenames.length);
  });

  it(`loses none of ${SAVES} saves where a daemon is killed among them, and makes none twice`, async () => {
    const wanted = Array.from({ length: SAVES }, (_, at) => at + 100);
    const saved: SavedImage[] = [];
    const until = (count: number) =>
      expect.poll(() => saved.length, { interval: 5, timeout: 60_000 }).toBeGreaterThanOrEqual(count);
    const victim = children.get('storage-3')!;
    const saver = async () => {
      for (let seed = wanted.pop(); seed !== undefined; seed = wanted.pop()) {
        saved.push(await client.save(image(seed), { prompt: `image ${seed}`, model: 'flux' }));
      }
    };
    const saving = Promise.all(Array.from({ length: AT_ONCE }, saver));
    await until(10);
    // So that it is busy with calls when it dies, whatever this machine is busy with.
    victim.kill('SIGSTOP');
    await until(20);
    retries.length = 0;
    victim.kill('SIGKILL');
    await once(victim, 'exit');
    expect(saved.length).toBeLessThan(SAVES);
    await saving;
    expect(retries.length).toBeGreaterThan(0);
    const all = [...filenames, ...saved.map(({ filename }) => filename)].toSorted();
    expect(new Set(all).size).toBe(filenames.length + SAVES);
    for (const name of ['storage-1', 'storage-2'] as const) expect((await listed(own[name])).toSorted()).toEqual(all);
    await startDaemon('storage-3');
    expect((await listed(own['storage-3'])).toSorted()).toEqual(all);
    for (const { filename } of saved.slice(0, 5))
      expect((await own['storage-3'].get(filename)).image.filename).toBe(filename);
  });
});

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill('SIGTERM');
  await once(child, 'exit');
}

async function untilAnswered(url: string, child: ChildProcess): Promise<void> {
  for (;;) {
    const status = await fetch(url).then(
      (answer) => answer.status,
      () => undefined,
    );
    if (status !== undefined && status !== 503) return;
    if (child.exitCode !== null) throw new Error(`${child.spawnfile} ended with ${child.exitCode}`);
    await sleep(50);
  }
}
