/** The package works alone, installed from its tarball: command, worker threads, library, client and their types. */
import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { get, type IncomingMessage } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { snippets } from '../support/clients-page.ts';
import { type DaemonProcess, startDaemonProcess } from '../support/daemon-process.ts';
import { pngOf } from '../support/images.ts';
import { WITH_PREVIEWS } from '../support/previews.ts';
import { type InstalledPackage, installPackage } from './installed-package.ts';

const packages = fileURLToPath(new URL('../../node_modules/', import.meta.url));

let folder: string;
let installed: InstalledPackage;
let daemon: DaemonProcess;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'image-storage-bundle-'));
  installed = await installPackage(folder);
  await writeFile(join(installed.app, 'fox.png'), pngOf({ width: 32, height: 32 }));
  const large = `{"prompt":"an owl","note":"${'x'.repeat(100_000)}"}`;
  await writeFile(join(installed.app, 'owl.png'), pngOf({ width: 32, height: 32, text: { parameters: large } }));
  const { command } = installed;
  daemon = await startDaemonProcess(join(folder, 'outputs'), {
    command,
    listen: `unix:${folder}/socket`,
    env: WITH_PREVIEWS,
  });
}, 120_000);
afterAll(async () => {
  expect(await daemon.stop('SIGTERM')).toBe(0);
  await rm(folder, { recursive: true });
});

/** In the folder of the user's program; answers what it prints. */
async function runInApp(command: string, ...args: string[]): Promise<string> {
  return (await promisify(execFile)(command, args, { cwd: installed.app })).stdout;
}

it('holds what users need and nothing else', () => {
  const chunks = /^dist\/([\w.-]+\.js|web\/assets\/[\w.-]+\.(js|css|svg))$/;
  const entries = ['client', 'embedded-worker', 'index', 'main', 'preview-worker', 'sqlite-worker'].map(
    (name) => `dist/${name}.js`,
  );
  expect(installed.files).toEqual(expect.arrayContaining(entries));
  expect(installed.files.filter((name) => !chunks.test(name)).sort()).toEqual([
    'CHANGELOG.md',
    'LICENSE',
    'README.md',
    'bin/image-storage.js',
    'dist/THIRD-PARTY-LICENSES.txt',
    'dist/client.d.ts',
    'dist/index.d.ts',
    'dist/web/THIRD-PARTY-LICENSES.txt',
    'dist/web/index.html',
    'examples/image-storage.schema.json',
    'examples/image-storage.yaml',
    'package.json',
    'proto/imagestorage/v1/image_storage.proto',
    'proto/imagestorage/v1/maintenance.proto',
  ]);
});

it('imports no module of Node that loads the client behind fetch', async () => {
  const dist = join(installed.command, '../../dist');
  for (const name of installed.files.flatMap((path) => /^dist\/([\w.-]+\.js)$/.exec(path)?.[1] ?? [])) {
    expect(await readFile(join(dist, name), 'utf8'), name).not.toMatch(/^import .* from "(node:)?http"/m);
  }
});

it('has a gallery whose scripts load fast', async () => {
  const web = join(installed.command, '../../dist/web');
  const page = await readFile(join(web, 'index.html'), 'utf8');
  const sizes = new Map<string, number>();
  for (const name of installed.files.flatMap((path) => /^dist\/web\/(assets\/.+\.js)$/.exec(path)?.[1] ?? [])) {
    sizes.set(name, gzipSync(await readFile(join(web, name)), { level: 9 }).length);
  }
  const sum = (names: readonly string[]) => names.reduce((bytes, name) => bytes + sizes.get(name)!, 0);
  const first = [...sizes.keys()].filter((name) => page.includes(`"./${name}"`));
  expect(first).not.toEqual([]);
  expect(sum(first), 'before the first pictures').toBeLessThanOrEqual(60 * 1024);
  expect(sum([...sizes.keys()]), 'in all').toBeLessThanOrEqual(90 * 1024);
});

it('is started by npx', async () => {
  const { version } = JSON.parse(await readFile(new URL('../../package.json', import.meta.url), 'utf8'));
  expect(await runInApp('npx', '--offline', 'image-storage', '--version')).toBe(`${version}\n`);
});

it('serves and is served by its command over a Unix socket', async () => {
  const cli = (...args: string[]) =>
    runInApp(process.execPath, installed.command, ...args, '--address', daemon.address);
  await cli('health');
  await cli('save', 'fox.png', '--prompt', 'a vixen');
  expect(JSON.parse(await cli('list', '--query', 'vixen', '--json'))).toMatchObject({ prompt: 'a vixen', width: 32 });
  await cli('save', 'owl.png');
  expect(JSON.parse(await cli('list', '--query', 'owl', '--json'))).toMatchObject({ prompt: 'an owl', width: 32 });
});

it('serves small originals in place of previews where sharp is not installed', async () => {
  const cli = (...args: string[]) =>
    runInApp(process.execPath, installed.command, ...args, '--address', daemon.address);
  const { url, size } = JSON.parse(await cli('save', 'fox.png', '--json'));
  const socketPath = join(folder, 'socket');
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    get({ socketPath, path: `${url}?width=320`, headers: { host: 'localhost' } }, resolve).on('error', reject);
  });
  expect(response.headers).toMatchObject({ 'content-type': 'image/png', 'content-length': `${size}` });
  response.resume();
});

it('serves as a library in process', async () => {
  const script = `
    import { readFile } from 'node:fs/promises';
    import { createStorage } from 'image-storage';
    const storage = await createStorage({ providers: { local: { basePath: 'library' } } });
    const { filename } = await storage.save(await readFile('fox.png'), { prompt: '', model: 'flux' });
    console.log((await storage.list()).map((item) => item.filename).join() === filename);
    await storage.close();`;
  expect(await runInApp(process.execPath, '--input-type=module', '-e', script)).toBe('true\n');
});

it('runs the TypeScript of docs/clients.md, and its types need those of Node alone', async () => {
  const [program] = await snippets('ts', daemon.address);
  await writeFile(join(installed.app, 'save.ts'), program!);
  await writeFile(join(installed.app, 'types.ts'), "export * from 'image-storage';");
  const flags = ['--strict', '--noEmit', '--module', 'nodenext', '--target', 'es2024'];
  const types = ['--skipLibCheck', 'false', '--types', 'node', '--typeRoots', join(packages, '@types')];
  await runInApp(join(packages, '.bin/tsc'), ...flags, ...types, 'save.ts', 'types.ts');
  expect(await runInApp(process.execPath, 'save.ts')).toMatch(/^\/outputs\/images\/generations\/.+\.png\n$/);
});
