/** POST /zip: what is in the archive, what is left out, who may ask, and what ends with whom it was for. */
import { execFileSync, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, readdir, readFile, readlink, rm, truncate, writeFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, request } from 'node:http';
import { connect as connectHttp2 } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Image } from '../../gen/imagestorage/v1/image_storage_pb.ts';
import { connect } from '../../src/client.ts';
import { admitAnybody } from '../../src/http/authorize.ts';
import { answerNothing } from '../../src/http/errors.ts';
import { callerOf } from '../../src/http/peers.ts';
import { createPlainRoutes } from '../../src/http/plain-routes.ts';
import { createRouter } from '../../src/http/router.ts';
import { zipRoute } from '../../src/http/zip.ts';
import { createCallMemory } from '../../src/rpc/memory.ts';
import { StorageError } from '../../src/storage/domain/errors.ts';
import type { Logger } from '../../src/storage/domain/logger.ts';
import type { Storage, StoredImage } from '../../src/storage/types.ts';
import { startDaemonProcess } from '../support/daemon-process.ts';
import { saveAt, storageAt } from '../support/grpc.ts';
import { jpegOf, pngOf, webpOf } from '../support/images.ts';
import { requires } from '../support/requires.ts';
import { type RunningDaemon, runDaemon } from '../support/running-daemon.ts';
import { full } from '../support/scale.ts';
import { answerOf, talk } from './raw-http.ts';

type Fields = [name: 'filename' | 'provider' | 'other', value: string][];
type Line = Record<string, unknown>;

const READER = fileURLToPath(new URL('../support/zip.py', import.meta.url));
const MIB = 1024 * 1024;
const FORM = 'application/x-www-form-urlencoded';
const END_OF_ARCHIVE = 0x0605_4b50;
const hasPython = spawnSync('python3', ['-c', 'import zipfile']).status === 0;

const files = {
  png: pngOf({ width: 64, height: 64, sizeBytes: 700_000 }),
  jpeg: jpegOf({ width: 64, height: 64 }),
  webp: webpOf({ width: 64, height: 64 }),
  /** Too large to be kept while it is checked. */
  large: pngOf({ width: 64, height: 64, seed: 1, sizeBytes: 9 * MIB }),
};
const timestamp = (iso: string) => ({ seconds: BigInt(Date.parse(iso) / 1000), nanos: 0 });
const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');
const named = (...images: { filename: string }[]): Fields => images.map(({ filename }) => ['filename', filename]);
const bodyOf = (fields: Fields) => new URLSearchParams(fields).toString();

let folder: string;
let daemon: RunningDaemon;
let images: Record<keyof typeof files, Image>;
const lines: Line[] = [];
const at = (level: string) => (about: object, msg: string) => void lines.push({ level, msg, ...about });
const log: Logger = { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') };

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'image-storage-zip-'));
  const settings = {
    IMAGE_STORAGE_LIMITS_FIRST_MESSAGE_SECONDS: '1',
    IMAGE_STORAGE_PROVIDERS_ARCHIVE_TYPE: 'local',
    IMAGE_STORAGE_PROVIDERS_ARCHIVE_BASE_PATH: join(folder, 'archive'),
  };
  daemon = await runDaemon(settings, { log });
  const save = async (bytes: Buffer, time: string) =>
    await saveAt(daemon.address, bytes, { metadata: { model: 'flux', timestamp: timestamp(time) } });
  images = {
    png: await save(files.png, '2024-09-27T14:15:22Z'),
    jpeg: await save(files.jpeg, '2024-01-01T00:00:00Z'),
    webp: await save(files.webp, '1971-05-06T07:08:10Z'),
    large: await save(files.large, '2026-12-31T23:59:58Z'),
  };
});
afterAll(async () => {
  await daemon.close();
  await rm(folder, { recursive: true });
});

async function download(fields: Fields, headers: Record<string, string> = {}, address = daemon.address) {
  const init = { method: 'POST', body: bodyOf(fields), headers: { 'content-type': FORM, ...headers } };
  const response = await fetch(`http://${address}/zip`, init);
  const bytes = Buffer.from(await response.arrayBuffer());
  return { status: response.status, headers: response.headers, bytes, json: () => JSON.parse(bytes.toString()) };
}

