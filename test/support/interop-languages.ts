/** The runner of every language: how it is had, and which cases are meant for it. */
import { execFile } from 'node:child_process';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { cached } from './built-once.ts';
import type { Kind } from './interop-case.ts';
import { javaRunner } from './java.ts';
import { pythonWith, pythonWithGrpc } from './python.ts';
import { rustRunner } from './rust.ts';

export interface Language {
  /** As in the table. */
  name: string;
  kind: Kind;
  /** What a machine must have. */
  needs: string;
  /** Of the runner: program and arguments; undefined where what it needs is missing. */
  command: string[] | undefined;
  env?: Record<string, string>;
}

const run = promisify(execFile);
const root = fileURLToPath(new URL('../..', import.meta.url));
const built = cached('interop');

/** Builds what has to be built. */
export async function interopLanguages(): Promise<Language[]> {
  const [client, grpcio, go] = await Promise.all([pythonClient(), plainPython(), goRunners()]);
  // After one another: each compiler takes all processors.
  const java = await javaRunner();
  const rust = await rustRunner();
  const python = { needs: 'python3 with venv and pip', env: { PYTHONPATH: join(root, 'clients/python/src') } };
  const needsGo = 'Go 1.26 and the modules of test/interop/go';
  return [
    { name: 'TypeScript', kind: 'layers', needs: 'Node', command: [process.execPath, 'test/interop/typescript.ts'] },
    { name: 'Python', kind: 'layers', command: client && [...client, 'sync'], ...python },
    { name: 'Python asyncio', kind: 'layers', command: client && [...client, 'async'], ...python },
    { name: 'Go', kind: 'layers', command: programIn(go, 'client'), needs: needsGo },
    { name: 'grpcio', kind: 'plain', command: grpcio, needs: python.needs },
    { name: 'grpc-go', kind: 'plain', command: programIn(go, 'plain'), needs: needsGo },
    { name: 'Java', kind: 'smoke', command: java, needs: 'Maven, a JDK and the packages of clients/java' },
    { name: 'Rust', kind: 'smoke', command: rust, needs: 'Rust and the crates of clients/rust' },
  ];
}

async function pythonClient(): Promise<string[] | undefined> {
  const python = await pythonWith('clients/python/requirements-dev.txt');
  return python === undefined ? undefined : [python, 'test/interop/python_client.py'];
}

/** With stubs made from the contract on the spot. */
async function plainPython(): Promise<string[] | undefined> {
  const python = await pythonWithGrpc();
  if (!python) return undefined;
  const stubs = join(built, 'stubs');
  await mkdir(stubs, { recursive: true });
  const outputs = [`--python_out=${stubs}`, `--grpc_python_out=${stubs}`];
  await run(python, ['-m', 'grpc_tools.protoc', '-Iproto', ...outputs, 'imagestorage/v1/image_storage.proto'], {
    cwd: root,
  });
  return [python, 'test/interop/python_plain.py', stubs];
}

function programIn(folder: string | undefined, name: string): string[] | undefined {
  return folder === undefined ? undefined : [join(folder, name)];
}

/** The folder of both programs; undefined, with the reason on stderr, where Go or its modules cannot be had. */
async function goRunners(): Promise<string | undefined> {
  try {
    await run('go', ['build', '-buildvcs=false', '-o', `${join(built, 'go')}/`, './client', './plain'], {
      cwd: join(root, 'test/interop/go'),
    });
    return join(built, 'go');
  } catch (error) {
    console.warn('no Go runners here:', (error as Error).message);
    return undefined;
  }
}
