/** `image-storage import --move`: no file goes whose bytes the store does not give back. */
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { chmod, link, mkdir, mkdtemp, readdir, readFile, rename, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { timestampFromDate } from '@bufbuild/protobuf/wkt';
import {
  type handleClientStreamingCall,
  type handleServerStreamingCall,
  type handleUnaryCall,
  type ServerWritableStream,
  status,
} from '@grpc/grpc-js';
import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest';
import { removeSource, stateOf } from '../../src/cli/import/remove-source.ts';
import { NamesAside } from '../../src/cli/import/set-aside.ts';
import { listStoredImages } from '../../src/cli/import/stored-images.ts';
import { connect, type Image, type ImageStorageClient, type SavedImage } from '../../src/client.ts';
import { EXIT } from '../../src/exit-codes.ts';
import { refusal, startScripted } from '../client/scripted-daemon.ts';
import { COMMAND, runCommands } from '../support/command.ts';
import { imageWith } from '../support/exif.ts';
import { pngOf } from '../support/images.ts';
import { type RunningDaemon, runDaemon } from '../support/running-daemon.ts';

let folder: string;
let source: string;
let daemon: RunningDaemon;
let client: ImageStorageClient;
const { signal } = new AbortController();

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'image-storage-move-'));
  daemon = await runDaemon();
  client = connect(daemon.address);
});

beforeEach(async () => {
  source = await mkdtemp(join(folder, 'source-'));
});

afterAll(async () => {
  client.close();
  await daemon.close();
  await rm(folder, { recursive: true });
});

const STORED = '20240927_141522_flux_abc123.png';
const ASIDE = /\.image-storage-move-[0-9a-f]{8}-[0-9a-f]{8}\.png$/;
const MISSING = { kept: 'BYTES_MISSING' };
const png = (seed: number) => pngOf({ width: 8, height: 6, seed });
const place = (name: string, bytes: Uint8Array) => writeFile(join(source, name), bytes);
const left = async () => (await readdir(source)).sort();

/** Imports the folder; with the files, its summary is the last of `told`. */
async function move(flags: string[] = [], address = daemon.address) {
  const { stdout, stderr, exitCode } = await runCommands([
    ['import', source, '--move', '--json', '--address', address, ...flags],
  ]);
  const told = stdout
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line));
  expect(told, stderr).not.toEqual([]);
  return { exitCode, stderr, summary: told.at(-1).summary, files: told.slice(0, -1) };
}

it('removes what was imported or there before, and leaves the rest', async () => {
  await place('new.png', png(1));
  await place('there.png', png(2));
  await client.save(png(2));
  await place('half.png', png(3).subarray(0, -20));
  await place('notes.txt', Buffer.from('a heron'));
  const { summary, exitCode } = await move();
  expect(summary).toMatchObject({ imported: 1, removed: 2, skipped: { DUPLICATE: 1, IMAGE_TRUNCATED: 1 } });
  expect(exitCode).toBe(EXIT.OK);
  expect(await left()).toEqual(['half.png', 'notes.txt']);
});

it('leaves what was deleted since it was imported, and with --bring-back saves it again first', async () => {
  await place('a.png', png(11));
  await move();
  await client.delete(await listed(png(11)));
  await place('a.png', png(11));
  expect(await move()).toMatchObject({ exitCode: EXIT.OK, summary: { imported: 0, skipped: { IMPORTED_BEFORE: 1 } } });
  expect(await left()).toEqual(['a.png']);
  await client.purge({ all: true });
  expect((await move()).summary).toMatchObject({ imported: 0, skipped: { IMPORTED_BEFORE: 1 } });
  expect(await left()).toEqual(['a.png']);
  expect((await move(['--bring-back'])).summary).toMatchObject({ imported: 1, removed: 1 });
  expect(await left()).toEqual([]);
  expect(await listed(png(11))).toHaveLength(1);
});

it('takes nothing out of a store, not even out of the one that it imports into', async () => {
  const own = (await client.save(png(21), { model: 'flux' })).path;
  await client.save(png(21), { model: 'flux' });
  source = own.slice(0, own.indexOf('images/generations'));
  const { summary, stderr, exitCode, files } = await move(['--concurrency', '1']);
  expect({ imported: summary.imported, removed: summary.removed, exitCode }).toEqual({
    imported: 0,
    exitCode: EXIT.NEGATIVE,
  });
  expect(files.every(({ kept }) => kept === 'OF_A_STORE')).toBe(true);
  expect(stderr).toBe('');
  expect(await readFile(own)).toEqual(png(21));
});

