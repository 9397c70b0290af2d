/** `image-storage catalog rebuild`, and the same in the library: the catalog again from the records, of any provider. */
import { spawnSync } from 'node:child_process';
import { mkdtemp, readdir, rename, rm, unlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { EXIT } from '../../src/exit-codes.ts';
import type { Storage, StorageConfig } from '../../src/storage/index.ts';
import { openStorage } from '../../src/storage/storage.ts';
import { COMMAND } from '../support/command.ts';
import { startDaemonProcess } from '../support/daemon-process.ts';
import { pngOf } from '../support/images.ts';

it('is refused while a daemon has the store, and rebuilds it once that has stopped', async () => {
  const folder = await emptyFolder();
  const basePath = join(folder, 'outputs');
  await saved({ providers: { local: { basePath } } }, 3);
  const config = join(folder, 'config.yaml');
  await writeFile(config, `providers: { local: { basePath: ${JSON.stringify(basePath)} } }\n`);
  const rebuild = (...flags: string[]) =>
    spawnSync(process.execPath, [COMMAND, 'catalog', 'rebuild', '--config', config, ...flags], { encoding: 'utf8' });

  const daemon = await startDaemonProcess(basePath);
  expect(rebuild()).toMatchObject({ status: EXIT.LOCKED, stderr: expect.stringContaining('another process has') });
  await daemon.stop('SIGTERM');

  for (const name of ['other', 'constructor']) expect(rebuild('--provider', name).status).toBe(EXIT.USAGE);
  expect(rebuild()).toMatchObject({ status: EXIT.OK, stdout: expect.stringMatching(/^local: 3 images/) });
  const aside = (await readdir(join(basePath, 'metadata'))).filter((name) => name.startsWith('catalog-lost-'));
  expect(aside.length).toBeGreaterThan(0);

  const records = join(basePath, 'metadata/generations');
  await rename(records, `${records}-away`);
  expect(rebuild()).toMatchObject({ status: EXIT.CONFIG, stderr: expect.stringContaining('has no records') });
  await rm(records, { recursive: true, force: true });
  await rename(`${records}-away`, records);
  expect(rebuild()).toMatchObject({ status: EXIT.OK, stdout: expect.stringMatching(/^local: 3 images/) });
});

it.each(['local', 'memory'] as const)(
  'of %s finds what the records tell, and forgets what they do not',
  async (type) => {
    const folder = await emptyFolder();
    const place =
      type === 'local'
        ? { basePath: join(folder, 'outputs') }
        : { type, bucket: new Map(), stateDir: join(folder, 'state') };
    const config: StorageConfig = { providers: { main: { type, ...place } as never } };
    const filenames = await saved(config, 3);
    await withStorage(config, async (storage) => expect(await storage.delete(filenames[0]!)).toBe(true));
    if (type === 'local') await unlink(await recordOf(folder, filenames[1]!));

    await withStorage(config, async (storage) => expect((await storage.list()).length).toBe(2));
    const left = type === 'local' ? [filenames[2]] : filenames.slice(1);
    await withStorage(
      config,
      async (storage) => {
        expect((await storage.list()).map(({ filename }) => filename).sort()).toEqual([...left].sort());
        expect((await storage.getStatistics())[0]).toMatchObject({ count: left.length });
      },
      { rebuildCatalog: true },
    );
  },
);

async function emptyFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'image-storage-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  return folder;
}

async function withStorage(
  config: StorageConfig,
  work: (storage: Storage) => Promise<void>,
  dependencies: Parameters<typeof openStorage>[1] = {},
): Promise<void> {
  const storage = await openStorage(config, dependencies);
  try {
    await work(storage);
  } finally {
    await storage.close();
  }
}

async function saved(config: StorageConfig, count: number): Promise<string[]> {
  const filenames: string[] = [];
  await withStorage(config, async (storage) => {
    for (let seed = 0; seed < count; seed += 1) {
      const { filename } = await storage.save(pngOf({ width: 8, height: 8, seed }), { prompt: '', model: 'flux' });
      filenames.push(filename);
    }
  });
  return filenames;
}

async function recordOf(folder: string, filename: string): Promise<string> {
  const records = join(folder, 'outputs/metadata/generations');
  const found = (await readdir(records, { recursive: true })).find((path) => path.endsWith(`${filename}.json`));
  return join(records, found!);
}
