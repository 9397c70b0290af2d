/** `image-storage catalog upgrade` and `downgrade`: what they show, ask for, and leave to other versions. */
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { beforeEach, expect, it, onTestFinished } from 'vitest';
import { EXIT } from '../../src/exit-codes.ts';
import { createStorage, type ProviderSettings, type Storage } from '../../src/storage/index.ts';
import { COMMAND } from '../support/command.ts';
import { pngOf } from '../support/images.ts';
import { type S3FaultServer, startS3FaultServer } from '../support/s3-fault-server.ts';

const FORMAT = 'outputs/metadata/FORMAT';
const SNAPSHOT = 'outputs/metadata/snapshots/1/2026-01-01/sdxl/20260101_000000_sdxl_abcdef.png.1.0.ndjson.zst';

let folder: string;
let server: S3FaultServer;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'image-storage-format-'));
  server = await startS3FaultServer();
  onTestFinished(async () => {
    await server[Symbol.asyncDispose]();
    await rm(folder, { recursive: true });
  });
});

const inBucket = (settings: object = {}): ProviderSettings => ({
  ...server.settings,
  type: 's3',
  stateDir: join(folder, 'state'),
  ...settings,
});
const formatIn = () => JSON.parse(`${server.bucket.get(FORMAT)!.bytes}`);

async function within<T>(main: ProviderSettings, work: (storage: Storage) => Promise<T>): Promise<T> {
  const storage = await createStorage({ providers: { main } });
  return work(storage).finally(() => storage.close());
}

/** Returns the filename of an image that is live and of one that is in the trash. */
function filled(main: ProviderSettings): Promise<string[]> {
  return within(main, async (storage) => {
    const save = (seed: number) => storage.save(pngOf({ width: 8, height: 8, seed }), { prompt: '', model: 'm' });
    const [kept, deleted] = [await save(1), await save(2)];
    await storage.delete(deleted.filename);
    return [kept.filename, deleted.filename];
  });
}

const namesIn = (main: ProviderSettings) =>
  within(main, async (storage) => (await storage.list()).map(({ filename }) => filename).sort());

async function run(main: ProviderSettings, ...command: string[]) {
  const config = join(folder, 'config.json');
  await writeFile(config, JSON.stringify({ providers: { main } }));
  const line = [COMMAND, 'catalog', ...command, '--config', config];
  const child = spawn(process.execPath, line, { stdio: ['ignore', 'pipe', 'pipe'] });
  const exited = new Promise<number | null>((resolve) => child.on('close', resolve));
  const [stdout, stderr, exitCode] = await Promise.all([text(child.stdout), text(child.stderr), exited]);
  return { stdout, stderr, exitCode };
}

it('shows what is in the trash of a bucket, and leaves it to older versions once that is empty', async () => {
  const main = inBucket({ trash: { days: 3 } });
  const [kept, deleted] = await filled(main);
  server.bucket.set(SNAPSHOT, server.bucket.get(FORMAT)!);
  const refused = await run(main, 'downgrade');
  expect(refused).toMatchObject({ exitCode: EXIT.NEGATIVE, stdout: expect.stringContaining(deleted!) });
  expect(refused.stderr).toMatch(/1 image .* in the trash: .*--restore-trash.*--purge-trash/);
  expect(formatIn()).toMatchObject({ version: 2 });
  expect(server.bucket.has(SNAPSHOT)).toBe(true);
  expect(await run(main, 'downgrade', '--restore-trash')).toMatchObject({ exitCode: EXIT.OK });
  expect(server.bucket.has(SNAPSHOT)).toBe(false);
  const { storeId } = formatIn();
  expect(formatIn()).toEqual({ format: 'image-storage', version: 1, storeId });
  expect(existsSync(join(folder, 'state', 'main.catalog.db'))).toBe(false);
  expect(await namesIn(inBucket())).toEqual([kept, deleted].sort());
});

it('leaves a folder to older versions, whose next start builds the catalog again', async () => {
  const main: ProviderSettings = { type: 'local', basePath: join(folder, 'outputs') };
  const [kept] = await filled(main);
  expect(await run(main, 'downgrade', '--purge-trash')).toMatchObject({ exitCode: EXIT.OK });
  expect(existsSync(join(folder, 'outputs/metadata/REBUILD'))).toBe(true);
  expect(await namesIn(main)).toEqual([kept]);
});

it('gives a bucket that several daemons use a trash', async () => {
  await filled(inBucket());
  const main = inBucket({ shared: true, trash: { days: 3 } });
  expect(formatIn()).toMatchObject({ version: 1 });
  expect(await run(main, 'upgrade')).toMatchObject({ exitCode: EXIT.OK });
  expect(formatIn()).toMatchObject({ version: 2, needs: ['trash'] });
  const [, deleted] = await filled(main);
  const inTrash = await within(main, async (storage) => (await storage.listTrash()).map(({ filename }) => filename));
  expect(inTrash).toEqual([deleted]);
});
