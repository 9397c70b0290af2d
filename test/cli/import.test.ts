/** `image-storage import` over folders as other tools, and our own stores, leave them. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readdir, readFile, rm, stat, symlink, truncate, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { text } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it, onTestFinished, vi } from 'vitest';
import { dateInPath } from '../../src/cli/import/path-date.ts';
import { bytesOf } from '../../src/cli/shared/raw-path.ts';
import { timeLeft } from '../../src/cli/terminal/progress.ts';
import { connect, type Image, type ImageStorageClient, type ListOptions } from '../../src/client.ts';
import { EXIT } from '../../src/exit-codes.ts';
import { readPng } from '../../src/storage/embedded/png-text.ts';
import { readerOf } from '../../src/storage/embedded/read-at.ts';
import { COMMAND } from '../support/command.ts';
import { startCuttingProxy } from '../support/cutting-proxy.ts';
import { startDaemonProcess } from '../support/daemon-process.ts';
import { exifOf, imageWith } from '../support/exif.ts';
import { gifOf, noise, pngChunk, pngOf, riff, riffChunk, sharedImages } from '../support/images.ts';
import { type RunningDaemon, runDaemon } from '../support/running-daemon.ts';
import { full } from '../support/scale.ts';

const MANY = full ? 10_000 : 200;
const MAX_RSS_BYTES = 300e6;
const SIZE = { width: 8, height: 6 };
const TELL_RSS = "process.on('exit',()=>process.stderr.write('maxRSS='+process.resourceUsage().maxRSS))";

let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'image-storage-import-'));
});

afterAll(() => rm(folder, { recursive: true }));

interface Store extends AsyncDisposable {
  daemon: RunningDaemon;
  client: ImageStorageClient;
  images(options?: ListOptions): Promise<Image[]>;
}

/** What an import needs of a store. */
interface Served {
  daemon: { address: string };
}

async function openStore(): Promise<Store> {
  const daemon = await runDaemon();
  const client = connect(daemon.address);
  return {
    daemon,
    client,
    async images(options) {
      const images: Image[] = [];
      for await (const image of client.list(options)) images.push(image);
      return images;
    },
    async [Symbol.asyncDispose]() {
      client.close();
      await daemon.close();
    },
  };
}

function startImport({ daemon }: Served, source: string, flags: string[] = [], output = ['--json']) {
  const options = `--import=data:text/javascript,${encodeURIComponent(TELL_RSS)}`;
  const command = [COMMAND, 'import', source, ...output, '--address', daemon.address, ...flags];
  return spawn(process.execPath, command, { env: { ...process.env, NODE_OPTIONS: options } });
}

/** Its exit code, what it printed for each file and at its end, and the most memory it had. */
async function runImport(store: Served, source: string, flags: string[] = []) {
  const child = startImport(store, source, flags);
  const closed = once(child, 'close');
  const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr)]);
  const [exitCode] = await closed;
  const lines = stdout.split('\n').filter(Boolean);
  const [last, ...files] = lines.map((line) => JSON.parse(line)).reverse();
  const [told = '', rssKib] = stderr.split('maxRSS=');
  return { exitCode, summary: last?.summary, files, told, rssBytes: Number(rssKib) * 1024 };
}

/** What it tells people. */
async function readImport(store: Served, source: string, flags: string[] = []) {
  const child = startImport(store, source, flags, []);
  const closed = once(child, 'close');
  const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr)]);
  const [exitCode] = await closed;
  return { exitCode, stdout, stderr: stderr.split('maxRSS=')[0]! };
}

/** Writes a file, and the folders above it, below the folder of the tests. The path is raw. */
async function place(path: string, bytes: Uint8Array, modified = '2020-01-02T03:04:05Z'): Promise<void> {
  const target = bytesOf(join(folder, path));
  await mkdir(bytesOf(dirname(join(folder, path))), { recursive: true });
  await writeFile(target, bytes);
  await utimes(target, new Date(modified), new Date(modified));
}