describe('the removal of one file', () => {
  let saved: SavedImage;
  let path: string;
  const remove = (state: Awaited<ReturnType<typeof stateOf>>, { filename, sha256 } = saved) =>
    removeSource(client, state, { filename, sha256, signal }, new NamesAside());

  beforeEach(async () => {
    path = join(source, 'a.png');
    await place('a.png', png(31));
    saved = await client.save(png(31));
  });

  it('does not happen after a change of its bytes or its time, or to another file of its name', async () => {
    const changes = [
      () => writeFile(path, png(32)),
      () => utimes(path, 1, 1),
      async () => {
        await place('other', png(31));
        await rename(join(source, 'other'), path);
      },
    ];
    for (const change of changes) {
      const state = await stateOf(path);
      await change();
      expect(await remove(state)).toEqual({ kept: 'CHANGED' });
    }
    expect(await left()).toEqual(['a.png']);
    expect(await remove(await stateOf(path))).toBeUndefined();
    expect(await left()).toEqual([]);
  });

  it('can be tried again where the daemon could not be asked, and is over where the file is to stay', async () => {
    const names = new NamesAside();
    const { size, mtimeMs } = await stat(path);
    const found = { kind: 'file', path, sizeBytes: size, modifiedAt: Math.trunc(mtimeMs) } as const;
    const ended = { ...saved, signal: AbortSignal.abort() };
    await expect(removeSource(client, await stateOf(path), ended, names)).rejects.toThrow();
    expect([await left(), names.has(found)]).toEqual([['a.png'], false]);
    await client.delete(saved.filename);
    expect(await removeSource(client, await stateOf(path), { ...saved, signal }, names)).toEqual(MISSING);
    expect([await left(), names.has(found)]).toEqual([['a.png'], true]);
  });

  it('needs bytes: not those of another image, and not a name whose image is gone', async () => {
    const other = await client.save(png(33));
    expect(await remove(await stateOf(path), { ...saved, filename: other.filename })).toEqual(MISSING);
    await client.delete(saved.filename);
    expect(await remove(await stateOf(path))).toEqual(MISSING);
    expect(await left()).toEqual(['a.png']);
  });
});

