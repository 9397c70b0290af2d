/** Pythons with the packages that tests need, installed on first use and kept. */
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { builtOnce, kept } from './built-once.ts';
import { fingerprintOf } from './sources.ts';

const run = promisify(execFile);
const root = fileURLToPath(new URL('../..', import.meta.url));

/** With grpcio and grpcio-tools. */
export function pythonWithGrpc(): Promise<string | undefined> {
  return pythonWith('test/support/requirements-grpc.txt');
}

/**
 * The path of an interpreter that has what this file (its path in the project) pins; undefined, with the reason on stderr, where
 * python3, venv or the packages cannot be had.
 */
export async function pythonWith(requirementsFile: string): Promise<string | undefined> {
  const requirements = join(root, requirementsFile);
  try {
    // The interpreter is a link to that of the machine.
    const { stdout } = await run('python3', ['--version']);
    const name = `${stdout.trim().toLowerCase().replace(' ', '-')}-${await fingerprintOf([requirementsFile])}`;
    const venv = await builtOnce(kept(name), (folder) => install(folder, requirements));
    return pythonIn(venv);
  } catch (error) {
    console.warn(`no Python with ${requirementsFile} here:`, (error as Error).message);
    return undefined;
  }
}

async function install(venv: string, requirements: string): Promise<void> {
  await run('python3', ['-m', 'venv', venv]);
  await run(pythonIn(venv), ['-m', 'pip', 'install', '--quiet', '--requirement', requirements]);
}

function pythonIn(venv: string): string {
  return join(venv, 'bin/python');
}