const graphOf = (prompt: string) =>
  JSON.stringify({
    '1': { class_type: 'CheckpointLoaderSimple', inputs: { ckpt_name: 'SDXL/juggernaut.safetensors' } },
    '2': { class_type: 'CLIPTextEncode', inputs: { text: prompt, clip: ['1', 1] } },
    '3': { class_type: 'KSampler', inputs: { seed: 7, model: ['1', 0], positive: ['2', 0] } },
  });

/** What a caller sees of the one image that the query finds. */
async function imported(store: Store, query: string) {
  const [image, ...others] = await store.images({ query });
  expect(others).toEqual([]);
  const { prompt, model, timestamp, parametersJson } = image!.metadata;
  return { prompt, model, timestamp: timestamp.toISOString(), parameters: JSON.parse(parametersJson || '{}') };
}

describe('takes over', () => {
  it('what ComfyUI saved, with the time of the file', async () => {
    await using store = await openStore();
    await place('comfy/ComfyUI_00001_.png', pngOf({ ...SIZE, text: { prompt: graphOf('a heron') } }));
    const webp = await imageWith('webp', { exif: exifOf({ model: `prompt:${graphOf('an otter')}` }) });
    const exifAt = webp.indexOf('EXIF');
    const farFromStart = [webp.subarray(12, exifAt), riffChunk('JUNK', noise(3_000_000, 1)), webp.subarray(exifAt)];
    await place('comfy/sub/ComfyUI_00002_.webp', riff(...farFromStart));
    expect((await runImport(store, join(folder, 'comfy'))).summary).toMatchObject({ imported: 2, failed: 0 });
    const common = { model: 'juggernaut', timestamp: '2020-01-02T03:04:05.000Z' };
    for (const prompt of ['a heron', 'an otter']) {
      const image = await imported(store, prompt);
      expect(image).toMatchObject({ ...common, prompt, parameters: { seed: 7 } });
    }
  });

  it('what A1111 saved, with the day of its folder', async () => {
    await using store = await openStore();
    const parameters = 'a heron\nSteps: 20, Sampler: Euler a, Seed: 5, Model: dreamshaper_8';
    await place('a1111/txt2img-images/2023-04-05/00001-5.png', pngOf({ ...SIZE, text: { parameters } }));
    const comment = Buffer.concat([
      Buffer.from('UNICODE\0'),
      Buffer.from(parameters.replace('heron', 'otter'), 'utf16le').swap16(),
    ]);
    const avif = await imageWith('avif', { exif: exifOf({ comment }) });
    await place('a1111/txt2img-images/2023-04-05/00002-5.avif', avif, '2023-04-05T06:07:08Z');
    await runImport(store, join(folder, 'a1111'));
    const common = { model: 'dreamshaper_8', parameters: { seed: 5, steps: 20 } };
    expect(await imported(store, 'heron')).toMatchObject({ ...common, timestamp: '2023-04-05T00:00:00.000Z' });
    expect(await imported(store, 'otter')).toMatchObject({ ...common, timestamp: '2023-04-05T06:07:08.000Z' });
  });

  it('what InvokeAI saved, without its thumbnails', async () => {
    await using store = await openStore();
    const metadata = JSON.stringify({ positive_prompt: 'a heron', model: { name: 'sdxl-base' }, seed: 9 });
    await place('invoke/images/x.png', pngOf({ ...SIZE, text: { invokeai_metadata: metadata } }));
    await place('invoke/images/thumbnails/x.webp', await imageWith('webp', {}));
    const { summary } = await runImport(store, join(folder, 'invoke'));
    expect(summary).toMatchObject({ imported: 1, skipped: { THUMBNAIL: 1 } });
    expect(await imported(store, 'heron')).toMatchObject({ model: 'sdxl-base', parameters: { seed: 9 } });
  });

  it('a store of ours as it was, and nothing of what it keeps for itself', async () => {
    await using old = await openStore();
    await using store = await openStore();
    const metadata = { prompt: 'a heron', model: 'FLUX.1 [dev]', category: 'birds', tags: ['b', 'a'] };
    const timestamp = new Date('2024-09-27T14:15:22.123Z');
    const text = { parameters: 'not this\nSteps: 1, Seed: 1, Model: nor_this' };
    const { path, key } = await old.client.save(
      pngOf({ ...SIZE, text }),
      { ...metadata, timestamp, parametersJson: '{"seed":18446744073709551615}' },
      { pinned: true },
    );
    const basePath = path.slice(0, -key.length + 'outputs/'.length);
    const { summary } = await runImport(store, basePath, ['--tag', 'moved']);
    expect(summary).toMatchObject({ imported: 1, skipped: {} });
    const [image] = await store.images();
    const same = { ...metadata, tags: expect.arrayContaining(['a', 'b', 'moved']), timestamp };
    expect(image).toMatchObject({ pinned: true, metadata: same });
    expect(image!.metadata.parametersJson).toBe('{"seed":18446744073709551615}');
  });

  it('plain files, with the date in the file before that in its name', async () => {
    await using store = await openStore();
    await place('plain/20230401_101112.gif', gifOf(SIZE));
    await place('plain/2023-04-01.jpg', await imageWith('jpeg', { exif: exifOf({ original: '2022:02:03 04:05:06' }) }));
    const flags = ['--category', 'old', '--tag', 'x', '--provider', 'local'];
    const { files } = await runImport(store, join(folder, 'plain'), flags);
    const images = await store.images({ category: 'old', tags: ['x'] });
    expect(images.map(({ metadata }) => metadata.timestamp.toISOString())).toEqual([
      '2023-04-01T10:11:12.000Z',
      '2022-02-03T04:05:06.000Z',
    ]);
    expect(new Set(files.map(({ filename }) => filename))).toEqual(new Set(images.map(({ filename }) => filename)));
  });
});

