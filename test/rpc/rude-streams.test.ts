/** Streams and connections that do what no client of ours would: the daemon goes on, and so do the calls of others. */
import { once } from 'node:events';
import { connect as connectHttp2, constants } from 'node:http2';
import { connect as connectSocket, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { create, toBinary } from '@bufbuild/protobuf';
import { createClient } from '@connectrpc/connect';
import { compressionGzip, createGrpcTransport } from '@connectrpc/connect-node';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ImageStorage, SaveRequestSchema } from '../../gen/imagestorage/v1/image_storage_pb.ts';
import { dataFrame, headersFrame, ILLEGAL_FRAMES, openRaw, type RawOptions, resetFrame } from '../attack/frames.ts';
import { all, chunk, framed, header, outcomeOf, type Request, storageAt, stream } from '../support/grpc.ts';
import { noise, pngOf } from '../support/images.ts';
import { type RunningDaemon, runDaemon } from '../support/running-daemon.ts';

const KIB = 1024;
const STATS = '/imagestorage.v1.ImageStorage/Stats';
const WATCH = '/grpc.health.v1.Health/Watch';
const MAX_STREAMS = 100;
const MAX_SAVES = 2;
const INTERNAL_ERROR = 2;

const png = pngOf({ width: 16, height: 16, sizeBytes: 600 * KIB });

let daemon: RunningDaemon;
let storage: ReturnType<typeof storageAt>;

beforeAll(async () => {
  daemon = await runDaemon({
    IMAGE_STORAGE_LIMITS_MAX_STREAMS: String(MAX_STREAMS),
    IMAGE_STORAGE_LIMITS_MAX_SAVES: String(MAX_SAVES),
    IMAGE_STORAGE_LIMITS_MAX_CONNECTIONS: '12',
  });
  storage = storageAt(daemon.address);
});
afterAll(() => daemon.close());

async function isServed(): Promise<void> {
  expect((await storage.stats({})).providers).toHaveLength(1);
}

/** So many calls of Stats, each with what follows it, in one write. */
function calls(count: number, follows: (stream: number) => Buffer = () => Buffer.alloc(0)): Buffer {
  const one = (at: number) => {
    const id = at * 2 + 1;
    return Buffer.concat([headersFrame(id, STATS), dataFrame(id, framed(Buffer.alloc(0)), true), follows(id)]);
  };
  return Buffer.concat(Array.from({ length: count }, (_, at) => one(at)));
}

async function rawConnection(localAddress = '127.0.0.2', options?: RawOptions): Promise<Socket> {
  const [host = '', port] = daemon.address.split(':');
  return await openRaw(host, Number(port), localAddress, options);
}

const closing = (socket: Socket) => new Promise((resolve) => socket.once('close', resolve));

describe('a connection', () => {
  it.each(Object.entries(ILLEGAL_FRAMES))('that sends 60 calls and %s ends alone', async (_, illegal) => {
    const socket = await rawConnection();
    const closed = closing(socket);
    socket.write(Buffer.concat([calls(60), illegal]));
    await closed;
    await isServed();
  });

  it('may reset its calls with any code', async () => {
    const socket = await rawConnection();
    socket.write(calls(60, (stream) => resetFrame(stream, INTERNAL_ERROR)));
    await isServed();
    socket.destroy();
  });

  it('of a peer that has four times the streams of one has further ones refused', async () => {
    const sessions = Array.from({ length: 5 }, () => connectHttp2(`http://${daemon.address}`));
    const codes: number[] = [];
    for (const session of sessions) {
      session.on('error', () => {});
      for (let count = 0; count < MAX_STREAMS; count += 1) {
        const call = session.request({ ':method': 'POST', ':path': WATCH, 'content-type': 'application/grpc' });
        call.on('error', () => codes.push(call.rstCode)).resume();
        call.end(framed(Buffer.alloc(0)));
      }
    }
    await expect.poll(() => codes.length).toBeGreaterThan(0);
    for (const session of sessions) session.destroy();
    await expect.poll(() => outcomeOf(storage.stats({}))).toBe('OK');
  });
});

describe('streams that are opened for nothing', () => {
  const opened = Buffer.concat(Array.from({ length: 90 }, (_, at) => headersFrame(at * 2 + 1, WATCH)));

  it.each([
    ['reset', '127.0.0.3', calls(90, resetFrame)],
    ['left open', '127.0.0.4', opened],
  ])('and %s, over many connections, are the end of those that go on', async (_, from, burst) => {
    let ended = 0;
    // More than once, since some are forgiven each second.
    while (ended === 0) {
      const sockets = await Promise.all(Array.from({ length: 5 }, () => rawConnection(from)));
      const end = () => {
        ended += 1;
      };
      for (const socket of sockets) socket.once('close', end).write(burst);
      await isServed();
      for (const socket of sockets) socket.off('close', end).destroy();
    }
  });

  it('are not even made for a connection that begins so, once its peer has wasted hundreds', async () => {
    let said = 1;
    while (said > 0) {
      const socket = await rawConnection('127.0.0.5', { atOnce: calls(90, resetFrame) });
      setImmediate(() => socket.end());
      await closing(socket);
      said = socket.bytesRead;
    }
    await isServed();
  });

  it('may be as many as a peer may have open, such as calls that are cancelled', async () => {
    const sessions = Array.from({ length: 4 }, () =>
      connectHttp2(`http://${daemon.address}`, {
        createConnection: (authority) =>
          connectSocket({ host: authority.hostname, port: Number(authority.port), localAddress: '127.0.0.6' }),
      }),
    );
    for (const session of sessions) {
      const watched = Array.from({ length: 90 }, () => {
        const call = session.request({ ':method': 'POST', ':path': WATCH, 'content-type': 'application/grpc' });
        const answered = once(call, 'response').then(() => call);
        call.end(framed(Buffer.alloc(0)));
        return answered;
      });
      for (const call of await Promise.all(watched)) {
        const closed = once(call, 'close');
        call.close(constants.NGHTTP2_CANCEL);
        await closed;
      }
    }
    for (const session of sessions) {
      expect(session.closed).toBe(false);
      const call = session.request({ ':method': 'POST', ':path': STATS, 'content-type': 'application/grpc' });
      call.end(framed(Buffer.alloc(0))).resume();
      await once(call, 'response');
      session.close();
    }
  });
});

