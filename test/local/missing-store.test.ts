/** A base path without its store: a new one is said aloud or refused, and one that vanishes is refused to every call. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { text } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, it, onTestFinished } from 'vitest';
import { EXIT } from '../../src/exit-codes.ts';
import { createStorage, type Storage } from '../../src/storage/index.ts';
import { openStorage } from '../../src/storage/storage.ts';
import { diagnose } from '../doctor/diagnosis.ts';
import { collect } from '../support/bytes.ts';
import { COMMAND } from '../support/command.ts';
import { filesBelow } from '../support/files.ts';
import { pngOf } from '../support/images.ts';
import { verified } from '../support/maintained-store.ts';
import { canMountTmpfs, openTmpfs, works } from '../support/mounts.ts';
import { requires } from '../support/requires.ts';
import { startS3FaultServer } from '../support/s3-fault-server.ts';

const PNG = pngOf({ width: 8, height: 8 });
const FOX = { prompt: 'a red fox', model: 'flux-schnell' };
/** For so long reads trust the last look at the folder. */
const FRESH_MS = 1100;

async function newFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'image-storage-missing-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

/** Runs `serve` until it greets or ends. */
function serve(basePath: string, flags: string[] = [], env: NodeJS.ProcessEnv = {}) {
  return serveWith(['--base-path', basePath, ...flags], env);
}

async function serveWith(flags: string[], env: NodeJS.ProcessEnv = {}) {
  const args = [COMMAND, 'serve', '--listen', '127.0.0.1:0', ...flags];
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, ...env } });
  const exit = once(child, 'exit') as Promise<[number | null]>;
  const stderr = text(child.stderr);
  const lines: string[] = [];
  for await (const line of createInterface({ input: child.stdout })) {
    lines.push(line);
    if (line.startsWith('ImageStorage listens on ')) child.kill('SIGTERM');
  }
  return { exitCode: (await exit)[0], stdout: lines.join('\n'), stderr: await stderr };
}

it('says aloud, once, that the store is new, and where', async () => {
  const basePath = join(await newFolder(), 'outputs');
  const first = await serve(basePath);
  expect(first.stderr).toContain(`a new store was made in ${basePath}; if it had one, is its disk mounted?`);
  const second = await serve(basePath, ['--no-create']);
  expect(second).toMatchObject({ exitCode: EXIT.OK });
  expect(second.stdout + second.stderr).not.toContain('new store');
});

it.each([
  ['by --no-create', ['--no-create'], {}],
  ['by create: false', [], { IMAGE_STORAGE_PROVIDERS_LOCAL_CREATE: 'false' }],
])('refuses %s with 78 to make one, names the path and makes nothing', async (_, flags, env) => {
  const basePath = await newFolder();
  const refused = await serve(basePath, flags, env);
  expect(refused).toMatchObject({ exitCode: EXIT.CONFIG, stdout: '' });
  expect(refused.stderr).toContain(`there is no store in ${basePath}`);
  expect(refused.stderr).toContain('is its disk mounted?');
  expect(await readdir(basePath)).toEqual([]);
});

it('refuses every bucket without a store by --no-create, and doctor by create: false', async () => {
  await using server = await startS3FaultServer();
  const [folder, s3] = [await newFolder(), { ...server.settings, stateDir: await newFolder() }];
  const config = join(folder, 'config.json');
  await writeFile(config, JSON.stringify({ providers: { s3 } }));
  const refused = await serveWith(['--config', config, '--no-create']);
  expect(refused).toMatchObject({ exitCode: EXIT.CONFIG, stdout: '' });
  const told = /there is no store in .*, and none may be made: is it the right bucket and prefix\?/;
  expect(refused.stderr).toMatch(told);
  expect(Object.values(await diagnose({ ...s3, create: false }))).toContainEqual(expect.stringMatching(told));
  expect(server.bucket.size).toBe(0);
});

it('refuses a bucket without a store in process, too, when told so', async () => {
  const stateDir = await newFolder();
  const bucket = new Map();
  const open = (create: boolean) =>
    createStorage({ providers: { memory: { type: 'memory', bucket, stateDir, create } } });
  await expect(open(false)).rejects.toMatchObject({ kind: 'config', message: expect.stringMatching(/no store in/) });
  expect(bucket.size).toBe(0);
  await (await open(true)).close();
  await (await open(false)).close();
});