/** Other systems have no such names. */
it.runIf(process.platform === 'linux')('takes names that are no UTF-8, as archives of Windows leave them', async () => {
  await using old = await openStore();
  await using store = await openStore();
  const { path, key } = await old.client.save(pngOf({ ...SIZE, seed: 20 }), { prompt: 'a heron', model: 'heron-1' });
  await place(`windows/B\xfccher/${key}`, await readFile(path));
  // It is written after the answer.
  const record = await vi.waitFor(() => readFile(`${path.replace('/images/', '/metadata/')}.json`));
  await place(`windows/B\xfccher/${key.replace('/images/', '/metadata/')}.json`, record);
  await place('windows/2023-04-05/f\xfcr.png', pngOf({ ...SIZE, seed: 21 }));
  const { summary, files } = await runImport(store, join(folder, 'windows'));
  expect(summary).toMatchObject({ imported: 2, skipped: { TYPE_NOT_ALLOWED: 1 }, failed: 0 });
  expect(files.map(({ file }) => file)).toContain('2023-04-05/f\ufffdr.png');
  expect(await imported(store, 'heron')).toMatchObject({ model: 'heron-1' });
  const [dated] = await store.images({ dateRange: { start: new Date('2023-04-05'), end: new Date('2023-04-06') } });
  expect(dated).toBeDefined();
});

