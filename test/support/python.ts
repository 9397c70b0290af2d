/** Pythons with the packages that tests need, installed on first use and kept below node_modules. */
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const run = promisify(execFile);
const root = fileURLToPath(new URL('../..', import.meta.url));
const cache = join(root, 'node_modules/.cache');

/** With grpcio and grpcio-tools. */
export function pythonWithGrpc(): Promise<string | undefined> {
  return pythonWith('test/python/requirements.txt');
}

/**
 * The path of an interpreter that has what this file (its path in the project) pins; undefined, with the reason on stderr, where
 * python3, venv or the packages cannot be had.
 */
export async function pythonWith(requirementsFile: string): Promise<string | undefined> {
  const requirements = join(root, requirementsFile);
  const pinned = createHash('sha256')
    .update(await readFile(requirements))
    .digest('hex')
    .slice(0, 12);
  const venv = join(cache, `python-${pinned}`);
  const python = join(venv, 'bin/python');
  if (existsSync(python)) return python;
  try {
    await install(venv, requirements);
    return python;
  } catch (error) {
    console.warn(`no Python with ${requirementsFile} here:`, (error as Error).message);
    return undefined;
  }
}

/** Builds beside the final place and renames, so that an interrupted or simultaneous installation does no harm. */
async function install(venv: string, requirements: string): Promise<void> {
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
