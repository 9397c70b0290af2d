/** The runner of every language: how it is built, and which cases are meant for it. */
import { execFile } from 'node:child_process';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { builtOnce, kept } from '../support/built-once.ts';
import { javaRunner } from '../support/java.ts';
import { pythonWith, pythonWithGrpc } from '../support/python.ts';
import { rustRunner } from '../support/rust.ts';
import { fingerprintOf } from '../support/sources.ts';
import type { Kind } from './case.ts';

export interface Language {
  /** As in the table. */
  name: string;
  kind: Kind;
  /** What a machine must have. */
  needs: string;
  /** Program and arguments, built on first use; undefined, with the reason on stderr, where what it needs is missing. */
  runner(): Promise<string[] | undefined>;
  env?: Record<string, string>;
}

const run = promisify(execFile);
const root = fileURLToPath(new URL('../..', import.meta.url));
const GO_SOURCES = ['clients/go/**/*.{go,mod,sum}', 'test/interop/go/**/*.{go,mod,sum}'];
const python = { needs: 'python3 with venv and pip', env: { PYTHONPATH: join(root, 'clients/python/src') } };
const go = { needs: 'Go 1.26 and the modules of test/interop/go' };
const java = { needs: 'Maven, a JDK and the packages of clients/java' };
const rust = { needs: 'Rust and the crates of clients/rust' };

/** In the order of the table. */
export const interopLanguages: Language[] = [
  {
    name: 'TypeScript',
    kind: 'layers',
    needs: 'Node',
    runner: async () => [process.execPath, 'test/interop/typescript.ts'],
  },
  { name: 'Python', kind: 'layers', ...python, runner: () => pythonClient('sync') },
  { name: 'Python asyncio', kind: 'layers', ...python, runner: () => pythonClient('async') },
  { name: 'Go', kind: 'layers', ...go, runner: () => goProgram('client') },
  { name: 'grpcio', kind: 'plain', needs: python.needs, runner: plainPython },
  { name: 'grpc-go', kind: 'plain', ...go, runner: () => goProgram('plain') },
  { name: 'Java', kind: 'smoke', ...java, runner: javaRunner },
  { name: 'Rust', kind: 'smoke', ...rust, runner: rustRunner },
];

async function pythonClient(mode: 'sync' | 'async'): Promise<string[] | undefined> {
  const python = await pythonWith('clients/python/requirements-dev.txt');
  return python === undefined ? undefined : [python, 'test/interop/python_client.py', mode];
}

/** With stubs made from the contract on the spot. */
async function plainPython(): Promise<string[] | undefined> {
  const python = await pythonWithGrpc();
  if (!python) return undefined;
  const generator = basename(dirname(dirname(python)));
  const stubs = await builtOnce(
    kept(`stubs-${generator}-${await fingerprintOf(['proto/**/*.proto'])}`),
    async (folder) => {
      const outputs = [`--python_out=${folder}`, `--grpc_python_out=${folder}`];
      const proto = 'imagestorage/v1/image_storage.proto';
      await run(python, ['-m', 'grpc_tools.protoc', '-Iproto', ...outputs, proto], { cwd: root });
    },
  );
  return [python, 'test/interop/python_plain.py', stubs];
}

async function goProgram(name: 'client' | 'plain'): Promise<string[] | undefined> {
  try {
    const folder = await builtOnce(kept(`interop-go-${await fingerprintOf(GO_SOURCES)}`), async (folder) => {
      await run('go', ['build', '-buildvcs=false', '-o', `${folder}/`, './...'], {
        cwd: join(root, 'test/interop/go'),
      });
    });
    return [join(folder, name)];
  } catch (error) {
    console.warn(`no Go runner ${name} here:`, (error as Error).message);
    return undefined;
  }
}