/** What Python finds in it, by name. */
async function contentsOf(bytes: Buffer) {
  const path = join(folder, 'read.zip');
  await writeFile(path, bytes);
  return JSON.parse(execFileSync('python3', [READER, path], { encoding: 'utf8' }));
}

/** The text of MISSING.txt, which is the last of the archive, and stored. */
function missingOf(bytes: Buffer): string {
  const end = bytes.readUInt32LE(bytes.length - 6);
  return bytes.toString('utf8', bytes.lastIndexOf('Not in this archive:', end), end);
}

/** Sends the form and reads nothing yet of the answer. */
async function begin(fields: Fields, options: object = {}): Promise<IncomingMessage> {
  const [host, port] = daemon.address.split(':');
  const asked = request({ host, port, method: 'POST', path: '/zip', headers: { 'content-type': FORM }, ...options });
  asked.end(bodyOf(fields));
  const [answer] = await once(asked, 'response');
  return answer.on('error', () => {});
}

const openImages = async () => {
  const open = await readdir('/proc/self/fd');
  const targets = await Promise.all(open.map((fd) => readlink(`/proc/self/fd/${fd}`).catch(() => '')));
  return targets.filter((target) => /\.(png|jpg|webp)$/.test(target));
};

requires('python3', hasPython)('an archive', () => {
  it('has the images under their names, with their times, as they were saved', async () => {
    const { status, headers, bytes } = await download(named(...Object.values(images)));
    expect([status, headers.get('content-type')]).toEqual([200, 'application/zip']);
    expect(headers.get('content-disposition')).toMatch(/^attachment; filename="images_\d{8}_\d{6}\.zip"$/);
    expect([headers.get('cache-control'), headers.get('x-content-type-options')]).toEqual(['no-store', 'nosniff']);
    const contents = await contentsOf(bytes);
    const entry = (bytes: Buffer, time: string) => ({
      size: bytes.length,
      stored: true,
      time,
      sha256: sha256(bytes),
      offset: expect.any(Number),
    });
    expect(contents).toEqual({
      [images.png.filename]: entry(files.png, '2024-09-27T14:15:22'),
      [images.jpeg.filename]: entry(files.jpeg, '2024-01-01T00:00:00'),
      // As early as ZIP's own times go; readers take the one beside it.
      [images.webp.filename]: entry(files.webp, '1980-01-01T00:00:00'),
      [images.large.filename]: entry(files.large, '2026-12-31T23:59:58'),
    });
  });

  it('has an image once that is asked for twice', async () => {
    const { bytes } = await download(named(images.jpeg, images.jpeg));
    expect(Object.keys(await contentsOf(bytes))).toEqual([images.jpeg.filename]);
  });

  it('comes over HTTP/2 and a socket, too', async () => {
    const session = connectHttp2(`http://${daemon.address}`);
    const call = session.request({ ':method': 'POST', ':path': '/zip', 'content-type': FORM });
    call.end(bodyOf(named(images.png)));
    const fields = named(images.png);
    const over = [
      await buffer(call),
      await buffer(await begin(fields, { socketPath: daemon.socket, host: undefined })),
    ];
    session.destroy();
    for (const bytes of over) {
      expect((await contentsOf(bytes))[images.png.filename].sha256).toBe(sha256(files.png));
    }
  });

  it('has images of several providers, and tells those of one name apart', async () => {
    const client = connect(daemon.address);
    for await (const _ of client.copy({ from: 'local', to: 'archive', model: 'flux' }));
    client.close();
    const { filename } = images.png;
    const other = await saveAt(daemon.address, files.jpeg, { provider: 'archive' });
    const { bytes } = await download([
      ['filename', filename],
      ['provider', 'archive'],
      ['filename', other.filename],
      ['filename', filename],
    ]);
    const contents = await contentsOf(bytes);
    expect(Object.keys(contents)).toEqual([filename, other.filename, `archive/${filename}`]);
    expect(contents[`archive/${filename}`].sha256).toBe(sha256(files.png));
  });

  it('lacks what is gone or damaged, and names it', async () => {
    const save = (seed: number, sizeBytes = 100_000) =>
      saveAt(daemon.address, pngOf({ width: 8, height: 8, seed, sizeBytes }));
    const [gone, cut, changed, large, deleted] = [
      await save(1),
      await save(2),
      await save(3),
      await save(4, 6 * MIB),
      await save(5),
    ];
    await rm(gone.path!);
    await truncate(cut.path!, 50_000);
    await writeFile(changed.path!, Buffer.alloc(100_000));
    await writeFile(large.path!, Buffer.alloc(6 * MIB));
    await storageAt(daemon.address).delete({ filenames: [deleted.filename] });
    lines.length = 0;
    const { bytes } = await download([
      ...named(gone, cut, images.png, changed, large, deleted),
      ['filename', '../../etc/passwd\nnot a line'],
      ['filename', 'x'.repeat(1000)],
    ]);
    const contents = await contentsOf(bytes);
    expect(Object.keys(contents)).toEqual([images.png.filename, 'MISSING.txt']);
    expect(contents[images.png.filename].sha256).toBe(sha256(files.png));
    const text = missingOf(bytes);
    expect(text.trimEnd().split('\n').slice(2).sort()).toEqual(
      [
        `${gone.filename} (local): the image was saved, and its file is gone (BYTES_MISSING)`,
        `${cut.filename} (local): the stored file has another size than what was saved (BYTES_CORRUPT)`,
        `${changed.filename} (local): the stored bytes are not those that were saved (BYTES_CORRUPT)`,
        `${large.filename} (local): the stored bytes are not those that were saved (BYTES_CORRUPT)`,
        `${deleted.filename} (local): no image of that name (IMAGE_NOT_FOUND)`,
        '../../etc/passwd?not a line (local): no image of that name (IMAGE_NOT_FOUND)',
        `${'x'.repeat(200)} (local): no image of that name (IMAGE_NOT_FOUND)`,
      ].sort(),
    );
    expect(text).not.toContain(tmpdir());
    const told = lines.filter(({ msg }) => msg === 'an archive lacks an image').map(({ filename }) => filename);
    expect(told.sort()).toEqual([gone, cut, changed, large].map(({ filename }) => filename).sort());
    await expect.poll(() => lines.find(({ msg }) => msg === 'call')).toMatchObject({ images: 1, missing: 7 });
  });
});

