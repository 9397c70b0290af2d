/** Programs that Go builds from a pinned version on first use, kept below node_modules. */
import { execFile, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { basename, join } from 'node:path';
import { promisify } from 'node:util';
import { builtOnce, cached } from './built-once.ts';

const run = promisify(execFile);

export interface GoTool {
  /** Whether it has been built, or Go can do so. */
  available: boolean;
  /** Returns the path of the program, and builds it where it has not been built yet. */
  build(): Promise<string>;
}

/** `path` is the package of the program; a module without a go.mod has `+incompatible` behind its version. */
export function goTool(name: string, path: string, version: string): GoTool {
  const folderName = `${name}-${version}`;
  const program = basename(path);
  const install = async (folder: string) => {
    await run('go', ['install', `${path}@${version}`], { env: { ...process.env, GOBIN: folder } });
  };
  return {
    available: existsSync(join(cached(folderName), program)) || hasGo(),
    build: async () => join(await builtOnce(folderName, install), program),
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
