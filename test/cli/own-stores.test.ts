/** Commands that open stores by themselves (`--config`): none makes one at a path where nobody expects it. */
import { spawn } from 'node:child_process';
import { mkdir, mkdtemp, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { EXISTING } from '../../src/cli/shared/own-daemon.ts';
import { EXIT } from '../../src/exit-codes.ts';
import { PROVIDER_TYPES } from '../../src/storage/factory.ts';
import { createStorage, type ProviderSettings } from '../../src/storage/index.ts';
import { COMMAND } from '../support/command.ts';
import { loseCatalog } from '../support/files.ts';
import { pngOf } from '../support/images.ts';
import { startS3FaultServer } from '../support/s3-fault-server.ts';

const COPY = ['copy', '--from', 'local', '--to', 'archive'];
const COMMANDS = [
  ['verify'],
  ['verify', '--provider', '*'],
  ['verify', '--provider', 'local', '--deep', '--repair'],
  ['verify', '--forget-missing', '--yes'],
  ['catalog', 'rebuild'],
  [...COPY, '--dry-run'],
  COPY,
  ['copy', '--from', 'local', '--to', 'local'],
];

let folder: string;
let basePath: string;
let archive: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'image-storage-own-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  [basePath, archive] = [join(folder, 'outputs'), join(folder, 'archive')];
});

/** Runs a command over a `local` provider and an `archive`; further settings are those of `local`. */
async function run(command: string[], settings: object = {}, ofArchive: object = {}) {
  const local = { type: 'local', basePath, ...settings };
  return runOver({ local, archive: { type: 'local', basePath: archive, ...ofArchive } }, command);
}

async function runOver(providers: Record<string, ProviderSettings>, command: string[]) {
  const config = join(folder, 'config.json');
  await writeFile(config, JSON.stringify({ defaultProvider: 'local', providers }));
  const child = spawn(process.execPath, [COMMAND, ...command, '--config', config], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const exited = new Promise<number | null>((resolve) => child.on('close', resolve));
  const [stdout, stderr, exitCode] = await Promise.all([text(child.stdout), text(child.stderr), exited]);
  return { stdout, stderr, exitCode };
}

async function saveTwo(): Promise<void> {
  const storage = await createStorage({ providers: { local: { basePath } } });
  for (const seed of [1, 2])
    await storage.save(pngOf({ width: 8, height: 8, seed, sizeBytes: 1000 }), { prompt: 'a fox', model: 'flux' });
  await storage.close();
}

it.each(PROVIDER_TYPES)('every setting that these commands change is one of the type $type', ({ settings }) => {
  expect(Object.keys(settings.shape)).toEqual(expect.arrayContaining(Object.keys(EXISTING)));
});

describe('where there is no store', () => {
  it.each(COMMANDS.map((command) => [command.join(' '), command]))(
    '%s says so, 78, and makes none',
    async (_, command) => {
      const missing = {
        stdout: '',
        stderr: expect.stringContaining(`there is no store in ${basePath}`),
        exitCode: EXIT.CONFIG,
      };
      const refused = await run(command);
      expect(refused).toMatchObject(missing);
      expect(refused.stderr).toContain('is its disk mounted?');
      expect(await readdir(folder)).not.toContain('outputs');
      // A mount point without its disk, of a provider that a daemon could do without.
      await mkdir(basePath);
      expect(await run(command, { required: false })).toMatchObject(missing);
      expect(await readdir(basePath)).toEqual([]);
    },
  );

  it.each(COMMANDS.slice(0, 5).map((command) => [command.join(' '), command]))(
    'nor does %s in a bucket',
    async (_, command) => {
      await using server = await startS3FaultServer();
      const local = { ...server.settings, stateDir: join(folder, 'state') };
      const refused = await runOver({ local }, command);
      expect(refused).toMatchObject({ stdout: '', exitCode: EXIT.CONFIG });
      expect(refused.stderr).toMatch(/there is no store in .*images.*is it the right bucket and prefix\?/);
      expect(server.bucket.size).toBe(0);
    },
  );

  it('copy makes that of its target, says where, and only once', async () => {
    await saveTwo();
    const made = `image-storage: a new store was made in ${archive}\n`;
    expect(await run(COPY)).toEqual({ stdout: 'copied 2 images, 2.0 kB\n', stderr: made, exitCode: EXIT.OK });
    const again = { stdout: 'copied 0 images, 0 B; 2 in archive already\n', stderr: '', exitCode: EXIT.OK };
    expect(await run(COPY)).toEqual(again);
  });

  it('copy does not make that of its target where its configuration forbids it', async () => {
    await saveTwo();
    const refused = await run(COPY, {}, { create: false });
    expect(refused).toMatchObject({ stdout: '', exitCode: EXIT.CONFIG });
    expect(refused.stderr).toContain(`there is no store in ${archive}`);
    expect(await readdir(folder)).not.toContain('archive');
  });
});

it.each([
  ['verify', '--provider', 'nowhere'],
  ['copy', '--from', 'local', '--to', 'nowhere'],
])('%s … of a provider that is not configured opens no store', async (...command) => {
  const refused = await run(command);
  expect(refused).toMatchObject({ stderr: expect.stringContaining('"nowhere"'), exitCode: EXIT.USAGE });
  expect(await readdir(folder)).toEqual(['config.json']);
});

it('catalog rebuild works where nothing but images and records is left', async () => {
  await saveTwo();
  await loseCatalog(basePath);
  await rm(join(basePath, 'metadata/FORMAT'));
  const { stdout, stderr, exitCode } = await run(['catalog', 'rebuild'], { create: false });
  expect({ stdout, exitCode }).toEqual({ stdout: 'local: 2 images, 2.0 kB\n', exitCode: EXIT.OK });
  expect(stderr).toContain('FORMAT is gone; it is written again with a new id');
  expect(stderr).not.toContain('new store');
  expect(await run(['verify', '--deep'])).toMatchObject({
    stdout: 'read 2 images, 2.0 kB; all sound\n',
    exitCode: EXIT.OK,
  });
});

it('verify --repair makes no store beside images whose metadata/ is gone, and says what helps', async () => {
  await saveTwo();
  await rename(join(basePath, 'metadata'), join(folder, 'away'));
  const refused = await run(['verify', '--repair']);
  expect(refused).toMatchObject({ stdout: '', exitCode: EXIT.CONFIG });
  expect(refused.stderr).toMatch(
    /images\/generations has images, and .*\/metadata no store.*: mount it or put it back/,
  );
  expect(await readdir(basePath)).toEqual(['images']);
  await rename(join(folder, 'away'), join(basePath, 'metadata'));
  expect((await run(['verify'])).exitCode).toBe(EXIT.OK);
});