describe('run at the same time', () => {
  const COUNT = 60;
  const seeds = Array.from({ length: COUNT }, (_, seed) => 100 + seed);
  /** Lets some of the files through, never all of them: an import stays under way, however slow the machine. */
  const stallHalfway = ({ daemon }: Served) => {
    const bytes = seeds.reduce((sum, seed) => sum + pngOf({ ...SIZE, seed }).length, 0);
    return startCuttingProxy(daemon.address, [{ stallAfterUpload: bytes / 2 }]);
  };

  it('as another import of the folder shares its files with that', async () => {
    await using store = await openStore();
    await Promise.all(seeds.map((seed) => place(`twice/${seed}.png`, pngOf({ ...SIZE, seed }))));
    const runs = await Promise.all([1, 2].map(() => runImport(store, join(folder, 'twice'))));
    const [one, two] = runs.map(({ summary }) => summary);
    expect(one.imported + two.imported).toBe(COUNT);
    expect([one.skipped, two.skipped]).toEqual(
      [one, two].map(({ imported }) => (imported === COUNT ? {} : { DUPLICATE: COUNT - imported })),
    );
    expect(await store.images()).toHaveLength(COUNT);
  });

  it('as somebody removes the files takes what is left', async () => {
    await using store = await openStore();
    await Promise.all(seeds.map((seed) => place(`leaving/${seed}.png`, pngOf({ ...SIZE, seed }))));
    await using proxy = await stallHalfway(store);
    const child = startImport({ daemon: proxy }, join(folder, 'leaving'), ['--concurrency', '1']);
    const closed = once(child, 'close');
    const stdout = text(child.stdout);
    await once(child.stdout, 'readable');
    await Promise.all(seeds.map((seed) => rm(join(folder, `leaving/${seed}.png`))));
    // It may have yet to stall.
    const releasing = setInterval(() => proxy.release(), 10);
    onTestFinished(() => clearInterval(releasing));
    const { summary } = JSON.parse((await stdout).trim().split('\n').at(-1)!);
    expect(await closed).toEqual([EXIT.OK, null]);
    expect(summary).toMatchObject({ failed: 0, complete: true, skipped: { GONE: expect.any(Number) } });
  });

  it('as the daemon dies ends, says so, and finishes when it is run again', async () => {
    const basePath = await mkdtemp(join(folder, 'outputs-'));
    await Promise.all(seeds.map((seed) => place(`dying/${seed}.png`, pngOf({ ...SIZE, seed }))));
    const first = await startDaemonProcess(basePath);
    onTestFinished(() => void first.process.kill('SIGKILL'));
    await using proxy = await stallHalfway({ daemon: first });
    const child = startImport({ daemon: proxy }, join(folder, 'dying'), ['--concurrency', '2']);
    const [stdout, stderr, closed] = [text(child.stdout), text(child.stderr), once(child, 'close')];
    await once(child.stdout, 'readable');
    first.process.kill('SIGKILL');
    const told = (await stderr).split('maxRSS=')[0]!;
    expect(await closed).toEqual([EXIT.UNAVAILABLE, null]);
    expect(told).toMatch(/cannot reach .*: is the daemon running\?\n$/);
    // The key is the command's own affair.
    expect(told).not.toContain('--idempotency-key');
    const interrupted = JSON.parse((await stdout).trim().split('\n').at(-1)!).summary;
    expect(interrupted).toMatchObject({ complete: false });

    const second = await startDaemonProcess(basePath);
    onTestFinished(() => void second.process.kill('SIGKILL'));
    const { summary } = await runImport({ daemon: second }, join(folder, 'dying'));
    expect(summary).toMatchObject({ failed: 0, complete: true });
    expect(summary.imported + summary.skipped.DUPLICATE).toBe(COUNT);
    const client = connect(second.address);
    const [stats] = await client.stats();
    client.close();
    expect(stats!.count).toBe(COUNT);
  });
});