describe('a call', () => {
  it('has a line in the log', async () => {
    lines.length = 0;
    const { bytes } = await download(named(images.png, images.jpeg));
    const line = { level: 'info', msg: 'call', method: 'POST /zip', images: 2, bytes: bytes.length, provider: 'local' };
    await expect.poll(() => lines).toEqual([expect.objectContaining(line)]);
  });

  it.each<[string, Fields, number, string, string?]>([
    ['no image', [], 400, 'FIELD_INVALID', 'filename'],
    ['a field that is none', [['other', 'x']], 400, 'FIELD_INVALID', 'other'],
    [
      'a provider behind its images',
      [
        ['filename', 'a.png'],
        ['provider', 'local'],
      ],
      400,
      'FIELD_INVALID',
      'provider',
    ],
    [
      'all providers',
      [
        ['provider', '*'],
        ['filename', 'a.png'],
      ],
      400,
      'FIELD_INVALID',
      'provider',
    ],
    [
      'a provider that is none',
      [
        ['provider', 'none'],
        ['filename', 'a.png'],
      ],
      404,
      'PROVIDER_NOT_FOUND',
      'provider',
    ],
    ['only what is not there', [['filename', 'a.png']], 404, 'IMAGE_NOT_FOUND', 'filename'],
    ['more than 500', Array.from({ length: 501 }, (_, at) => ['filename', `${at}.png`]), 400, 'ARCHIVE_TOO_LARGE'],
    ['a form without end', [['filename', 'x'.repeat(100_000)]], 429, 'MESSAGE_TOO_LARGE'],
  ])('for %s is refused', async (_name, fields, status, reason, field) => {
    const answer = await download(fields);
    expect([answer.status, answer.headers.get('cache-control')]).toEqual([status, 'no-store']);
    const { message, ...problem } = answer.json();
    expect([problem.reason, problem.field]).toEqual([reason, field]);
    if (reason === 'ARCHIVE_TOO_LARGE') expect(message).toContain('image-storage export');
  });

  it('by another type, or another method, is refused', async () => {
    const json = await download(named(images.png), { 'content-type': 'application/json' });
    expect([json.status, json.json().reason]).toEqual([415, 'TYPE_NOT_ALLOWED']);
    expect((await fetch(`http://${daemon.address}/zip`)).status).toBe(405);
  });

  it('of another site is refused, and one of the own page is served', async () => {
    const outcome = async (headers: Record<string, string>) => (await download(named(images.jpeg), headers)).status;
    expect(await outcome({ 'sec-fetch-site': 'cross-site' })).toBe(403);
    expect(await outcome({ origin: 'null' })).toBe(403);
    expect(await outcome({ 'sec-fetch-site': 'same-origin', origin: `http://${daemon.address}` })).toBe(200);
  });

  it('whose form does not come is given up', async () => {
    const head = `POST /zip HTTP/1.1\r\nHost: localhost\r\nContent-Type: ${FORM}\r\nContent-Length: 100\r\n\r\n`;
    const { status, body } = answerOf(await talk(daemon.address, `${head}filename=`, 3_000));
    expect([status, JSON.parse(body).reason]).toEqual([504, 'SAVE_STALLED']);
  });
});

