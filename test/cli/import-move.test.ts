/** `image-storage import --move`: no file goes whose bytes the store does not give back. */
import { createHash } from 'node:crypto';
import { mkdtemp, readdir, readFile, rename, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  type handleClientStreamingCall,
  type handleServerStreamingCall,
  type handleUnaryCall,
  status,
} from '@grpc/grpc-js';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { removeSource, stateOf } from '../../src/cli/import/remove-source.ts';
import { connect, type ImageStorageClient, type SavedImage } from '../../src/client.ts';
import { EXIT } from '../../src/exit-codes.ts';
import { refusal, startScripted } from '../client/scripted-daemon.ts';
import { runCommands } from '../support/command.ts';
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
    removeSource(client, state, { filename, sha256, signal });

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
      expect(await remove(state)).toBe('CHANGED');
    }
    expect(await left()).toEqual(['a.png']);
    expect(await remove(await stateOf(path))).toBeUndefined();
    expect(await left()).toEqual([]);
  });

  it('needs bytes: not those of another image, and not a name whose image is gone', async () => {
    const other = await client.save(png(33));
    expect(await remove(await stateOf(path), { ...saved, filename: other.filename })).toBe('BYTES_MISSING');
    await client.delete(saved.filename);
    expect(await remove(await stateOf(path))).toBe('BYTES_MISSING');
    expect(await left()).toEqual(['a.png']);
  });
});

it('believes no older daemon that answers for an image that is gone', async () => {
  await place('a.png', png(41));
  const { filename } = await client.save(png(42));
  const save: handleClientStreamingCall<object, object> = (call, answer) => {
    call.on('end', () => answer(null, { image: { filename, metadata: {}, size: 1n }, replayed: true })).resume();
  };
  const list: handleServerStreamingCall<object, object> = (call) => call.end();
  const stats: handleUnaryCall<object, object> = (_, answer) => answer(null, { providers: [{ provider: 'local' }] });
  const get: handleServerStreamingCall<object, object> = (call) =>
    void call.emit('error', refusal(status.NOT_FOUND, 'IMAGE_NOT_FOUND'));
  await using older = await startScripted({ save, list, stats, get });
  expect((await move([], older.address)).summary).toMatchObject({ imported: 0, skipped: { IMPORTED_BEFORE: 1 } });
  expect(await left()).toEqual(['a.png']);
});

async function listed(bytes: Buffer) {
  const sha256 = createHash('sha256').update(bytes).digest('hex');
  const names: string[] = [];
  for await (const { filename } of client.list({ query: `sha256:${sha256}` })) names.push(filename);
  return names;
}
