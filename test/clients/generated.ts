/** Whether committed code is what the contract generates. */
import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const run = promisify(execFile);
const root = fileURLToPath(new URL('../..', import.meta.url));

/** What `diff` has to say of the folder and what the template makes of it now: nothing where they are the same. */
export async function generatedDiff(template: string, folder: string): Promise<string> {
  const fresh = await mkdtemp(join(tmpdir(), 'image-storage-generated-'));
  try {
    const buf = join(root, 'node_modules/.bin/buf');
    await run(buf, ['generate', '--template', template, '--output', fresh], { cwd: root });
    const differ = run('diff', ['--recursive', '--brief', folder, join(fresh, folder)], { cwd: root });
    return (await differ.catch((error) => error)).stdout;
  } finally {
    await rm(fresh, { recursive: true });
  }
}