describe('while an archive is read', () => {
  it('its client gets no second one, and others do', async () => {
    const first = await begin(named(images.large));
    const second = await download(named(images.jpeg));
    expect([second.status, second.headers.get('retry-after')]).toEqual([429, '5']);
    expect(second.json()).toMatchObject({ code: 'resource_exhausted', reason: 'ARCHIVE_UNDER_WAY' });
    const other = await begin(named(images.jpeg), { localAddress: '127.0.0.2' });
    expect([other.statusCode, (await buffer(other)).readUInt32LE(0)]).toEqual([200, 0x0403_4b50]);
    expect((await buffer(first)).length).toBeGreaterThan(files.large.length);
    expect((await download(named(images.jpeg))).status).toBe(200);
  });

  it.runIf(process.platform === 'linux')('and its client leaves, nothing stays open', async () => {
    const answer = await begin(named(images.large));
    await once(answer, 'readable');
    expect(await openImages()).not.toEqual([]);
    answer.destroy();
    await expect.poll(openImages).toEqual([]);
    await expect.poll(async () => (await download(named(images.jpeg))).status).toBe(200);
  });

  it('and the daemon stops, it is cut behind the grace', async () => {
    const stopping = await runDaemon({ IMAGE_STORAGE_SHUTDOWN_GRACE_SECONDS: '0' });
    const { filename } = await saveAt(stopping.address, files.large);
    const [host, port] = stopping.address.split(':');
    const answer = await begin(named({ filename }), { host, port });
    const ended = new Promise((resolve) => answer.once('close', resolve));
    await stopping.close();
    answer.resume();
    await ended;
    expect(answer.complete).toBe(false);
  });
});