it('is asked about by the doctor, which fails where none may be made', async () => {
  const basePath = await newFolder();
  const told = new RegExp(`in ${basePath}; if it had one, is its disk mounted\\?$`);
  expect((await diagnose({ type: 'local', basePath })).store).toMatch(told);
  expect((await diagnose({ type: 'local', basePath, create: false })).store).toMatch(
    new RegExp(`^failed: there is no store in ${basePath}, .*is its disk mounted\\?$`),
  );
});

interface Vanishing {
  storage: Storage;
  filename: string;
  logged: string[];
}

async function openWithImage(basePath: string): Promise<Vanishing> {
  const logged: string[] = [];
  const log = { debug() {}, info() {}, warn() {}, error: (_: object, message: string) => void logged.push(message) };
  const archive = { type: 'local', basePath: await newFolder() } as const;
  const storage = await openStorage({ providers: { local: { basePath, lockWaitSeconds: 0 }, archive } }, { log });
  onTestFinished(() => storage.close());
  const { filename } = await storage.save(PNG, FOX);
  await storage.save(PNG, FOX, { provider: 'archive' });
  return { storage, filename, logged };
}

async function collectEvents(events: AsyncIterable<unknown>): Promise<void> {
  for await (const _ of events);
}

/** Every rpc that reads or changes images. */
async function expectReplaced({ storage, filename, logged }: Vanishing, basePath: string): Promise<void> {
  const replaced = { code: 'failed_precondition', reason: 'STORE_REPLACED' };
  await sleep(FRESH_MS);
  await expect(storage.get(filename).then(({ body }) => collect(body))).rejects.toMatchObject(replaced);
  await expect(storage.list().then((items) => items)).rejects.toMatchObject(replaced);
  await expect(storage.getStatistics()).rejects.toMatchObject(replaced);
  await expect(storage.delete(filename)).rejects.toMatchObject(replaced);
  await expect(storage.cleanup({ keepCount: 0 })).rejects.toMatchObject(replaced);
  await expect(verified(storage)).rejects.toMatchObject(replaced);
  for (const [from, to] of [
    ['local', 'archive'],
    ['archive', 'local'],
  ]) {
    await expect(collectEvents(storage.copy({ from: from!, to: to! }))).rejects.toMatchObject(replaced);
  }
  expect(await storage.getStatistics('archive')).toMatchObject([{ count: 1 }]);
  const refusal: Error = await storage.save(PNG, FOX).catch((error) => error);
  expect(refusal).toMatchObject(replaced);
  expect(refusal.message).toContain('is its disk mounted?');
  expect(refusal.message).not.toContain(basePath);
  expect(storage.health().local).toMatchObject({ serving: false, place: basePath });
  expect(logged).toEqual([expect.stringMatching(new RegExp(`^${basePath} is gone or another folder: .*mounted\\?`))]);
}

it.each([
  ['gone', async (_: string) => {}],
  ['an empty folder', (path: string) => mkdir(path)],
  [
    'another store',
    async (path: string) => {
      await mkdir(join(path, 'metadata'), { recursive: true });
      await writeFile(join(path, 'metadata/FORMAT'), '{"format":"image-storage","version":1,"storeId":"x"}\n');
    },
  ],
])('is STORE_REPLACED for every call once the folder is %s', async (_, replace) => {
  const basePath = join(await newFolder(), 'outputs');
  const vanishing = await openWithImage(basePath);
  await rename(basePath, `${basePath}-away`);
  await replace(basePath);
  await expectReplaced(vanishing, basePath);
});

it('says STORE_REPLACED, not DATA_LOSS, when only the images are gone', async () => {
  const basePath = join(await newFolder(), 'outputs');
  const { storage, filename } = await openWithImage(basePath);
  await rename(join(basePath, 'images/generations'), join(basePath, 'away'));
  await expect(storage.get(filename).then(({ body }) => collect(body))).rejects.toMatchObject({
    reason: 'STORE_REPLACED',
  });
});

requires('root, to mount a tmpfs', canMountTmpfs)('of a disk', () => {
  it('that is unmounted while it runs: refuses every call, and a start with create: false', async () => {
    await using disk = await openTmpfs('size=16m');
    const vanishing = await openWithImage(disk.path);
    expect(works('umount', '--lazy', disk.path)).toBe(true);
    try {
      await expectReplaced(vanishing, disk.path);
      const again = createStorage({ providers: { local: { basePath: disk.path, create: false } } });
      await expect(again).rejects.toMatchObject({ kind: 'config', message: expect.stringContaining(disk.path) });
      expect(await filesBelow(disk.path)).toEqual([]);
    } finally {
      works('mount', '-t', 'tmpfs', 'none', disk.path);
    }
  });
});
