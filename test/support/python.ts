/** A Python with grpcio and grpcio-tools, installed on first use and kept below node_modules. */
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const run = promisify(execFile);
const root = fileURLToPath(new URL('../..', import.meta.url));
const requirements = join(root, 'test/python/requirements.txt');
const cache = join(root, 'node_modules/.cache');

/** The interpreter's path; undefined, with the reason on stderr, where python3, venv or the packages cannot be had. */
export async function pythonWithGrpc(): Promise<string | undefined> {
  const pinned = createHash('sha256')
    .update(await readFile(requirements))
    .digest('hex')
    .slice(0, 12);
  const venv = join(cache, `python-${pinned}`);
  const python = join(venv, 'bin/python');
  if (existsSync(python)) return python;
  try {
    await install(venv);
    return python;
  } catch (error) {
    console.warn('no Python with grpcio here:', (error as Error).message);
    return undefined;
  }
}

/** Builds beside the final place and renames, so that an interrupted or simultaneous installation does no harm. */
async function install(venv: string): Promise<void> {
  await mkdir(cache, { recursive: true });
  const building = await mkdtemp(`${venv}-`);
  try {
    await run('python3', ['-m', 'venv', building]);
    await run(join(building, 'bin/python'), ['-m', 'pip', 'install', '--quiet', '--requirement', requirements]);
    await rename(building, venv);
  } catch (error) {
    await rm(building, { recursive: true, force: true });
    if (!existsSync(venv)) throw error;
  }
}
