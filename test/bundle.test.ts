/** The bundle works alone: worker threads, lazily loaded parts and the command, without sources or packages beside it. */
import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { buildBundle } from './support/bundle.ts';
import { type DaemonProcess, startDaemonProcess } from './support/daemon-process.ts';
import { pngOf } from './support/images.ts';

const run = promisify(execFile);

let folder: string;
let command: string;
let daemon: DaemonProcess;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'image-storage-bundle-'));
  command = await buildBundle(folder);
  daemon = await startDaemonProcess(join(folder, 'outputs'), { command, listen: `unix:${folder}/socket` });
});
afterAll(async () => {
  expect(await daemon.stop('SIGTERM')).toBe(0);
  await rm(folder, { recursive: true });
});

it('serves and is served by the bundled command over a Unix socket', async () => {
  const cli = (...args: string[]) =>
    run(process.execPath, [command, ...args, '--address', daemon.address], { cwd: folder });
  await writeFile(join(folder, 'fox.png'), pngOf({ width: 32, height: 32 }));
  await cli('health');
  await cli('save', 'fox.png', '--prompt', 'a red fox');
  const { stdout } = await cli('list', '--query', 'fox', '--json');
  expect(JSON.parse(stdout)).toMatchObject({ prompt: 'a red fox', width: 32 });
});

it('serves as a library in process', async () => {
  const script = `
    import { createStorage } from '${join(folder, 'dist/index.js')}';
    const config = { defaultProvider: 'local', providers: { local: { type: 'local', basePath: '${join(folder, 'library')}' } } };
    const storage = await createStorage(config);
    const bytes = Buffer.from('${pngOf({ width: 8, height: 8 }).toString('base64')}', 'base64');
    const { filename } = await storage.save(bytes, { prompt: '', model: 'flux' });
    console.log((await storage.list()).map((item) => item.filename).join() === filename);
    await storage.close();`;
  const { stdout } = await run(process.execPath, ['--input-type=module', '-e', script]);
  expect(stdout.trim()).toBe('true');
});
