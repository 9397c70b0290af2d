/** The Compose example, without an engine: Compose's own loader reads it, and the demo's build and generator run here. */
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { cp, mkdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { loadConfig } from '../../src/config.ts';
import { imagesIn } from '../support/examples.ts';
import { goTool } from '../support/go-tools.ts';
import { pythonWithGrpc } from '../support/python.ts';
import { requires } from '../support/requires.ts';
import { runDaemon } from '../support/running-daemon.ts';

const run = promisify(execFile);
const EXAMPLE = 'examples/compose';
/** The reference implementation of the Compose specification, which `docker compose` uses. */
const loader = goTool('compose-go', 'github.com/compose-spec/compose-go/v2/cmd', 'v2.16.2');
const python = await pythonWithGrpc();
const folder = mkdtempSync(join(tmpdir(), 'image-storage-compose-'));
afterAll(() => rmSync(folder, { recursive: true }));

interface Service {
  image: string;
  user: string;
  environment: Record<string, string>;
  build?: { context: string; dockerfile_inline: string };
  volumes: { source: string; target: string; read_only?: boolean }[];
  depends_on?: Record<string, { condition: string }>;
  stop_grace_period?: string;
  secrets?: { source: string }[];
}

interface Fleet {
  services: Record<string, Service>;
  secrets: Record<string, unknown>;
  networks: { default: { ipam: { config: { subnet: string }[] } } };
}

requires('Go, which builds the loader of Compose', loader.available)('Compose', () => {
  let program: string;
  beforeAll(async () => {
    program = await loader.build();
  }, 600_000);
  const load = async (...files: string[]): Promise<Record<string, Service>> => {
    const { stdout } = await run(program, ['-format', 'json', ...files], { cwd: EXAMPLE });
    return JSON.parse(stdout).services;
  };

  it('reads what one copies, which starts the daemon of this version', async () => {
    const { storage, ...others } = await load('compose.yaml');
    expect(others).toEqual({});
    const { version } = JSON.parse(readFileSync('package.json', 'utf8'));
    expect(storage!.image).toBe(`ghcr.io/imagestorage/imagestorage:${version.split('.', 2).join('.')}`);
    const { listen, shutdownGraceSeconds } = loadConfig({ flags: {}, env: storage!.environment });
    expect([storage!.environment.IMAGE_STORAGE_ADDRESS]).toEqual(listen);
    expect(Number.parseInt(storage!.stop_grace_period!, 10)).toBeGreaterThanOrEqual(shutdownGraceSeconds + 5);
  });

  it('adds a generator, which meets the daemon on its socket and reads its images', async () => {
    const { storage, generator } = await load('compose.yaml', 'demo.yaml');
    expect([generator!.user, generator!.environment.IMAGE_STORAGE_ADDRESS]).toEqual([
      storage!.user,
      storage!.environment.IMAGE_STORAGE_LISTEN,
    ]);
    const places = ({ volumes }: Service) => volumes.map(({ source, target }) => `${source}:${target}`);
    expect(places(generator!)).toEqual(places(storage!));
    expect(generator!.volumes.map(({ read_only = false }) => read_only)).toEqual([false, true]);
    expect(generator!.depends_on!.storage!.condition).toBe('service_healthy');
    for (const { build } of [storage!, generator!]) expect(resolve(build!.context)).toBe(process.cwd());
  });

  it('starts a fleet of equal daemons with one set of secrets, each in a file, behind one address', async () => {
    const { stdout } = await run(program, ['-format', 'json', 'fleet.yaml'], { cwd: EXAMPLE });
    const { services, secrets, networks } = JSON.parse(stdout) as Fleet;
    const daemons = Object.entries(services).filter(([name]) => name.startsWith('storage-'));
    expect(daemons.map(([name]) => name)).toEqual(['storage-1', 'storage-2', 'storage-3']);
    const [first, ...others] = daemons.map(([, { volumes: _, ...rest }]) => rest);
    for (const other of others) expect(other).toEqual(first);
    expect(new Set(daemons.map(([, { volumes }]) => volumes[0]!.source)).size).toBe(3);
    const { environment, stop_grace_period: grace } = first!;
    const plain = Object.entries(environment).filter(([name]) => !name.endsWith('_FILE'));
    const config = loadConfig({
      flags: {},
      env: {
        ...Object.fromEntries(plain),
        IMAGE_STORAGE_INSECURE: 'true',
        IMAGE_STORAGE_PROVIDERS_S3_SECRET_KEY: 'secret',
      },
    });
    expect(config.publicUrl).toBe('https://localhost');
    expect(config.http.trustedProxies).toEqual([networks.default.ipam.config[0]!.subnet]);
    expect([environment.IMAGE_STORAGE_ADDRESS]).toEqual(
      config.opsListen.map((each) => each.replace('0.0.0.0', '127.0.0.1')),
    );
    expect(Number.parseInt(grace!, 10)).toBeGreaterThanOrEqual(config.shutdownGraceSeconds + 5);
    const inFiles = Object.entries(environment).filter(([name]) => name.endsWith('_FILE'));
    const mounted = first!.secrets!.map(({ source }) => `/run/secrets/${source}`);
    expect(inFiles.map(([, path]) => path).toSorted()).toEqual(mounted.toSorted());
    expect(inFiles.map(([name]) => name)).toContain('IMAGE_STORAGE_AUTH_URL_KEYS_FILE');
    const used = Object.values(services).flatMap(({ secrets: of = [] }) => of.map(({ source }) => source));
    expect(new Set(used)).toEqual(new Set(Object.keys(secrets)));
    const page = readFileSync('docs/scaling.md', 'utf8');
    for (const name of Object.keys(secrets)) expect(page).toContain(`> secrets/${name}\n`);
    const caddyfile = readFileSync('examples/caddy/fleet.Caddyfile', 'utf8');
    for (const [name] of daemons) expect(caddyfile.match(new RegExp(`\\b${name}:50051`, 'g'))).toHaveLength(2);
    expect(config.listen).toEqual(['0.0.0.0:50051']);
    expect(caddyfile).toContain(`health_port ${config.opsListen[0]!.split(':')[1]}\n`);
  });

  it('shows what to add to the service of a generator', async () => {
    const [, shown] = /^#\n((?:# {3}.*\n)+)/m.exec(readFileSync(join(EXAMPLE, 'compose.yaml'), 'utf8'))!;
    const { generator } = parse(readFileSync(join(EXAMPLE, 'demo.yaml'), 'utf8')).services;
    const { build: _, restart: __, ...rest } = generator;
    expect(parse(shown!.replaceAll(/^# {3}/gm, ''))).toEqual(rest);
  });
});

describe('the build of the demo', () => {
  const inline: string = parse(readFileSync(join(EXAMPLE, 'demo.yaml'), 'utf8')).services.generator.build
    .dockerfile_inline;
  const copied = [...inline.matchAll(/^COPY (\S+) (\S+)$/gm)].map(([, from, to]) => [from!, to!] as const);

  it('copies what there is, and what .dockerignore lets through', () => {
    const allowed = readFileSync('.dockerignore', 'utf8').split('\n');
    for (const [from] of copied) expect([existsSync(from), allowed.includes(`!${from}`)]).toEqual([true, true]);
    expect(copied.length).toBe(2);
  });

  requires('python3 with venv and pip', python !== undefined)('with Python', () => {
    it('makes a generator that saves', async () => {
      for (const [from, to] of copied) {
        await mkdir(join(folder, to), { recursive: true });
        await cp(from, to === '.' ? join(folder, 'generate.py') : join(folder, to), { recursive: true });
      }
      const [, command] = /^RUN python (-m grpc_tools.*)$/m.exec(inline)!;
      await run('sh', ['-c', `exec "$0" ${command}`, python!], { cwd: folder });
      await using daemon = await runDaemon();
      const address = `unix:${daemon.socket}`;
      const generator = spawn(python!, ['-u', 'generate.py'], {
        cwd: folder,
        env: { ...process.env, IMAGE_STORAGE_ADDRESS: address },
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      const [line] = await once(createInterface({ input: generator.stdout }), 'line');
      generator.kill();
      await once(generator, 'exit');
      const [image] = await imagesIn(daemon);
      expect(line).toBe(`saved ${image!.path}`);
    });
  });
});