describe('leaves alone', () => {
  it('what is no image, damaged, there twice or a link; and says so', async () => {
    await using store = await openStore();
    const png = pngOf({ ...SIZE, seed: 1 });
    await place('outside/secret.png', pngOf({ ...SIZE, seed: 2 }));
    await place('mixed/a.png', png);
    await place('mixed/copy.png', png);
    await place('mixed/half.png', png.subarray(0, -20));
    await place('mixed/empty.png', Buffer.alloc(0));
    await place('mixed/notes.txt', Buffer.from('a heron'));
    await symlink(join(folder, 'outside'), join(folder, 'mixed/linked'));
    await symlink(join(folder, 'outside/secret.png'), join(folder, 'mixed/link.png'));
    const before = await contentsOf('mixed');
    const { summary, exitCode } = await runImport(store, join(folder, 'mixed'));
    expect(summary).toEqual({
      imported: 1,
      importedBytes: png.length,
      skipped: { DUPLICATE: 1, IMAGE_TRUNCATED: 1, IMAGE_EMPTY: 1, TYPE_NOT_ALLOWED: 1, SYMBOLIC_LINK: 2 },
      failed: 0,
      dryRun: false,
      complete: true,
      neededBytes: expect.any(Number),
      freeBytes: expect.any(Number),
    });
    expect(exitCode).toBe(EXIT.OK);
    expect(await store.images()).toHaveLength(1);
    expect(await contentsOf('mixed')).toEqual(before);
    expect((await runImport(store, join(folder, 'mixed'), ['--strict'])).exitCode).toBe(EXIT.NEGATIVE);
  });

  it('empty files that are no images, also with --strict', async () => {
    await using store = await openStore();
    await place('strict/whole.png', pngOf({ ...SIZE, seed: 50 }));
    await place('strict/.gitkeep', Buffer.alloc(0));
    expect((await runImport(store, join(folder, 'strict'), ['--strict'])).exitCode).toBe(EXIT.OK);
  });

  it('what other programs keep for themselves, and counts it', async () => {
    await using store = await openStore();
    const images = [
      '@eaDir/a.png/SYNOPHOTO_THUMB_XL.jpg',
      '#recycle/a.png',
      'sub/.ipynb_checkpoints/a-checkpoint.png',
      '.thumbnails/normal/a.png',
      '__MACOSX/a.png',
      '.Trash-1000/files/a.png',
      '.Trashes/501/a.png',
      '$RECYCLE.BIN/S-1-5/a.png',
      'a.swarmpreview.jpg',
      'sub/A.SwarmPreview.webp',
      'a.png',
      // No trash, and no thumbnail.
      'trash/b.png',
      'recycle/c.png',
      'swarmpreview.png',
    ];
    await Promise.all(images.map((path, seed) => place(`others/${path}`, pngOf({ ...SIZE, seed: 30 + seed }))));
    await place('others/._a.png', Buffer.from('\x00\x05\x16\x07\x00\x02\x00\x00Mac OS X', 'latin1'));
    const { summary, files } = await runImport(store, join(folder, 'others'));
    expect(summary).toMatchObject({ imported: 4, failed: 0, skipped: { ASIDE: 8, THUMBNAIL: 2, COMPANION: 1 } });
    expect(files).toContainEqual({ file: 'sub/.ipynb_checkpoints', outcome: 'skipped', reason: 'ASIDE' });
    expect(await store.images()).toHaveLength(4);
    // Whoever names such a folder means it.
    const meant = await runImport(store, join(folder, 'others/#recycle'));
    expect(meant.summary).toMatchObject({ imported: 1, skipped: {} });
  });

  it('what was deleted from the store, whatever it is imported as, until it is told otherwise', async () => {
    await using store = await openStore();
    await place('gone/a.png', pngOf({ ...SIZE, seed: 3 }));
    await runImport(store, join(folder, 'gone'));
    await store.client.delete((await store.images()).map(({ filename }) => filename));
    expect((await runImport(store, join(folder, 'gone'))).summary).toMatchObject({ skipped: { IMPORTED_BEFORE: 1 } });
    const again = ['--tag', 'again'];
    expect((await runImport(store, join(folder, 'gone'), again)).summary).toMatchObject({
      skipped: { IMPORTED_BEFORE: 1 },
    });
    const told = await runImport(store, join(folder, 'gone'), [...again, '--bring-back']);
    expect(told.summary).toMatchObject({ imported: 1 });
  });

  it('everything in a dry run, which tells what it would do', async () => {
    await using store = await openStore();
    await place('dry/20230401_101112.png', pngOf({ ...SIZE, text: { prompt: graphOf('a heron') } }));
    const { summary, files } = await runImport(store, join(folder, 'dry'), ['--dry-run']);
    expect(summary).toMatchObject({ imported: 1, dryRun: true });
    expect(files).toEqual([
      expect.objectContaining({ prompt: 'a heron', model: 'juggernaut', timestamp: '2023-04-01T10:11:12.000Z' }),
    ]);
    expect(await store.images()).toEqual([]);
  });
});

