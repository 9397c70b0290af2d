/** docs/clients.md: its programs save to a daemon, its commands generate and compile, its excerpts are those of the examples. */
import { execFile, spawnSync } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { blocksOf, snippets } from '../support/clients-page.ts';
import { imagesIn } from '../support/examples.ts';
import { pngOf } from '../support/images.ts';
import { javaAvailable, javaClasspath } from '../support/java.ts';
import { pythonWith } from '../support/python.ts';
import { requires } from '../support/requires.ts';
import { type RunningDaemon, runDaemon } from '../support/running-daemon.ts';

const run = promisify(execFile);
const root = fileURLToPath(new URL('../..', import.meta.url));
const python = await pythonWith('clients/python/requirements-dev.txt');
const answers = (command: string, ...args: string[]) => spawnSync(command, args, { stdio: 'ignore' }).status === 0;
const go = answers('go', '-C', join(root, 'clients/go'), 'mod', 'download');
const rust = answers('cargo', '--version');
const java = await javaAvailable();
const protoc = answers('protoc', '--version') && answers('sh', '-c', 'command -v grpc_cpp_plugin');
const cpp = protoc && answers('g++', '--version') && answers('pkg-config', '--exists', 'grpc++', 'protobuf');

/** The folder that the programs run in. */
let folder: string;
let daemon: RunningDaemon;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'image-storage-clients-'));
  daemon = await runDaemon();
  await writeFile(join(folder, 'fox.png'), pngOf({ width: 32, height: 32 }));
  await symlink(join(root, 'proto'), join(folder, 'proto'));
});
afterAll(async () => {
  await daemon.close();
  await rm(folder, { recursive: true });
});

/** What it prints is the link of an image that is there. */
async function saves(command: string, args: string[] = [], env: Record<string, string> = {}): Promise<void> {
  const { stdout } = await run(command, args, { cwd: folder, env: { ...process.env, ...env } });
  const saved = (await imagesIn(daemon)).find(({ url }) => `http://${daemon.address}${url}\n` === stdout);
  expect(saved?.metadata).toMatchObject({ prompt: 'a red fox', model: 'flux-schnell' });
}

/** What a list of red foxes gives. */
const filenames = async () => (await imagesIn(daemon)).map(({ filename }) => filename).sort();

requires('python3 with venv and pip', python !== undefined)('Python', () => {
  it('saves, also with asyncio', async () => {
    const programs = await snippets('python', daemon.address);
    expect(programs).toHaveLength(2);
    for (const program of programs)
      await saves(python!, ['-c', program], { PYTHONPATH: join(root, 'clients/python/src') });
  });
});

requires('Go 1.26 and the modules of clients/go', go)('Go', () => {
  it('saves, in a module of its own that has the client as its README says', { timeout: 600_000 }, async () => {
    const [program] = await snippets('go', daemon.address);
    const module = join(folder, 'go');
    await mkdir(module);
    await writeFile(join(module, 'main.go'), program!);
    await run('go', ['mod', 'init', 'example.com/user'], { cwd: module });
    await run('sh', ['-ec', await installLine('clients/go/README.md')], { cwd: module });
    await run('go', ['build', '-o', join(folder, 'go-save')], { cwd: module });
    await saves(join(folder, 'go-save'));
  });
});

requires('Rust 1.88', rust)('Rust', () => {
  it('saves and lists, in a crate of its own that has the client as its README says', {
    timeout: 600_000,
  }, async () => {
    const crate = join(folder, 'rust');
    // Kept for all checkouts of this machine: compiling the crates takes a minute.
    const env = { ...process.env, CARGO_TARGET_DIR: join(tmpdir(), 'image-storage-cargo-user') };
    await run('cargo', ['init', '--quiet', '--name', 'user', crate]);
    await run('sh', ['-ec', await installLine('clients/rust/README.md')], { cwd: crate });
    const [save] = await snippets('rust', daemon.address);
    const [list] = await blocksOf('clients/rust/README.md', 'rust');
    await mkdir(join(crate, 'src/bin'));
    await writeFile(join(crate, 'src/bin/save.rs'), save!);
    await writeFile(join(crate, 'src/bin/list.rs'), list!.replace('localhost:50051', daemon.address));
    for (const [name, features] of Object.entries({ rand: '', tokio: 'fs', 'tokio-stream': '', 'tokio-util': 'io' }))
      await run('cargo', ['add', '--quiet', name, ...(features ? ['--features', features] : [])], { cwd: crate });
    await run('cargo', ['build', '--quiet', '--bins'], { cwd: crate, env });
    const binary = (name: string) => join(env.CARGO_TARGET_DIR, 'debug', name);
    await saves(binary('save'));
    const { stdout } = await run(binary('list'));
    expect(stdout.trim().split('\n').sort()).toEqual(await filenames());
  });
});

requires('Maven and a JDK of at least 17', java)('Java', () => {
  it('saves and lists', { timeout: 600_000 }, async () => {
    const classpath = await javaClasspath();
    const [save] = await snippets('java', daemon.address);
    const [list] = await blocksOf('clients/java/README.md', 'java');
    // Else the launcher finds the compiled examples beside the sources.
    const dependencies = classpath.split(delimiter).filter((path) => !path.endsWith('test-classes'));
    const launch = async (name: string, program: string) => {
      await writeFile(join(folder, name), program);
      return ['-classpath', dependencies.join(delimiter), name];
    };
    await saves('java', await launch('Save.java', save!));
    const args = await launch('ListImages.java', list!.replace('localhost:50051', daemon.address));
    const { stdout } = await run('java', args, { cwd: folder });
    expect(stdout.trim().split('\n').sort()).toEqual(await filenames());
  });
});

requires('protobuf-compiler-grpc, libgrpc++-dev, libprotobuf-dev, pkg-config and g++', cpp)('C++', () => {
  it('is generated, compiled and saves', { timeout: 600_000 }, async () => {
    const [generate, compile] = (await snippets('sh')).filter((block) => /^(protoc|g\+\+) /.test(block));
    const [program] = await snippets('cpp', daemon.address);
    await writeFile(join(folder, 'save.cc'), program!);
    await run('sh', ['-ec', generate!], { cwd: folder });
    await run('sh', ['-ec', compile!], { cwd: folder });
    await saves('./save');
  });

  it('is generated by buf, the whole contract', async () => {
    const [template] = await snippets('yaml');
    const buf = join(root, 'node_modules/.bin/buf');
    await run(buf, ['generate', '--template', template!, '--output', folder], { cwd: root });
    const maintenance = await readFile(join(folder, 'cpp/imagestorage/v1/maintenance.grpc.pb.h'), 'utf8');
    expect(maintenance).toContain('class Maintenance ');
  });
});

describe('Java and Rust', () => {
  it.each([
    ['java', 'docs/clients.md', 'clients/java/examples/Save.java'],
    ['rust', 'docs/clients.md', 'clients/rust/examples/save.rs'],
    ['java', 'clients/java/README.md', 'clients/java/examples/ListImages.java'],
    ['rust', 'clients/rust/README.md', 'clients/rust/examples/list_images.rs'],
  ])('the %s of %s is the whole of %s', async (language, page, example) => {
    const [program] = await blocksOf(page, language);
    expect(program).toBe(await readFile(join(root, example), 'utf8'));
  });
});

/** The first commands of a page, for this checkout. */
async function installLine(page: string): Promise<string> {
  const blocks = await blocksOf(page, 'sh');
  return blocks.find((block) => block.includes('/path/to/checkout'))!.replaceAll('/path/to/checkout/', root);
}
