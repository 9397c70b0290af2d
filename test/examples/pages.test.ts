/** What README and docs show, as printed: commands and programs run in a clean folder, and what does not run has a reason. */
import { execFile, spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { chmod, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { writeScaling } from '../../bench/scaling-report.ts';
import { connect } from '../../src/client.ts';
import { loadConfig } from '../../src/config.ts';
import { COMMAND } from '../support/command.ts';
import { imagesIn } from '../support/examples.ts';
import { pngOf } from '../support/images.ts';
import { type Block, blocks, root } from '../support/pages.ts';
import { pythonWith } from '../support/python.ts';
import { requires } from '../support/requires.ts';
import { type RunningDaemon, runDaemon } from '../support/running-daemon.ts';
import { full } from '../support/scale.ts';

type Outcome =
  /** Commands, or a program, that run here. */
  | 'runs'
  /** A configuration of the daemon, which reads it. */
  | 'loads'
  /** The test that runs or checks it. */
  | { by: string }
  /** Why nothing runs it. */
  | { why: string };

const CLIENTS: Outcome = { by: 'test/clients/clients-page.test.ts' };
const PRESETS: Outcome = { by: 'test/doctor/doctor.test.ts' };
const PICTURE: Outcome = { why: 'a picture or a sample of what is printed' };
const CALLS: Outcome = { why: 'a list of calls, which the interop suite makes' };
const EXCERPT: Outcome = { why: 'an excerpt; docs/clients.md has the whole program' };
/** What who works on a client runs. */
const CHECKED: Outcome = { by: 'scripts/check-part.ts' };
const PYTHON: Outcome = { by: 'clients/python/tests/test_package.py' };
const BY_LINE: Outcome = { why: 'needs a name, a token or a host of the reader' };

/** In `test:full` only, as what needs it. */
const GO =
  full && spawnSync('go', ['mod', 'download'], { cwd: join(root, 'examples/go-worker'), stdio: 'ignore' }).status === 0;
/** Those of whoever runs the tests: the commands have a home of their own. */
const GO_CACHES: NodeJS.ProcessEnv = GO
  ? JSON.parse(spawnSync('go', ['env', '-json', 'GOCACHE', 'GOMODCACHE'], { encoding: 'utf8' }).stdout)
  : {};

/** In the order of each page. */
const OUTCOMES: Record<string, Outcome[]> = {
  'CONTRIBUTING.md': [{ by: '.ci/run' }],
  'README.md': [
    { by: 'test/cli/checkout.test.ts' },
    ...(['runs', 'runs', 'runs', 'runs', 'runs', 'runs', 'runs'] as const),
    { by: '.ci/run' },
  ],
  'clients/go/README.md': [CLIENTS, EXCERPT, CALLS, EXCERPT, CHECKED],
  'clients/java/README.md': [CLIENTS, CLIENTS, CLIENTS, CHECKED],
  'clients/python/README.md': [PYTHON, PYTHON, CALLS, EXCERPT, PYTHON, CHECKED],
  'clients/rust/README.md': [CHECKED, CLIENTS, CLIENTS, CHECKED],
  'docs/access.md': [{ by: 'test/cli/token.test.ts' }, 'loads', BY_LINE, 'loads', BY_LINE],
  'docs/architecture.md': [PICTURE],
  'docs/clients.md': [
    ...[CLIENTS, CLIENTS, { by: 'test/clients/typescript-client.test.ts' }, 'runs'],
    ...[CLIENTS, CLIENTS, CLIENTS, 'runs', 'runs'],
    { why: 'installs packages of Debian, which .ci/run does' },
    ...[CLIENTS, CLIENTS, CLIENTS, CLIENTS],
  ] as Outcome[],
  'docs/command.md': ['runs', 'runs'],
  'docs/configuration.md': ['loads', 'loads', { why: 'needs a bucket; test/s3 has one' }],
  'docs/gallery.md': ['loads'],
  'docs/http.md': ['runs', 'runs'],
  'docs/mcp.md': [PICTURE, 'runs', { why: 'needs a container; its command is that of test/mcp' }],
  'docs/object-stores.md': [
    { by: 'test/doctor/doctor.test.ts' },
    PRESETS,
    { why: 'a policy of AWS, which only AWS reads' },
    ...[PRESETS, PRESETS],
    { by: 'test/support/versitygw.ts' },
    ...[PRESETS, PRESETS, PRESETS],
    BY_LINE,
  ],
  'docs/operating.md': [
    PICTURE,
    { by: 'test/telemetry/metrics.test.ts' },
    { by: 'test/deploy/backup.test.ts' },
    { why: 'deletes for good, with a second provider; test/cli has each' },
    { by: 'test/cli/catalog-format.test.ts' },
  ],
  'docs/other-galleries.md': [{ why: 'programs of others' }, { why: 'an excerpt of a file of Compose' }],
  'docs/retention.md': ['loads', PICTURE, { by: 'test/cli/cli.test.ts' }, 'loads'],
  'docs/scaling.md': [{ by: 'test/deploy/fleet.test.ts' }],
  'docs/search.md': ['runs'],
  'examples/comfyui/README.md': [{ by: 'test/examples/examples-python.test.ts' }, 'runs'],
  'examples/diffusers/README.md': [{ by: 'test/examples/examples-python.test.ts' }],
  'examples/go-worker/README.md': [GO ? 'runs' : { why: 'needs Go, and runs in test:full' }],
  'examples/image-service/README.md': [PICTURE, { by: 'test/examples/examples.test.ts' }],
  'examples/kubernetes/README.md': [
    { by: 'test/deploy/kubernetes.test.ts' },
    { by: 'test/deploy/kubernetes.test.ts' },
    { by: 'test/deploy/kubernetes.test.ts' },
  ],
  'examples/systemd/README.md': [{ by: 'test/deploy/systemd.test.ts' }],
};

const titleOf = ({ page, text }: Block) => `${page}: ${text.trim().split('\n')[0]}`;
const all = blocks().map((block, at, others) => {
  const place = others.slice(0, at).filter(({ page }) => page === block.page).length;
  return { ...block, outcome: OUTCOMES[block.page]?.[place] };
});
/** Those of the README in each run, all others in `test:full`. */
const running = all.filter(({ outcome, page }) => outcome === 'runs' && (full || page === 'README.md'));
const ofLanguage = (...languages: string[]) => running.filter(({ language }) => languages.includes(language));

let home: string;
let daemon: RunningDaemon;
let filename: string;

beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), 'image-storage-pages-'));
  daemon = await runDaemon();
  const bin = join(home, 'bin');
  await mkdir(bin);
  // Both are the checkout's command; test/cli/checkout.test.ts has npm itself start it.
  await program(join(bin, 'image-storage'), `exec '${process.execPath}' '${COMMAND}' "$@"`);
  // The daemon runs already.
  const ofCommand = 'while [ "$1" != -- ]; do shift; done; shift; exec image-storage "$@"';
  await program(join(bin, 'npm'), `[ "$1" = start ] && exit\n${ofCommand}`);
  await program(join(bin, 'xdg-open'), 'exit 0');
  await mkdir(join(home, 'ComfyUI/output'), { recursive: true });
  await mkdir(join(home, 'Pictures'));
  await writeFile(join(home, 'ComfyUI/output/ComfyUI_00001_.png'), pngOf({ width: 24, height: 24, seed: 9 }));
  await writeFile(join(home, 'fox.png'), pngOf({ width: 32, height: 32 }));
  for (const name of ['clients', 'examples', 'proto']) await symlink(join(root, name), join(home, name));
  await mkdir(join(home, 'node_modules'));
  await symlink(inject('bundle'), join(home, 'node_modules/image-storage'));
});
afterAll(async () => {
  await daemon.close();
  await rm(home, { recursive: true });
});