describe('tells', () => {
  it('of each file what it is stored as, with --verbose and in JSON', async () => {
    await using store = await openStore();
    const png = pngOf({ ...SIZE, seed: 60 });
    await place('named/a.png', png);
    await place('named/notes.txt', Buffer.from('a heron'));
    const first = await readImport(store, join(folder, 'named'), ['--verbose']);
    const [{ filename } = { filename: '' }] = await store.images();
    const summary = `imported 1 image, ${png.length} B\nskipped 1 file: no PNG, JPEG, WebP, GIF or AVIF\n`;
    expect(first.stdout.split('\n').slice(0, 2).sort()).toEqual([
      `imported  a.png as ${filename}`,
      'skipped   notes.txt: no PNG, JPEG, WebP, GIF or AVIF',
    ]);
    expect(first.stdout.endsWith(summary)).toBe(true);
    await place('named/copy.png', png);
    const second = await readImport(store, join(folder, 'named'), ['--verbose']);
    expect(second.stdout).toContain(`skipped   copy.png: stored already, as ${filename}\n`);
    const { files } = await runImport(store, join(folder, 'named'));
    expect(files).toContainEqual({ file: 'a.png', outcome: 'skipped', reason: 'DUPLICATE', storedAs: filename });
    expect((await readImport(store, join(folder, 'named'))).stdout).not.toContain('a.png');
  });
});

it('sums up by model and month in a dry run, and names each file only with --verbose', async () => {
  await using store = await openStore();
  const files: [path: string, model: string][] = [
    ['sums/20230401_101112.png', 'dreamshaper_8'],
    ['sums/20230430_235959.png', 'dreamshaper_8'],
    ['sums/20230501_000000.png', 'juggernaut'],
  ];
  for (const [at, [path, model]] of files.entries()) {
    const parameters = `a heron\nSteps: 20, Sampler: Euler a, Seed: ${at}, Model: ${model}`;
    await place(path, pngOf({ ...SIZE, seed: at, text: { parameters }, sizeBytes: 100_000 }));
  }
  await place('sums/plain.gif', gifOf(SIZE), '2023-05-02T00:00:00Z');
  const dry = await readImport(store, join(folder, 'sums'), ['--dry-run']);
  const gif = `${gifOf(SIZE).length} B`;
  const row = (name: string, count: string, size: string) => name.padEnd(15) + count.padStart(6) + size.padStart(8);
  expect(dry.stdout.trimEnd().split('\n')).toEqual([
    'would import 4 images, 300 kB',
    '',
    row('MODEL', 'IMAGES', 'SIZE'),
    row('dreamshaper_8', '2', '200 kB'),
    row('(no model)', '1', gif),
    row('juggernaut', '1', '100 kB'),
    '',
    'MONTH    IMAGES    SIZE',
    '2023-05       2  100 kB',
    '2023-04       2  200 kB',
  ]);
  const named = await readImport(store, join(folder, 'sums'), ['--dry-run', '--verbose']);
  expect(named.stdout).toContain('20230501_000000.png  2023-05-01 00:00:00  juggernaut  a heron\n');
  const { summary } = await runImport(store, join(folder, 'sums'), ['--dry-run']);
  expect(summary.byModel[0]).toEqual({ name: 'dreamshaper_8', count: 2, bytes: 200_000 });
  expect(summary.byMonth.map(({ name }: { name: string }) => name)).toEqual(['2023-05', '2023-04']);
  expect(await store.images()).toEqual([]);
});