describe('a store that is scripted', () => {
  const UNSAVED: handleClientStreamingCall<object, object> = (call, answer) => {
    call.on('end', () => answer(refusal(status.INTERNAL, 'STORAGE_IO'))).resume();
  };
  const stats: handleUnaryCall<object, object> = (_, answer) => answer(null, { providers: [{ provider: 'local' }] });
  const image = (bytes: Buffer, filename = STORED) => ({
    filename,
    sha256: Buffer.from(sha256Of(bytes), 'hex'),
    size: BigInt(bytes.length),
  });
  /** Has an image of these bytes, and answers a Get of them as told. */
  const storeOf = (bytes: Buffer, get: handleServerStreamingCall<{ metadataOnly: boolean }, object>) => {
    const list: handleServerStreamingCall<object, object> = (call) => {
      call.write({ images: [{ ...image(bytes), metadata: {} }] });
      call.end();
    };
    return startScripted({ save: UNSAVED, list, stats, get });
  };

  it('and answers a repeated save for an image that is gone, is believed by no bytes', async () => {
    await place('a.png', png(41));
    const save: handleClientStreamingCall<object, object> = (call, answer) => {
      call.on('end', () => answer(null, { image: { ...image(png(41)), metadata: {} }, replayed: true })).resume();
    };
    const list: handleServerStreamingCall<object, object> = (call) => call.end();
    const bytes: { sent?: Buffer; described?: boolean } = { described: true };
    const get: handleServerStreamingCall<{ metadataOnly: boolean }, object> = (call) => {
      const sent = call.request.metadataOnly ? Buffer.of() : bytes.sent;
      if (sent === undefined) return void call.emit('error', refusal(status.DATA_LOSS, 'BYTES_MISSING'));
      answerWith(call, image(sent), sent);
    };
    await using older = await startScripted({ save, list, stats, get });
    for (const sent of [undefined, png(42)]) {
      bytes.sent = sent;
      const { summary, files, exitCode } = await move([], older.address);
      expect(summary).toMatchObject({ imported: 0, skipped: { DUPLICATE: 1 } });
      expect(files).toMatchObject([{ kept: 'BYTES_MISSING', removed: false }]);
      expect([summary.removed, exitCode]).toEqual([undefined, EXIT.IO]);
    }
    expect(await left()).toEqual(['a.png']);
  });

  it('and reads the very file, by whatever path, keeps it under its name', async () => {
    await place('a.png', png(43));
    await using store = await storeOf(png(43), async (call) => {
      const bytes = await readFile(join(source, 'a.png')).catch(() => undefined);
      if (bytes === undefined) call.emit('error', refusal(status.DATA_LOSS, 'BYTES_MISSING'));
      else answerWith(call, image(bytes), bytes);
    });
    expect((await move([], store.address)).files).toMatchObject([{ kept: 'BYTES_MISSING', removed: false }]);
    expect(await left()).toEqual(['a.png']);
  });

  it('and lets the image go after a time, has nothing removed', async () => {
    await place('a.png', png(44));
    await using store = await storeOf(png(44), (call) =>
      answerWith(call, { ...image(png(44)), expireTime: timestampFromDate(new Date()) }, png(44)),
    );
    expect(await move([], store.address)).toMatchObject({
      files: [{ kept: 'EXPIRES', removed: false }],
      exitCode: EXIT.NEGATIVE,
    });
    expect(await left()).toEqual(['a.png']);
  });

  it('and is asked as the name is taken by another, gets that not replaced, and the user the name aside', async () => {
    await place('a.png', png(45));
    await using store = await storeOf(png(45), async (call) => {
      await writeFile(join(source, 'a.png'), 'another');
      call.emit('error', refusal(status.DATA_LOSS, 'BYTES_MISSING'));
    });
    const { files } = await move([], store.address);
    expect(files[0]).toMatchObject({ kept: 'BYTES_MISSING', keptAs: expect.stringMatching(ASIDE) });
    expect(await readFile(join(source, 'a.png'), 'utf8')).toBe('another');
    expect(await readFile(join(source, files[0].keptAs))).toEqual(png(45));
  });

  it('and is asked as the run is killed, leaves a name that tells, and that the next run takes', async () => {
    const name = '2023-04-05 06.07.08.png';
    await place(name, png(46));
    const asked = Promise.withResolvers<void>();
    await using store = await storeOf(png(46), () => asked.resolve());
    const words = ['import', source, '--move', '--address', store.address];
    const child = spawn(process.execPath, [COMMAND, ...words], { stdio: 'ignore' });
    await asked.promise;
    child.kill('SIGKILL');
    await once(child, 'exit');
    expect(await left()).toEqual([expect.stringMatching(ASIDE)]);
    const { files, summary } = await move();
    expect(files).toMatchObject([{ outcome: 'imported', timestamp: '2023-04-05T06:07:08.000Z', removed: true }]);
    expect(summary).toMatchObject({ imported: 1, removed: 1 });
    expect(await left()).toEqual([]);
  });

  it('and is asked as the run is interrupted, has the name given back', async () => {
    await place('a.png', png(47));
    const asked = Promise.withResolvers<void>();
    await using store = await storeOf(png(47), () => asked.resolve());
    const words = ['import', source, '--move', '--address', store.address];
    const child = spawn(process.execPath, [COMMAND, ...words], { stdio: 'ignore' });
    await asked.promise;
    child.kill('SIGINT');
    expect(await once(child, 'exit')).toEqual([EXIT.INTERRUPTED, null]);
    expect(await left()).toEqual(['a.png']);
  });
});

it('saves for good what is stored for a time, and counts on what is pinned', async () => {
  await place('draft.png', png(51));
  await place('pinned.png', png(52));
  await client.save(png(51), {}, { ttlMs: 3_600_000 });
  await client.save(png(52), {}, { ttlMs: 3_600_000, pinned: true });
  expect((await move()).summary).toMatchObject({ imported: 1, removed: 2, skipped: { DUPLICATE: 1 } });
  expect(await left()).toEqual([]);
  expect((await imagesOf(png(51))).map(({ expireTime }) => expireTime)).toContain(undefined);
});

