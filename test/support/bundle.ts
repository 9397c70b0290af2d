/** The bundle that the tests start processes from: built once for a state of the sources. */
import { execFile } from 'node:child_process';
import { cp } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { builtOnce, cached } from './built-once.ts';
import { fingerprintOf } from './sources.ts';

const run = promisify(execFile);
const root = fileURLToPath(new URL('../..', import.meta.url));
const TSDOWN = join(root, 'node_modules/.bin/tsdown');
/** All that it is made of. */
const SOURCES = [
  'package-lock.json',
  '*.config.ts',
  '{bin,gen,scripts,src,test/crash,test/support}/**/*.{js,ts}',
  'web/**/*.{css,html,svg,ts,tsx}',
];

/** Returns its folder. */
export async function builtBundle(): Promise<string> {
  return builtOnce(cached(`bundle-${await fingerprintOf(SOURCES)}`), build, { unusedDays: 1 });
}

async function build(folder: string): Promise<void> {
  const config = join(root, 'test/support/bundle.config.ts');
  await run(process.execPath, [TSDOWN, '--config', config, '--out-dir', join(folder, 'dist')], { cwd: root });
  for (const name of ['bin', 'package.json']) await cp(join(root, name), join(folder, name), { recursive: true });
}