it('says what room it needs and what is free, and does not begin where that is too little', async () => {
  await using store = await openStore();
  const png = pngOf({ ...SIZE, seed: 70, sizeBytes: 200_000 });
  await place('room/a.png', png);
  const [before] = await store.client.stats();
  const first = await readImport(store, join(folder, 'room'));
  expect(first.stderr).toMatch(/^1 image, about 208 kB of them new; [\d.]+ [kMGTP]B are free\n$/);
  // Of a file as large, which is no image, nothing is read.
  await place('room/b.png', Buffer.alloc(1));
  await truncate(join(folder, 'room/b.png'), before!.freeBytes! + 2 ** 30);
  const refused = await readImport(store, join(folder, 'room'));
  expect([refused.exitCode, refused.stdout]).toEqual([EXIT.IO, '']);
  expect(refused.stderr).toMatch(
    /^image-storage: too little room: 2 images, about .* are free; --force imports what fits\n$/,
  );
  const moving = await readImport(store, join(folder, 'room'), ['--move']);
  expect([moving.exitCode, moving.stdout]).toEqual([EXIT.IO, '']);
  expect(moving.stderr).toContain(
    '; --force begins all the same: on one disk each file that --move removes makes room',
  );
  const planned = await runImport(store, join(folder, 'room'), ['--dry-run']);
  expect([planned.exitCode, planned.summary.skipped]).toEqual([EXIT.OK, { DUPLICATE: 1, TYPE_NOT_ALLOWED: 1 }]);
  const { neededBytes, freeBytes } = planned.summary;
  expect(neededBytes).toBeGreaterThan(freeBytes);

  await place('room/c.png', pngOf({ ...SIZE, seed: 71 }));
  const forced = await runImport(store, join(folder, 'room'), ['--force']);
  expect(forced.summary).toMatchObject({ imported: 1, skipped: { DUPLICATE: 1, TYPE_NOT_ALLOWED: 1 } });

  // What is stored needs no room.
  await rm(join(folder, 'room/b.png'));
  expect((await readImport(store, join(folder, 'room'))).stderr).toMatch(/^2 images, about 0 B of them new; /);
});

it('tells of a folder that is not there', async () => {
  await using store = await openStore();
  const { told, exitCode } = await runImport(store, join(folder, 'nowhere'));
  expect(told).toMatch(/^image-storage: .*nowhere: no such file or folder\n$/);
  expect(exitCode).toBe(EXIT.IO);
});

