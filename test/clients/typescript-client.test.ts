/** The TypeScript client on the oldest Node that it supports, as installed from the package. */
import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { installPackage } from '../release/installed-package.ts';
import { builtOnce, kept } from '../support/built-once.ts';
import { snippets } from '../support/clients-page.ts';
import { imagesIn } from '../support/examples.ts';
import { pngOf } from '../support/images.ts';
import { requires } from '../support/requires.ts';
import { type RunningDaemon, runDaemon } from '../support/running-daemon.ts';

const OLDEST = '22.12.0';

const run = promisify(execFile);
const oldest = await builtOnce(kept(`node-${OLDEST}`), async (folder) => {
  await writeFile(join(folder, 'package.json'), '{}');
  await run('npm', ['install', '--no-audit', '--no-fund', `node@${OLDEST}`], { cwd: folder });
}).catch((error) => {
  console.warn(`no Node ${OLDEST} here:`, error.message);
  return undefined;
});

let folder: string;
let daemon: RunningDaemon;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'image-storage-node-'));
  daemon = await runDaemon();
});
afterAll(async () => {
  await daemon.close();
  await rm(folder, { recursive: true });
});

requires(`Node ${OLDEST} from npm`, oldest !== undefined)(`Node ${OLDEST}`, () => {
  const node = () => join(oldest!, 'node_modules/node/bin/node');

  it('runs the program of docs/clients.md, and says in one sentence that there is no daemon', async () => {
    const { app } = await installPackage(folder);
    await writeFile(join(app, 'fox.png'), pngOf({ width: 32, height: 32 }));
    const inApp = async (program: string) => {
      // The program has no types of its own.
      await writeFile(join(app, 'save.mjs'), program);
      return run(node(), ['save.mjs'], { cwd: app });
    };
    const [program] = await snippets('ts', daemon.address);
    const { stdout } = await inApp(program!);
    const [saved] = await imagesIn(daemon);
    expect(stdout).toBe(`http://${daemon.address}${saved?.url}\n`);
    const [nowhere] = await snippets('ts', '127.0.0.1:1');
    await expect(inApp(nowhere!)).rejects.toThrow('no daemon at 127.0.0.1:1: connection refused');
  });
});
