/** What is prepared once for all test processes: the bundle they start processes from, the page, and whom those without root run as. */
import { spawnSync } from 'node:child_process';
import { chmod, chown, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { TestProject } from 'vitest/node';
import { buildPageWhereStale } from '../../scripts/build-page.ts';
import { cached, oneAtATime } from './built-once.ts';
import { builtBundle } from './bundle.ts';
import { openMemoryFolder } from './memory-folder.ts';

export interface OrdinaryUser {
  /** Of the group, too. */
  id: number;
  /** A folder of its own, which goes with the run. */
  home: string;
}

export interface TemporaryFolders {
  /** A folder of this run; undefined where all are on disk. */
  memory: string | undefined;
  disk: string;
}

declare module 'vitest' {
  export interface ProvidedContext {
    temporaryFolders: TemporaryFolders;
    /** Folder of the bundle. */
    bundle: string;
    /** Unset where the tests run as one anyway. */
    ordinaryUser: OrdinaryUser | undefined;
  }
}

const root = fileURLToPath(new URL('../..', import.meta.url));
const NOBODY = 65534;

export default async function setup({ provide, vitest }: TestProject): Promise<() => Promise<void>> {
  provide('bundle', await builtBundle());
  // For daemons that run from the sources; those who gave root up could not build it.
  await oneAtATime(cached('page'), () => buildPageWhereStale());
  const user = await ordinaryUser();
  provide('ordinaryUser', user);
  const memory = await openMemoryFolder();
  provide('temporaryFolders', { memory, disk: tmpdir() });
  const { coverage } = vitest.config;
  // Each test process writes what it covered.
  if (user !== undefined && coverage.enabled) await chmod(join(coverage.reportsDirectory, '.tmp'), 0o1777);
  return async () => {
    if (user !== undefined) await rm(user.home, { recursive: true });
    if (memory !== undefined) await rm(memory, { recursive: true });
  };
}

async function ordinaryUser(): Promise<OrdinaryUser | undefined> {
  if (process.getuid?.() !== 0) return undefined;
  const reading = ['--eval', 'require("node:fs").accessSync("node_modules")'];
  if (spawnSync(process.execPath, reading, { cwd: root, uid: NOBODY, gid: NOBODY }).status !== 0) {
    console.warn(`all tests run as root: other users cannot read ${root}`);
    return undefined;
  }
  const home = await mkdtemp(join(tmpdir(), 'image-storage-home-'));
  await chown(home, NOBODY, NOBODY);
  return { id: NOBODY, home };
}