/** Images that are made as they are read: as many, and as large, as a disk need not hold. */
describe('over images made from nothing', () => {
  const piece = Buffer.alloc(256 * 1024, 7);
  const made = (sizeBytes: number, onPiece: (bytes: number) => void = () => {}): StoredImage =>
    ({
      item: { size: sizeBytes, metadata: { timestamp: new Date(0) } },
      body: (async function* () {
        for (let left = sizeBytes; left > 0; left -= piece.length) {
          const bytes = piece.subarray(0, Math.min(left, piece.length));
          onPiece(bytes.length);
          yield bytes;
        }
      })(),
    }) as unknown as StoredImage;

  async function withRoute<T>(get: Storage['get'], work: (address: string) => Promise<T>): Promise<T> {
    const silent = { debug() {}, info() {}, warn() {}, error() {} };
    const memory = createCallMemory(1_000);
    const options = { storage: { get }, memory, defaultProvider: 'local', formMs: 1_000, log: silent };
    const routes = createPlainRoutes({ routes: [zipRoute(options)], authorize: admitAnybody, log: silent });
    const router = createRouter({ routes: [routes], otherwise: answerNothing, prefix: '' });
    const server = createServer((asked, answer) => router(asked, answer, callerOf(asked.socket, true)));
    await once(server.listen(0, '127.0.0.1'), 'listening');
    try {
      return await work(`127.0.0.1:${(server.address() as AddressInfo).port}`);
    } finally {
      server.closeAllConnections();
      server.close();
      expect(memory.kept.held).toBe(0);
    }
  }

  const count = (images: number): Fields => Array.from({ length: images }, (_, at) => ['filename', `${at}.png`]);

  it('more than 2 GiB are refused, before any is read', async () => {
    const { status, json } = await withRoute(
      async () => made(300 * MIB),
      (address) => download(count(7), {}, address),
    );
    expect([status, json().reason]).toEqual([400, 'ARCHIVE_TOO_LARGE']);
    expect(json().message).toMatch(/2202009600 bytes$/);
  });

  it('is read no faster than its client reads', async () => {
    const [images, sizeBytes] = [30, 3 * MIB];
    let [taken, received, lead] = [0, 0, 0];
    const onPiece = (bytes: number) => {
      taken += bytes;
    };
    await withRoute(
      async () => made(sizeBytes, onPiece),
      async (address) => {
        const [host, port] = address.split(':');
        for await (const bytes of await begin(count(images), { host, port })) {
          received += bytes.length;
          lead = Math.max(lead, taken - received);
        }
      },
    );
    expect(received).toBeGreaterThan(images * sizeBytes);
    expect(lead).toBeLessThan(24 * MIB);
  });

  it('one that is another when it is read again ends the archive, which nobody takes for whole', async () => {
    let reads = 0;
    const damaged = async (): Promise<StoredImage> => {
      const { item, body } = made(6 * MIB);
      reads += 1;
      // Found, checked, sent.
      if (reads < 3) return { item, body };
      const failing = async function* () {
        yield* body;
        throw new StorageError('BYTES_CORRUPT', 'changed');
      };
      return { item, body: failing() };
    };
    const read = withRoute(damaged, (address) => download(count(1), {}, address));
    await expect(read).rejects.toThrow('terminated');
    expect(reads).toBe(3);
  });

  it('a provider that does not answer is asked once', async () => {
    const asked: string[] = [];
    const get: Storage['get'] = async (filename, options) => {
      asked.push(filename);
      if (options?.provider === 'far') throw new StorageError('BACKEND_UNAVAILABLE', 'the bucket does not answer');
      return made(1000);
    };
    const fields: Fields = [['filename', 'near.png'], ['provider', 'far'], ...count(20)];
    const { bytes } = await withRoute(get, (address) => download(fields, {}, address));
    expect(asked).toEqual(['near.png', '0.png', 'near.png']);
    expect(missingOf(bytes).match(/BACKEND_UNAVAILABLE/g)).toHaveLength(20);
    expect(bytes.readUInt32LE(bytes.length - 22)).toBe(END_OF_ARCHIVE);
  });
});

/** A gibibyte through a daemon of its own, whose peak counts from the beginning of the archive. */
const takesTheSameMemory = async () => {
  const one = await startDaemonProcess(join(folder, 'large'));
  const client = connect(one.address);
  const statusFile = `/proc/${one.process.pid}/status`;
  const mibOf = async (field: string) =>
    Number(new RegExp(`^${field}:\\s+(\\d+) kB$`, 'm').exec(await readFile(statusFile, 'utf8'))![1]) / 1024;
  try {
    const fields: Fields = [];
    for (const sizeBytes of [...Array<number>(128).fill(4 * MIB), 250 * MIB, 250 * MIB]) {
      const seed = fields.length;
      fields.push(...named(await client.save(pngOf({ width: 64, height: 64, seed, sizeBytes }))));
    }
    const before = await mibOf('VmRSS');
    await writeFile(`/proc/${one.process.pid}/clear_refs`, '5');
    const [host, port] = one.address.split(':');
    let bytes = 0;
    const began = performance.now();
    for await (const piece of await begin(fields, { host, port })) bytes += piece.length;
    const seconds = (performance.now() - began) / 1000;
    const more = (await mibOf('VmHWM')) - before;
    console.info(`${bytes} bytes in ${seconds.toFixed(1)} s took ${more.toFixed(0)} MiB beside ${before.toFixed(0)}`);
    expect(bytes).toBeGreaterThan(1012 * MIB);
    expect(more).toBeLessThan(64);
  } finally {
    client.close();
    await one.stop('SIGTERM');
  }
};
if (full) it('a large archive takes no more memory than a small one', takesTheSameMemory, 300_000);
