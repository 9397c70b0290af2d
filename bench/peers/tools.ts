/** Finds or builds the programs of the comparison. What cannot be had is named and left out. */
import { execFile } from 'node:child_process';
import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const run = promisify(execFile);
const ROOT = fileURLToPath(new URL('../..', import.meta.url));

const VERSITYGW = 'github.com/versity/versitygw/cmd/versitygw@v1.8.0';
const TUSD = 'github.com/tus/tusd/v2/cmd/tusd@latest';
const TUS_PACKAGES = ['@tus/server@2.4.5', '@tus/file-store@2.1.1'];

export interface Tools {
  client: string;
  /** The folder with `node_modules` of @tus/server. */
  tusModules?: string;
  bazelRemote?: string;
  versitygw?: string;
  tusd?: string;
  versions: Record<string, string>;
}

/** Paths come from PEERS_BIN (a folder with programs), BAZEL_REMOTE (a program or a checkout), VERSITYGW and TUSD. */
export async function findTools(env: NodeJS.ProcessEnv): Promise<Tools> {
  const bin = env.PEERS_BIN ?? join(ROOT, 'node_modules/.cache/peers');
  mkdirSync(bin, { recursive: true });
  const client = join(bin, 'peerbench');
  await run('go', ['build', '-o', client, '.'], { cwd: join(ROOT, 'bench/peers/client') });
  const tools: Tools = { client, versions: {} };
  const found = {
    versitygw: env.VERSITYGW ?? (await unlessMissing('versitygw', () => installed(bin, 'versitygw', VERSITYGW))),
    tusd: env.TUSD ?? (await unlessMissing('tusd', () => installed(bin, 'tusd', TUSD))),
    bazelRemote: await unlessMissing('bazel-remote', () => bazelRemoteOf(bin, env.BAZEL_REMOTE)),
    tusModules: await unlessMissing('@tus/server', () => tusModulesIn(bin)),
  };
  for (const [name, path] of Object.entries(found)) {
    if (path === undefined) continue;
    Object.assign(tools, { [name]: path });
    tools.versions[name] = name === 'tusModules' ? TUS_PACKAGES.join(', ') : await versionOf(path);
  }
  return tools;
}

async function unlessMissing(name: string, find: () => Promise<string>): Promise<string | undefined> {
  try {
    return await find();
  } catch (error) {
    console.error(`${name} is left out: ${(error as Error).message.split('\n', 1)[0]}`);
    return undefined;
  }
}

async function installed(bin: string, name: string, module: string): Promise<string> {
  const path = join(bin, name);
  if (!existsSync(path)) await run('go', ['install', module], { env: { ...process.env, GOBIN: bin } });
  return path;
}

async function bazelRemoteOf(bin: string, given: string | undefined): Promise<string> {
  const path = join(bin, 'bazel-remote');
  if (given === undefined) {
    if (existsSync(path)) return path;
    throw new Error('BAZEL_REMOTE names neither its program nor a checkout of it');
  }
  if (!existsSync(join(given, 'go.mod'))) return given;
  await run('go', ['build', '-o', path, '.'], { cwd: given });
  return path;
}

async function tusModulesIn(bin: string): Promise<string> {
  const folder = join(bin, 'tus');
  mkdirSync(folder, { recursive: true });
  if (!existsSync(join(folder, 'node_modules/@tus/file-store'))) {
    await run('npm', ['install', '--no-audit', '--no-fund', '--prefix', folder, ...TUS_PACKAGES]);
  }
  return folder;
}

/** The version that Go wrote into a program: that of its module, or of its commit. */
async function versionOf(program: string): Promise<string> {
  try {
    const { stdout } = await run('go', ['version', '-m', program]);
    const module = /^\tmod\t\S+\t(\S+)/m.exec(stdout)?.[1] ?? '';
    const commit = /vcs\.revision=([0-9a-f]{12})/.exec(stdout)?.[1];
    return module === '(devel)' && commit !== undefined ? commit : module;
  } catch {
    return 'unknown';
  }
}
