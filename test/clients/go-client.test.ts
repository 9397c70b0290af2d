/** The Go client: formatted, vetted, generated from the contract as it is, and its own suite against daemons that it starts. */
import { execFile, spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';
import { requires } from '../support/requires.ts';
import { generatedDiff } from './generated.ts';

const run = promisify(execFile);
const root = fileURLToPath(new URL('../..', import.meta.url));
const folder = join(root, 'clients/go');
const available = spawnSync('go', ['mod', 'download'], { cwd: folder, stdio: 'ignore' }).status === 0;

requires('Go 1.26 and the modules of clients/go', available)('clients/go', () => {
  it('is formatted and vetted', { timeout: 600_000 }, async () => {
    for (const module of [folder, join(root, 'test/interop/go')]) {
      expect((await run('gofmt', ['-l', '.'], { cwd: module })).stdout).toBe('');
      await run('go', ['vet', './...'], { cwd: module });
    }
  });

  it('passes its tests', { timeout: 600_000 }, async () => {
    // What the daemon has become since is not seen by Go's cache of results.
    const flags = ['test', '-count=1', ...(await raceDetector())];
    const { stdout } = await run('go', [...flags, './...'], { cwd: folder, maxBuffer: 64 << 20 });
    expect(stdout).toMatch(/^ok\s/m);
  });

  it('is what the contract generates', { timeout: 600_000 }, async () => {
    expect(await generatedDiff('clients/go/buf.gen.yaml', 'clients/go/imagestoragev1')).toBe('');
  });
});

/** Go has it where there is a C compiler. */
async function raceDetector(): Promise<string[]> {
  return (await run('go', ['env', 'CGO_ENABLED'])).stdout.trim() === '1' ? ['-race'] : [];
}
