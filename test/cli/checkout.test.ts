/** A checkout runs as the README says, by npm and from its sources; all other tests start the bundle. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { expect, it, onTestFinished } from 'vitest';
import { pngOf } from '../support/images.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

it('serves by npm, and takes files from where somebody stands who runs the command by it', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'image-storage-checkout-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  await writeFile(join(folder, 'near.png'), pngOf({ width: 8, height: 6 }));
  const env = { ...process.env, npm_config_update_notifier: 'false' };
  // npm looks for the checkout itself, from a folder of it; here its path is given.
  const npm = (...args: string[]) =>
    spawn('npm', ['--prefix', ROOT, ...args], { cwd: folder, env, stdio: ['ignore', 'pipe', 'inherit'] });

  const daemon = npm('start', '--', '--listen', '127.0.0.1:0', '--base-path', join(folder, 'outputs'));
  onTestFinished(() => void daemon.kill('SIGKILL'));
  const address = await new Promise<string>((resolve) => {
    createInterface({ input: daemon.stdout }).on('line', (line) => {
      const match = /^ImageStorage listens on (.+)$/.exec(line);
      if (match) resolve(match[1]!);
    });
  });
  const saving = npm('run', '--silent', 'cli', '--', 'save', 'near.png', '--address', address);
  expect(await text(saving.stdout)).toMatch(/^saved /);
  const listing = npm('run', '--silent', 'cli', '--', 'list', '--json', '--address', address);
  expect(JSON.parse(await text(listing.stdout))).toMatchObject({ width: 8, height: 6 });
  daemon.kill('SIGTERM');
  expect(await once(daemon, 'exit')).toEqual([0, null]);
});