/** A header, and nothing more. */
async function* silent(signal: AbortSignal): AsyncGenerator<Request> {
  yield header();
  await new Promise((resolve) => signal.addEventListener('abort', resolve));
}

it('more saves may stand still than there are places, and end without ending the daemon', async () => {
  const transport = createGrpcTransport({ baseUrl: `http://${daemon.address}` });
  const client = createClient(ImageStorage, transport);
  const leaving = new AbortController();
  const { signal } = leaving;
  const saves = Array.from({ length: 3 * MAX_SAVES }, () => outcomeOf(client.save(silent(signal), { signal })));
  await sleep(2_000);
  leaving.abort();
  const outcomes = await Promise.all(saves);
  expect(outcomes).toContain('DeadlineExceeded SAVE_STALLED');
  await isServed();
});

it('a save whose chunks arrive slowly keeps its place, and its connection', async () => {
  const session = connectHttp2(`http://${daemon.address}`);
  const call = session.request({
    ':method': 'POST',
    ':path': '/imagestorage.v1.ImageStorage/Save',
    'content-type': 'application/grpc',
    te: 'trailers',
  });
  let status: unknown;
  call.on('response', (headers) => (status ??= headers['grpc-status']));
  call
    .on('trailers', (headers) => (status ??= headers['grpc-status']))
    .on('error', (error) => (status ??= error.message));
  call.resume();
  const bytes = Buffer.concat(
    [
      ...[
        header({ idempotencyKey: 'slowly' }),
        chunk(png.subarray(0, 256 * KIB)),
        chunk(png.subarray(256 * KIB, 512 * KIB)),
      ],
      chunk(png.subarray(512 * KIB)),
    ].map((request) => framed(toBinary(SaveRequestSchema, create(SaveRequestSchema, request)))),
  );
  const leaving = new AbortController();
  const { signal } = leaving;
  const others = Array.from({ length: MAX_SAVES + 1 }, () => outcomeOf(storage.save(silent(signal), { signal })));
  const idle = Array.from({ length: 14 }, () => connectHttp2(`http://${daemon.address}`));
  for (const each of idle) each.on('error', () => {});
  const step = Math.ceil(bytes.length / 24);
  for (let at = 0; at < bytes.length && status === undefined; at += step) {
    call.write(bytes.subarray(at, at + step));
    await sleep(100);
  }
  call.end();
  await expect.poll(() => status).toBe('0');
  leaving.abort();
  await Promise.all(others);
  for (const each of [session, ...idle]) each.destroy();
});

describe('compressed by gzip', () => {
  const client = () =>
    createClient(
      ImageStorage,
      createGrpcTransport({ baseUrl: `http://${daemon.address}`, sendCompression: compressionGzip }),
    );

  it.each([256 * KIB, 2 * 1024 * KIB])(
    'an image in chunks of %i bytes, with a large workflow, comes back',
    async (size) => {
      const bytes = pngOf({ width: 16, height: 16, sizeBytes: 3_000_000, seed: size });
      const parametersJson = JSON.stringify({ workflow: noise(300_000, 1).toString('base64') });
      const chunks = Array.from({ length: Math.ceil(bytes.length / size) }, (_, at) =>
        chunk(bytes.subarray(at * size, at * size + size)),
      );
      const { image } = await client().save(stream(header({ metadata: { parametersJson } }), ...chunks));
      const answers = await all(client().get({ filename: image!.filename }));
      const got = answers.map(({ payload }) => (payload.case === 'chunk' ? payload.value : new Uint8Array(0)));
      expect(Buffer.concat(got).equals(bytes)).toBe(true);
      const [first] = answers;
      expect(first!.payload).toMatchObject({ case: 'image', value: { metadata: { parametersJson } } });
    },
  );

  it('empty chunks are refused when there are more than 1,000', async () => {
    const empty = Array.from({ length: 1_001 }, () => chunk(new Uint8Array(0)));
    const outcome = await outcomeOf(client().save(stream(header(), ...empty, chunk(png))));
    expect(outcome).toBe('InvalidArgument FIELD_INVALID chunk');
  });
});
