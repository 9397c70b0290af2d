/** The Go client: formatted, vetted, generated from the contract as it is, and its own suite against daemons that it starts. */
import { execFile, spawnSync } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';
import { requires } from './support/requires.ts';

const run = promisify(execFile);
const root = fileURLToPath(new URL('..', import.meta.url));
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
    const { stdout } = await run('go', ['test', '-count=1', './...'], { cwd: folder, maxBuffer: 64 << 20 });
    expect(stdout).toMatch(/^ok\s/m);
  });

  it('is what the contract generates', { timeout: 600_000 }, async () => {
    const fresh = await mkdtemp(join(tmpdir(), 'image-storage-go-'));
    const buf = join(root, 'node_modules/.bin/buf');
    try {
      await run(buf, ['generate', '--template', 'clients/go/buf.gen.yaml', '--output', fresh], { cwd: root });
      await run('diff', ['--recursive', join(folder, 'imagestoragev1'), join(fresh, 'clients/go/imagestoragev1')]);
    } finally {
      await rm(fresh, { recursive: true });
    }
  });
});
