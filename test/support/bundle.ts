/** The bundle that the tests start processes from: built once for a state of the sources. */
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { cp, glob, readFile, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { builtOnce, cached } from './built-once.ts';

const run = promisify(execFile);
const root = fileURLToPath(new URL('../..', import.meta.url));
const DAY_MS = 24 * 60 * 60 * 1000;
const TSDOWN = join(root, 'node_modules/.bin/tsdown');
/** All that it is made of. */
const SOURCES = [
  'package-lock.json',
  '*.config.ts',
  '{bin,gen,scripts,src,test/crash,test/support}/**/*.{js,ts}',
  'web/**/*.{css,html,svg,ts,tsx}',
];

/** Gives its folder. */
export async function builtBundle(): Promise<string> {
  const folder = await builtOnce(`bundle-${await fingerprint()}`, build);
  await removeOld(folder);
  return folder;
}

/** Those of earlier sources, unless a run may still use them. */
async function removeOld(current: string): Promise<void> {
  for await (const path of glob(cached('bundle-*'))) {
    const { mtimeMs } = await stat(path);
    if (!path.startsWith(current) && mtimeMs < Date.now() - DAY_MS) await rm(path, { recursive: true, force: true });
  }
}

async function build(folder: string): Promise<void> {
  const config = join(root, 'test/support/bundle.config.ts');
  await run(process.execPath, [TSDOWN, '--config', config, '--out-dir', join(folder, 'dist')], { cwd: root });
  for (const name of ['bin', 'package.json']) await cp(join(root, name), join(folder, name), { recursive: true });
}

async function fingerprint(): Promise<string> {
  const hash = createHash('sha256');
  const paths: string[] = [];
  for await (const path of glob(SOURCES, { cwd: root })) paths.push(path);
  for (const path of paths.sort()) hash.update(`${path}\0`).update(await readFile(join(root, path)));
  return hash.digest('hex').slice(0, 12);
}
