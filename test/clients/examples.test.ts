/** The examples: formatted, linted and typed as the clients are, and what they say where there is no daemon. */
import { spawnSync } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { examples, type RunOptions, run } from '../support/examples.ts';
import { pythonWith } from '../support/python.ts';
import { requires } from '../support/requires.ts';

const client = fileURLToPath(new URL('../../clients/python', import.meta.url));
const python = await pythonWith('clients/python/requirements-dev.txt');
const worker = join(examples, 'go-worker');
const go = spawnSync('go', ['mod', 'download'], { cwd: worker, stdio: 'ignore' }).status === 0;

const NOWHERE = '127.0.0.1:1';
const SENTENCE = `no daemon at ${NOWHERE}: connection refused`;

/** The last line of what it says, once it has failed. */
async function complaintOf(command: string, args: string[], options: RunOptions): Promise<string> {
  const { stdout = '', stderr = '' } = await run(command, args, options).catch((error) => error);
  return `${stdout}${stderr}`.trim().split('\n').at(-1)!;
}

describe('TypeScript', () => {
  it('image-service says in one sentence that there is no daemon', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'image-storage-service-'));
    await writeFile(join(folder, 'config.json'), JSON.stringify({ daemon: NOWHERE }));
    const main = join(examples, 'image-service/main.ts');
    expect(await complaintOf(process.execPath, [main, 'config.json', 'a red fox'], { cwd: folder })).toBe(SENTENCE);
    await rm(folder, { recursive: true });
  });
});

requires('python3 with venv and pip', python !== undefined)('Python', () => {
  it('diffusers says in one sentence that there is no daemon, before it loads a model', async () => {
    const args = ['generate.py', '--model', 'none/such', '--prompt', 'a red fox', '--address', NOWHERE];
    const env = { PYTHONPATH: join(client, 'src'), PYTHONDONTWRITEBYTECODE: '1' };
    const complaint = await complaintOf(python!, args, { cwd: join(examples, 'diffusers'), env });
    expect(complaint).toBe(`${SENTENCE}: start it, or give its --address`);
  });

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
  it('go-worker says in one sentence that there is no daemon', async () => {
    const input = JSON.stringify({ id: 'fox-1', prompt: 'a red fox', created: '2024-09-27T14:15:22Z', side: 64 });
    const { stdout } = await run('go', ['run', '.', '-address', NOWHERE], { cwd: worker, input }).catch(
      (error) => error,
    );
    expect(JSON.parse(stdout)).toMatchObject({ error: `imagestorage: DAEMON_UNREACHABLE: ${SENTENCE}` });
  });

  it('go-worker', async () => {
    expect(await run('gofmt', ['-l', '.'], { cwd: worker })).toBe('');
    await run('go', ['vet', './...'], { cwd: worker });
  });
});
