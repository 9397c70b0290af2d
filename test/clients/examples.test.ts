/** The examples in Python and Go: formatted, linted and typed as the clients are. */
import { spawnSync } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { examples, run } from '../support/examples.ts';
import { pythonWith } from '../support/python.ts';
import { requires } from '../support/requires.ts';

const client = fileURLToPath(new URL('../../clients/python', import.meta.url));
const python = await pythonWith('clients/python/requirements-dev.txt');
const worker = join(examples, 'go-worker');
const go = spawnSync('go', ['mod', 'download'], { cwd: worker, stdio: 'ignore' }).status === 0;

requires('python3 with venv and pip', python !== undefined)('Python', () => {
  it.each([
    // Scripts are checked where they run, a pack as the package it is.
    { name: 'diffusers', cwd: join(examples, 'diffusers'), target: '.' },
    { name: 'comfyui', cwd: examples, target: 'comfyui' },
  ])('$name', async ({ cwd, target }) => {
    const config = join(client, 'pyproject.toml');
    await run(python!, ['-m', 'ruff', 'format', '--no-cache', '--config', config, '--check', target], { cwd });
    await run(python!, ['-m', 'ruff', 'check', '--no-cache', '--config', config, target], { cwd });
    const cache = await mkdtemp(join(tmpdir(), 'image-storage-mypy-'));
    const options = ['--config-file', config, '--cache-dir', cache, '--ignore-missing-imports'];
    await run(python!, ['-m', 'mypy', ...options, target], { cwd, env: { MYPYPATH: join(client, 'src') } });
    await rm(cache, { recursive: true });
  });
});

requires('Go 1.26 and the modules of examples/go-worker', go)('Go', () => {
  it('go-worker', async () => {
    expect(await run('gofmt', ['-l', '.'], { cwd: worker })).toBe('');
    await run('go', ['vet', './...'], { cwd: worker });
  });
});
