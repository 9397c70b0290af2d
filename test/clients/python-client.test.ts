/** The Python client's own suite, against daemons that it starts. */
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';
import { pythonWith } from '../support/python.ts';
import { requires } from '../support/requires.ts';

const folder = fileURLToPath(new URL('../../clients/python/', import.meta.url));
const python = await pythonWith('clients/python/requirements-dev.txt');

requires('python3 with venv and pip', python !== undefined)('clients/python', () => {
  it('passes its tests', { timeout: 600_000 }, async ({ skip }) => {
    const { stdout } = await promisify(execFile)(python!, ['-m', 'pytest', '-q', '-p', 'no:cacheprovider'], {
      cwd: folder,
      env: { ...process.env, PYTHONPATH: `${folder}src` },
      maxBuffer: 64 << 20,
    });
    expect(stdout).toMatch(/\d+ passed/);
    const [skipped] = stdout.match(/\d+ skipped/) ?? [];
    if (skipped) skip(`${skipped} of them`);
  });
});
