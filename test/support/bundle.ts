/** The package as it ships: the bundle in a folder of its own, without the sources and without node_modules. */
import { execFile } from 'node:child_process';
import { cp } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const root = fileURLToPath(new URL('../..', import.meta.url));
const TSDOWN = join(root, 'node_modules/.bin/tsdown');

/** Builds into the folder; answers the command's path. */
export async function buildBundle(folder: string): Promise<string> {
  await promisify(execFile)(process.execPath, [TSDOWN, '--out-dir', join(folder, 'dist'), '--no-dts'], { cwd: root });
  for (const name of ['bin', 'package.json']) await cp(join(root, name), join(folder, name), { recursive: true });
  return join(folder, 'bin/image-storage.js');
}