/** Names, times and bytes of what lies in a folder. */
async function contentsOf(name: string) {
  const entries = await readdir(join(folder, name), { withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile()).map((entry) => join(folder, name, entry.name));
  const contents = files.map(async (path) => ({ path, time: (await stat(path)).mtimeMs, bytes: await readFile(path) }));
  return Promise.all(contents);
}

it.each([
  ['2023-04-05/2024-09-27 14.15.22.png', '2024-09-27T14:15:22.000Z'],
  ['2024-09-27_14-15-22_1234.png', '2024-09-27T14:15:22.000Z'],
  ['2023-04-05/00001-20240927.png', '2023-04-05T00:00:00.000Z'],
  ['2020-01-01/00001-5.png', '2020-01-02T03:04:05.000Z'],
  ['ComfyUI_20240931_101112.png', undefined],
  ['1727446522123_123456.png', undefined],
])('reads the date in %s, of a file of 2 January 2020', (path, date) => {
  const found = dateInPath(path, Date.parse('2020-01-02T03:04:05Z'));
  expect(found && new Date(found).toISOString()).toBe(date);
});

it.each([
  [0.5, 90_000, ', 1:30 left'],
  [0.01, 60_000, ', 1:39:00 left'],
  [0.5, 1_000, ''],
])('of %d done in %d ms tells the time that is left', (share, elapsedMs, text) => {
  expect(timeLeft(share, elapsedMs)).toBe(text);
});

describe.runIf(sharedImages().length > 0)(`${MANY} small files made of the real ones`, () => {
  const wordOf = (number: number) => `word${number.toString(36).padStart(5, '0')}x`;

  beforeAll(async () => {
    const pngs = sharedImages().filter(({ name }) => name.endsWith('.png'));
    const small = await Promise.all(pngs.map(({ bytes }) => sharp(bytes).resize(48).png().toBuffer()));
    const texts = await Promise.all(pngs.map(async ({ bytes }) => (await readPng(readerOf(bytes))).texts!));
    for (let number = 0; number < MANY; number += 1) {
      const at = number % pngs.length;
      await place(`many/${number % 100}/ComfyUI_${number}_.png`, withTexts(small[at]!, texts[at]!, wordOf(number)));
    }
    for (const [name, format] of [
      ['.jpg', 'jpeg'],
      ['.webp', 'webp'],
    ] as const) {
      const { bytes } = sharedImages().find((image) => image.name.endsWith(name))!;
      await place(`many/other${name}`, await sharp(bytes).resize(48).keepExif().toFormat(format).toBuffer());
    }
  }, 300_000);

  /** With its texts as they are, but for one word more in the prompt. */
  function withTexts(png: Buffer, texts: Map<string, string>, word: string): Buffer {
    const chunks = [...texts].map(([keyword, value]) => {
      const told = keyword === 'prompt' ? value.replace(/(beautiful|anime|girl|glass)/, `${word} $1`) : value;
      return pngChunk('iTXt', Buffer.from(`${keyword}\0\0\0\0\0${told}`));
    });
    return Buffer.concat([png.subarray(0, 33), ...chunks, png.subarray(33)]);
  }

  it('arrive, are each found by a word of their prompt, and are not copied again', async () => {
    await using store = await openStore();
    const startedAt = performance.now();
    const first = await runImport(store, join(folder, 'many'));
    const seconds = (performance.now() - startedAt) / 1000;
    expect(first.summary).toMatchObject({ imported: MANY + 2, skipped: {}, failed: 0 });
    const megabytes = Math.round(first.rssBytes / 1e6);
    console.info(`imported ${MANY} files, ${Math.round(MANY / seconds)} a second, at most ${megabytes} MB of memory`);
    expect(first.rssBytes).toBeLessThan(MAX_RSS_BYTES);

    for (let number = 0; number < MANY; number += 1) {
      const found = await store.images({ query: wordOf(number) });
      expect(found.map(({ metadata }) => metadata.prompt)).toEqual([expect.stringContaining(wordOf(number))]);
    }
    const hunyuan = await store.images({ query: 'anime', model: 'hunyuan_video_t2v_720p_bf16' });
    expect(hunyuan.map(({ contentType }) => contentType)).toEqual(['image/webp']);

    const [before] = await store.client.stats();
    const second = await runImport(store, join(folder, 'many'));
    expect(second.summary).toMatchObject({ imported: 0, skipped: { DUPLICATE: MANY + 2 }, failed: 0 });
    expect((await store.client.stats())[0]).toMatchObject({ count: before!.count, bytes: before!.bytes });
  }, 600_000);

  it('arrive once each when the import is killed and run again', async () => {
    await using store = await openStore();
    const child = startImport(store, join(folder, 'many'), ['--concurrency', '4']);
    const countOf = async () => (await store.client.stats())[0]!.count;
    const closed = once(child, 'close');
    child.stdout.resume();
    while ((await countOf()) < MANY / 10) await sleep(5);
    child.kill('SIGKILL');
    await closed;
    expect(await countOf()).toBeLessThan(MANY);
    const { summary } = await runImport(store, join(folder, 'many'));
    expect(summary.imported + summary.skipped.DUPLICATE).toBe(MANY + 2);
    const images = await store.images();
    expect(images).toHaveLength(MANY + 2);
    expect(new Set(images.map(({ sha256 }) => sha256)).size).toBe(MANY + 2);
  }, 600_000);
});
