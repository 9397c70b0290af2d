/** The main job end to end: real images through the command line and a Python client of the proto alone, and found again. */
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, extname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { COMMAND } from '../support/command.ts';
import { type DaemonProcess, startDaemonProcess } from '../support/daemon-process.ts';
import { sharedImages } from '../support/images.ts';
import { WITH_PREVIEWS } from '../support/previews.ts';
import { pythonWithGrpc } from '../support/python.ts';
import { requires } from '../support/requires.ts';

const run = promisify(execFile);
const root = fileURLToPath(new URL('../..', import.meta.url));
const images = sharedImages();
const python = await pythonWithGrpc();

const NAME = /^\d{8}_\d{6}_[a-z0-9-]+_[0-9a-z]{6}\.(png|jpg|webp)$/;

requires('../shared/images', images.length > 0)('real images', () => {
  let folder: string;
  let daemon: DaemonProcess;
  const start = () => startDaemonProcess(join(folder, 'outputs'), { env: WITH_PREVIEWS });

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'image-storage-main-'));
    daemon = await start();
  });
  afterAll(async () => {
    expect(await daemon.stop('SIGTERM')).toBe(0);
    await rm(folder, { recursive: true });
  });

  /** What a command prints with --json. */
  const cli = async (...command: string[]) => {
    const args = [COMMAND, ...command, '--address', daemon.address, '--json'];
    const { stdout } = await run(process.execPath, args, { cwd: folder, maxBuffer: 64 << 20 });
    return stdout
      .split('\n')
      .filter(Boolean)
      .map((line) => JSON.parse(line));
  };
  const sha256Of = async (path: string) =>
    createHash('sha256')
      .update(await readFile(path))
      .digest('hex');

  it('the command line saves each under its name and gets the same bytes back', async () => {
    const saved = await cli('save', ...images.map((image) => image.path), '--category', 'real');
    expect(saved).toHaveLength(images.length);
    for (const [index, { path, bytes }] of images.entries()) {
      const { filename, path: stored, sha256 } = saved[index];
      expect(sha256).toBe(createHash('sha256').update(bytes).digest('hex'));
      expect(filename).toMatch(NAME);
      expect(extname(filename)).toBe(extname(path));
      const [day, slug] = stored.split('/').slice(-3);
      expect(stored).toBe(join(folder, 'outputs/images/generations', day, slug, filename));
      expect(filename).toContain(`${day.replaceAll('-', '')}_`);
      expect(filename).toContain(`_${slug}_`);
      expect(saved[index]).toMatchObject({ category: 'real', size: bytes.length, replayed: false });
      await run(
        process.execPath,
        [COMMAND, 'get', filename, '-o', `${basename(path)}-again`, '--address', daemon.address],
        { cwd: folder },
      );
      expect(await sha256Of(join(folder, `${basename(path)}-again`))).toBe(sha256);
      expect(await sha256Of(stored)).toBe(sha256);
    }
  });

  requires('python3 with venv and pip', python !== undefined)('Python', () => {
    it('with nothing but the proto saves each and gets the same bytes back', async () => {
      const stubs = join(folder, 'stubs');
      await mkdir(stubs);
      const proto = 'imagestorage/v1/image_storage.proto';
      await run(python!, [
        '-m',
        'grpc_tools.protoc',
        `-I${root}proto`,
        `--python_out=${stubs}`,
        `--grpc_python_out=${stubs}`,
        proto,
      ]);
      const script = join(root, 'test/cli/save_and_get.py');
      const { stdout } = await run(python!, [script, stubs, daemon.address, ...images.map((image) => image.path)]);
      const results = stdout
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line));
      expect(results).toHaveLength(images.length);
      for (const { filename, path, sent, stored, read, parameters } of results) {
        expect([stored, read]).toEqual([sent, sent]);
        expect(filename).toMatch(NAME);
        expect(await sha256Of(path)).toBe(sent);
        expect(parameters).toBe('{"seed": 18446744073709551615}');
      }
    });
  });

  it('List, query, Stats, Cleanup and Delete agree, before and after a restart', async () => {
    // Links have the port, which is another one after a restart.
    const list = async (...flags: string[]) => {
      const images = await cli('list', ...flags);
      return images.map(({ link: _, ...image }) => image);
    };
    // ThumbHashes come by themselves, some time after a save.
    await expect
      .poll(async () => (await list('--limit', '0')).filter(({ thumbHash }) => thumbHash === undefined), {
        timeout: 60_000,
      })
      .toEqual([]);
    const all = await list('--limit', '0');
    const agree = async () => {
      expect(await list('--limit', '0')).toEqual(all);
      const found = await list('--query', 'beautiful landsc');
      expect(found).toEqual(all.filter((image) => /beautiful/i.test(image.prompt) && /\blandsc/i.test(image.prompt)));
      expect(found.length).toBeGreaterThan(0);
      const [statistics] = await cli('stats');
      const models = Map.groupBy(all, (image) => image.model);
      expect(statistics.count).toBe(all.length);
      expect(statistics.byModel.map((group: { name: string }) => group.name).sort()).toEqual([...models.keys()].sort());
      for (const { name, count, bytes } of statistics.byModel) {
        const ours = models.get(name)!;
        expect([count, bytes]).toEqual([ours.length, ours.reduce((sum, image) => sum + image.size, 0)]);
      }
      const [plan] = await cli('cleanup', '--keep-count', '2', '--dry-run');
      expect(plan.filenames).toEqual(
        all
          .slice(2)
          .map((image) => image.filename)
          .reverse(),
      );
    };
    await agree();
    expect(await daemon.stop('SIGTERM')).toBe(0);
    daemon = await start();
    await agree();
  });

  it('what Cleanup and Delete took is gone, and the rest is not', async () => {
    const all = await cli('list', '--limit', '0');
    const [done] = await cli('cleanup', '--keep-count', '2', '--yes');
    const [newest, second] = all;
    await cli('delete', second.filename);
    const check = async () => {
      expect((await cli('list', '--limit', '0')).map((image) => image.filename)).toEqual([newest.filename]);
      for (const { path } of all.slice(1)) expect(existsSync(path)).toBe(false);
      expect((await cli('stats'))[0].count).toBe(1);
    };
    expect(done.deletedCount).toBe(all.length - 2);
    await check();
    await daemon.stop('SIGTERM');
    daemon = await start();
    await check();
  });
});