async function program(path: string, line: string): Promise<void> {
  await writeFile(path, `#!/bin/sh\n${line}\n`);
  await chmod(path, 0o755);
}

/** With this daemon's address and one of its images in the place of those of the page; two more are there to delete. */
async function printed({ text }: Block): Promise<string> {
  const client = connect(daemon.address);
  const images = [];
  for (const seed of [1, 2]) {
    const timestamp = new Date('2024-09-27T14:15:22Z');
    const bytes = pngOf({ width: 16, height: 16, seed });
    const parametersJson = '{"workflow":{"nodes":[]}}';
    images.push(await client.save(bytes, { prompt: 'blurry', model: 'flux-schnell', timestamp, parametersJson }));
  }
  client.close();
  [filename] = images.map((image) => image.filename) as [string, string];
  const [short] = filename.split('.');
  return text
    .replaceAll(/(?:127\.0\.0\.1|localhost):50051/g, daemon.address)
    .replaceAll(/\d{8}_\d{6}_flux-schnell_(?:abc123|k3f9qa)\.png/g, filename)
    .replaceAll(/\d{8}_\d{6}_flux-schnell_def456\.png/g, images[1]!.filename)
    .replaceAll(/\babc123\b/g, short!.slice(-6));
}

async function run(command: string, args: string[], env: NodeJS.ProcessEnv = {}): Promise<string> {
  const own = { HOME: home, PATH: `${join(home, 'bin')}:${process.env.PATH}`, IMAGE_STORAGE_ADDRESS: daemon.address };
  const options = { cwd: home, env: { ...process.env, ...GO_CACHES, ...own, ...env } };
  const running = promisify(execFile)(command, args, options);
  running.child.stdin!.end();
  return (await running).stdout;
}

