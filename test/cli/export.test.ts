/** `image-storage export`: what it writes, what it leaves, and what it does about an image that fails. */
import { spawn } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { connect, type ImageStorageClient, type SavedImage } from '../../src/client.ts';
import { EXIT } from '../../src/exit-codes.ts';
import { COMMAND } from '../support/command.ts';
import { pngOf } from '../support/images.ts';
import { type RunningDaemon, runDaemon } from '../support/running-daemon.ts';

const bytesOf = (seed: number) => pngOf({ width: 8, height: 8, seed, sizeBytes: 300_000 });

let folder: string;
let daemon: RunningDaemon;
let client: ImageStorageClient;
let images: SavedImage[];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'image-storage-export-'));
  daemon = await runDaemon({
    IMAGE_STORAGE_PROVIDERS_ARCHIVE_TYPE: 'local',
    IMAGE_STORAGE_PROVIDERS_ARCHIVE_BASE_PATH: join(folder, 'archive'),
  });
  client = connect(daemon.address);
  images = [];
  for (const [seed, prompt] of ['a red fox', 'a fox in snow', 'a crow'].entries()) {
    const timestamp = new Date(`2024-09-2${seed + 1}T12:00:00Z`);
    images.push(await client.save(bytesOf(seed), { prompt, model: 'flux', timestamp }));
  }
});
afterAll(async () => {
  client.close();
  await daemon.close();
  await rm(folder, { recursive: true });
});

async function exported(target: string, ...flags: string[]) {
  const command = [COMMAND, 'export', target, ...flags, '--address', daemon.address];
  const child = spawn(process.execPath, command, { cwd: folder });
  const ended = new Promise<number | null>((resolve) => child.on('close', resolve));
  const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr)]);
  return { stdout, stderr, exitCode: await ended };
}

const names = (chosen: SavedImage[]) => chosen.map(({ filename }) => filename).sort();
const filesIn = async (target: string) => (await readdir(join(folder, target))).sort();

describe('export', () => {
  it('writes what matches, whole and with its time, and goes on where it ended', async () => {
    const first = await exported('foxes', '--query', 'fox');
    expect(first).toEqual({ exitCode: EXIT.OK, stdout: 'exported 2 images, 600 kB\n', stderr: '' });
    expect(await filesIn('foxes')).toEqual(names(images.slice(0, 2)));
    const file = join(folder, 'foxes', images[0]!.filename);
    expect(await readFile(file)).toEqual(bytesOf(0));
    expect((await stat(file)).mtime).toEqual(new Date('2024-09-21T12:00:00Z'));

    await rm(file);
    const second = await exported('foxes', '--json');
    expect(JSON.parse(second.stdout)).toEqual({
      summary: { exported: 2, exportedBytes: 600_000, present: 1, failed: 0 },
    });
    expect(await filesIn('foxes')).toEqual(names(images));
  });

  it('leaves a file that is another, says so, and writes the rest', async () => {
    await exported('mine', '--query', 'crow');
    await writeFile(join(folder, 'mine', images[2]!.filename), 'precious');
    const { stdout, stderr, exitCode } = await exported('mine');
    expect([exitCode, stdout]).toEqual([EXIT.IO, 'exported 2 images, 600 kB; 1 failed\n']);
    expect(stderr).toBe(`image-storage: ${join('mine', images[2]!.filename)} is another file, and stays\n`);
    expect(await readFile(join(folder, 'mine', images[2]!.filename), 'utf8')).toBe('precious');
  });

  it('names an image that is damaged, writes the rest, and leaves no part of a file', async () => {
    const damaged = await client.save(bytesOf(9), { model: 'bad' });
    await writeFile(damaged.path!, Buffer.alloc(300_000));
    const { stdout, stderr, exitCode } = await exported('rest');
    expect([exitCode, stdout]).toEqual([EXIT.IO, 'exported 3 images, 900 kB; 1 failed\n']);
    expect(stderr).toMatch(new RegExp(`^image-storage: ${damaged.filename}: .*not those that were saved`));
    expect(await filesIn('rest')).toEqual(names(images));
    await client.delete(damaged.filename, { permanent: true });
  });

  it('keeps the images of several providers apart', async () => {
    for await (const _ of client.copy({ from: 'local', to: 'archive' }));
    await exported('all', '--provider', '*', '--query', 'crow');
    expect(await filesIn('all')).toEqual(['archive', 'local']);
    for (const provider of ['archive', 'local']) {
      expect(await readFile(join(folder, 'all', provider, images[2]!.filename))).toEqual(bytesOf(2));
    }
  });

  it('says what there is where nothing matches', async () => {
    const { stdout, stderr, exitCode } = await exported('none', '--model', 'flax');
    expect([exitCode, stdout]).toEqual([EXIT.OK, 'exported 0 images, 0 B\n']);
    expect(stderr).toContain('flux');
  });
});
