/** Programs that Go builds from a pinned version on first use, and that are kept. */
import { execFile, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { promisify } from 'node:util';
import { builtOnce, kept } from './built-once.ts';

const run = promisify(execFile);

export interface GoTool {
  /** Whether it has been built, or Go can do so. */
  available: boolean;
  /** Returns the path of the program, and builds it where it has not been built yet. */
  build(): Promise<string>;
}

/** `path` is the package of the program. */
export function goTool(name: string, path: string, version: string): GoTool {
  return toolOf(`${name}-${version}`, path, async (folder) => {
    await run('go', ['install', `${path}@${version}`], { env: { ...process.env, GOBIN: folder } });
  });
}

/** For a program whose own module does not pin what it is built from: the module in that folder of the project does. */
export function goToolOf(moduleFolder: string, path: string): GoTool {
  const pinned = createHash('sha256')
    .update(readFileSync(join(moduleFolder, 'go.sum')))
    .digest('hex')
    .slice(0, 12);
  return toolOf(`${basename(path)}-${pinned}`, path, async (folder) => {
    await run('go', ['build', '-o', `${folder}/`, path], { cwd: moduleFolder });
  });
}

function toolOf(name: string, path: string, build: (folder: string) => Promise<void>): GoTool {
  const program = basename(path);
  return {
    available: existsSync(join(kept(name), program)) || hasGo(),
    build: async () => join(await builtOnce(kept(name), build), program),
  };
}

/** The folder of the sources of a module, as Go keeps it. */
export async function goModule(path: string, version: string): Promise<string> {
  const { stdout } = await run('go', ['mod', 'download', '-json', `${path}@${version}`]);
  return JSON.parse(stdout).Dir;
}

export function hasGo(): boolean {
  return spawnSync('go', ['version']).status === 0;
}