it('every block has its test or its reason', () => {
  const missing = all.filter(({ outcome }) => outcome === undefined).map(titleOf);
  expect(missing).toEqual([]);
  const counts = Object.groupBy(all, ({ page }) => page);
  for (const [page, outcomes] of Object.entries(OUTCOMES)) expect(outcomes, page).toHaveLength(counts[page]!.length);
  const tests = all.flatMap(({ outcome }) => (typeof outcome === 'object' && 'by' in outcome ? [outcome.by] : []));
  expect(tests.filter((test) => !existsSync(join(root, test)))).toEqual([]);
});

it('docs/scaling.md has the tables that bench:scaling prints', () => {
  const page = readFileSync(join(root, 'docs/scaling.md'), 'utf8');
  const cellsOf = (line: string) => line.split('|').map((cell) => cell.trim().replace(/^-+$/, '---'));
  for (const [name, lines] of Object.entries(writeScaling())) {
    const [, table] = new RegExp(`<!-- ${name} -->\\n\\n((?:\\|.*\\n)+)`).exec(page)!;
    expect(table!.trim().split('\n').map(cellsOf), name).toEqual(lines.map(cellsOf));
  }
});

it('CI runs what the README says to develop with', () => {
  const { text } = all.filter(({ page }) => page === 'README.md').at(-1)!;
  const script = readFileSync(join(root, '.ci/run'), 'utf8');
  for (const command of text.trim().split(' && ')) expect(script).toContain(`\ncount ${command}\n`);
});

describe('configuration', () => {
  it.each(all.filter(({ outcome }) => outcome === 'loads').map((block) => [titleOf(block), block.text]))(
    'loads: %s',
    async (_, text) => {
      const configFile = join(home, 'image-storage.yaml');
      await writeFile(configFile, text);
      expect(loadConfig({ configFile, cwd: home }).defaultProvider).not.toBe('');
    },
  );
});

describe('commands', () => {
  it.each(ofLanguage('', 'sh', 'bash').map((block) => [titleOf(block), block] as const))(
    'run: %s',
    async (_, block) => {
      await expect(run('sh', ['-ec', await printed(block)])).resolves.toEqual(expect.any(String));
    },
  );

  it.each(ofLanguage('ts').map((block) => [titleOf(block), block] as const))('run: %s', async (_, block) => {
    const text = await printed(block);
    const opened = text.includes('connect(')
      ? ''
      : "import { connect } from 'image-storage/client';\nconst client = connect();\n";
    const closed = opened === '' ? '' : '\nclient.close();\n';
    await writeFile(join(home, 'program.ts'), opened + text + closed);
    await expect(run(process.execPath, ['program.ts'])).resolves.toEqual(expect.any(String));
  });
});

const python = await pythonWith('clients/python/requirements-dev.txt');

requires('python3 with venv and pip', python !== undefined)('Python', () => {
  it('saves by the client, and without it', async () => {
    const [ours, plain] = ofLanguage('python');
    const withClient = { PYTHONPATH: join(root, 'clients/python/src'), PYTHONDONTWRITEBYTECODE: '1' };
    const saved = [await run(python!, ['-c', await printed(ours!)], withClient)];
    const [, generate] = /`python (-m grpc_tools\.protoc .+?)`/.exec(readFileSync(join(root, 'README.md'), 'utf8'))!;
    await run(python!, generate!.split(' '));
    saved.push(await run(python!, ['-c', await printed(plain!)]));
    const images = await imagesIn(daemon);
    for (const name of saved) {
      const image = images.find((each) => each.filename === name.trim());
      expect(image?.metadata).toMatchObject({ prompt: 'a red fox in the snow', model: 'flux-schnell' });
    }
  });
});
