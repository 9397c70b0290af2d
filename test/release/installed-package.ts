/** The package as it ships, installed in a folder of its own, without the sources and without node_modules. */
import { execFile } from 'node:child_process';
import { cp, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

export interface InstalledPackage {
  /** The folder of the user's program, which has the package and nothing else. */
  app: string;
  /** The command's path. */
  command: string;
  /** What the tarball holds. */
  files: string[];
}

const run = promisify(execFile);
const root = fileURLToPath(new URL('../..', import.meta.url));
const TSDOWN = join(root, 'node_modules/.bin/tsdown');
/** More than the package holds, so that what it leaves out is seen. */
const PACKED_FROM = ['CHANGELOG.md', 'LICENSE', 'README.md', 'bin', 'examples', 'package.json', 'proto', 'src'];

/** Builds, packs as for publishing, and installs the tarball, all below the folder and without a network. */
export async function installPackage(folder: string): Promise<InstalledPackage> {
  const built = join(folder, 'built');
  const app = join(folder, 'app');
  for (const name of PACKED_FROM) await cp(join(root, name), join(built, name), { recursive: true });
  await run(process.execPath, [TSDOWN, '--out-dir', join(built, 'dist')], { cwd: root });
  const { stdout } = await run('npm', ['pack', '--ignore-scripts', '--json', '--pack-destination', folder], {
    cwd: built,
  });
  const [{ filename, files }] = JSON.parse(stdout) as [{ filename: string; files: { path: string }[] }];
  await mkdir(app);
  await writeFile(join(app, 'package.json'), '{ "type": "module" }');
  await run('npm', ['install', '--offline', '--no-audit', join(folder, filename)], { cwd: app });
  const command = join(app, 'node_modules/image-storage/bin/image-storage.js');
  return { app, command, files: files.map(({ path }) => path) };
}