it('counts as imported what it may not remove, and says so in words', async () => {
  await place('a.png', png(53));
  await chmod(source, 0o555);
  const { files, summary, exitCode } = await move().finally(() => chmod(source, 0o755));
  expect(files).toMatchObject([{ outcome: 'imported', removed: false, kept: 'NOT_REMOVABLE' }]);
  expect(files[0].message).toMatch(/^not permitted to this user/);
  expect([summary.imported, summary.failed, exitCode]).toEqual([1, 0, EXIT.NEGATIVE]);
  expect(await left()).toEqual(['a.png']);
});

it('takes the longest names, and both names of what a run left', async () => {
  await place(`${'狐'.repeat(83)}.png`, png(54));
  const [whole, aside] = ['b.png', 'b.image-storage-move-0123abcd-4567cdef.png'];
  await place(whole, png(55));
  await link(join(source, whole), join(source, aside));
  await move(['--concurrency', '1']);
  expect(await left()).toEqual([]);
});

it('leaves to its user the equal of a stored image by its stored name, wherever it lies', async () => {
  const stored = await client.save(png(56), { model: 'flux' });
  const equal = await client.save(png(56), { model: 'flux' });
  for (const { filename } of [stored, equal]) await place(filename, png(56));
  expect((await move()).files).toMatchObject([{ kept: 'OF_A_STORE' }, { kept: 'OF_A_STORE' }]);
  expect(await left()).toEqual([stored.filename, equal.filename].sort());
});

it('gives the bytes of a save that fails to the next equal file, and the image of one that succeeds to all', async () => {
  const stored = await listStoredImages(client, { withNames: true, signal });
  const sha256 = sha256Of(png(60));
  expect(await stored.claim(sha256)).toBeUndefined();
  const [second, third] = [stored.claim(sha256), stored.claim(sha256)];
  stored.settle(sha256, undefined);
  expect(await second).toBeUndefined();
  stored.settle(sha256, { filename: STORED });
  expect(await third).toEqual({ filename: STORED });
});

it('removes all equal files of one run', async () => {
  for (const name of ['a.png', 'b.png', 'c.png']) await place(name, png(61));
  const { summary } = await move();
  expect(summary).toMatchObject({ imported: 1, skipped: { DUPLICATE: 2 }, removed: 3 });
  expect(await left()).toEqual([]);
});

it('leaves thumbnails of InvokeAI, whose images it has taken', async () => {
  await mkdir(join(source, 'thumbnails'));
  await place('a.png', png(62));
  await place('thumbnails/a.webp', await imageWith('webp', {}));
  await move();
  expect((await move()).summary).toMatchObject({ imported: 0, skipped: { THUMBNAIL: 1 } });
  expect(await readdir(join(source, 'thumbnails'))).toEqual(['a.webp']);
});

const sha256Of = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex');

function answerWith(call: ServerWritableStream<object, object>, image: object, bytes: Buffer): void {
  call.write({ payload: { case: 'image', value: { ...image, metadata: {} } } });
  if (bytes.length > 0) call.write({ payload: { case: 'chunk', value: bytes } });
  call.end();
}

async function imagesOf(bytes: Buffer): Promise<Image[]> {
  const images: Image[] = [];
  for await (const image of client.list({ query: `sha256:${sha256Of(bytes)}` })) images.push(image);
  return images;
}

async function listed(bytes: Buffer) {
  return (await imagesOf(bytes)).map(({ filename }) => filename);
}

it('follows a folder with --watch, and takes files once they are whole and settled', async () => {
  await place('before.png', png(951));
  const words = ['import', source, '--watch', '--move', '--json', '--address', daemon.address];
  const child = spawn(process.execPath, [COMMAND, ...words], { stdio: ['ignore', 'pipe', 'pipe'] });
  onTestFinished(() => void child.kill('SIGKILL'));
  const [stdout, closed] = [text(child.stdout), once(child, 'close')];
  const isGone = (name: string) =>
    vi.waitFor(async () => expect(await left()).not.toContain(name), { timeout: 20_000 });
  await isGone('before.png');
  await place('after.png', png(952));
  await mkdir(join(source, 'day'));
  await place('day/half.png', png(953).subarray(0, -20));
  await isGone('after.png');
  await place('day/half.png', png(953));
  await vi.waitFor(async () => expect(await readdir(join(source, 'day'))).toEqual([]), { timeout: 20_000 });
  child.kill('SIGINT');
  expect(await closed).toEqual([EXIT.OK, null]);
  const { summary } = JSON.parse((await stdout).trim().split('\n').at(-1)!);
  expect(summary).toMatchObject({ imported: 3, removed: 3, failed: 0, complete: true });
});
