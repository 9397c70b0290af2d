/** Whatever a client does wrong: a clear answer, a daemon that goes on, and nothing on disk. */
import { once } from 'node:events';
import { connect as connectHttp2 } from 'node:http2';
import { connect as connectSocket } from 'node:net';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { gzipSync } from 'node:zlib';
import { create, toBinary } from '@bufbuild/protobuf';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { type Order, SaveRequestSchema } from '../../gen/imagestorage/v1/image_storage_pb.ts';
import { filesBelow, untilNothingIsStaged } from '../support/files.ts';
import {
  all,
  callRaw,
  chunk,
  framed,
  type Header,
  header,
  outcomeOf,
  type RawAnswer,
  type RawCall,
  type Request,
  saveAt,
  storageAt,
  stream,
  trailer,
  upload,
} from '../support/grpc.ts';
import { jpegOf, pngOf, webpOf } from '../support/images.ts';
import { type RunningDaemon, runDaemon } from '../support/running-daemon.ts';

const MIB = 1024 * 1024;
const SAVE = '/imagestorage.v1.ImageStorage/Save';
const STATS = '/imagestorage.v1.ImageStorage/Stats';
const LIST = '/imagestorage.v1.ImageStorage/List';

const png = pngOf({ width: 16, height: 16, sizeBytes: 100_000 });
const noBytes = Buffer.alloc(0);
const message = (request: Request) => framed(toBinary(SaveRequestSchema, create(SaveRequestSchema, request)));

/** Serves all calls as usual. */
let daemon: RunningDaemon;
let storage: ReturnType<typeof storageAt>;
/** And one that serves Save and Get through connect, too. */
let daemons: RunningDaemon[];

beforeAll(async () => {
  const limits = {
    IMAGE_STORAGE_LIMITS_MAX_IMAGE_BYTES: String(4 * MIB),
    IMAGE_STORAGE_LIMITS_FIRST_MESSAGE_SECONDS: '0.4',
    IMAGE_STORAGE_LIMITS_CHUNK_GAP_SECONDS: '0.4',
    IMAGE_STORAGE_LIMITS_SAVE_SECONDS: '2',
  };
  daemon = await runDaemon(limits);
  daemons = [daemon, await runDaemon(limits, { raw: false })];
  storage = storageAt(daemon.address);
});
afterEach(nothingIsKept);
afterAll(() => Promise.all(daemons.map((each) => each.close())));

async function nothingIsKept(): Promise<void> {
  for (const { address, socket } of daemons) {
    const basePath = join(dirname(socket), 'outputs');
    await untilNothingIsStaged(basePath);
    expect(await filesBelow(basePath, 'images')).toEqual([]);
    expect(await all(storageAt(address).list({}))).toEqual([]);
  }
}

describe('a Save', () => {
  const about = (metadata: Header['metadata']) => upload(png, { metadata });
  const cases: [name: string, requests: () => AsyncIterable<Request>, outcome: string][] = [
    ['without any message', () => stream(), 'InvalidArgument FIRST_MESSAGE_NOT_HEADER'],
    ['that begins with a chunk', () => stream(chunk(png)), 'InvalidArgument FIRST_MESSAGE_NOT_HEADER'],
    ['that begins with nothing', () => stream({}), 'InvalidArgument FIRST_MESSAGE_NOT_HEADER'],
    ['with two headers', () => stream(header(), header(), chunk(png)), 'InvalidArgument MESSAGE_OUT_OF_ORDER'],
    ['with an empty message', () => stream(header(), {}, chunk(png)), 'InvalidArgument MESSAGE_OUT_OF_ORDER'],
    [
      'with a chunk behind the trailer',
      () => stream(header(), chunk(png), trailer({}), chunk(png)),
      'InvalidArgument MESSAGE_OUT_OF_ORDER',
    ],
    ['of zero bytes', () => stream(header(), chunk(noBytes)), 'InvalidArgument IMAGE_EMPTY'],
    ['of text', () => upload(Buffer.from('a red fox')), 'InvalidArgument TYPE_NOT_ALLOWED'],
    [
      'of an SVG',
      () => upload(Buffer.from('<svg xmlns="http://www.w3.org/2000/svg"/>')),
      'InvalidArgument TYPE_NOT_ALLOWED',
    ],
    ['of another type', () => upload(png, { contentType: 'image/jpeg' }), 'InvalidArgument TYPE_MISMATCH content_type'],
    ['of another size', () => upload(png, { size: 99_999n }), 'InvalidArgument SIZE_MISMATCH size'],
    ['of a size that no number holds', () => upload(png, { size: 2n ** 64n - 1n }), 'InvalidArgument IMAGE_TOO_LARGE'],
    ['of another sha256', () => upload(png, { sha256: Buffer.alloc(32) }), 'InvalidArgument CHECKSUM_MISMATCH sha256'],
    ['with half a sha256', () => upload(png, { sha256: Buffer.alloc(16) }), 'InvalidArgument FIELD_INVALID sha256'],
    ['of half a PNG', () => upload(png.subarray(0, 50_000)), 'InvalidArgument IMAGE_TRUNCATED'],
    [
      'of half a JPEG',
      () => upload(jpegOf({ width: 64, height: 64 }).subarray(0, -2)),
      'InvalidArgument IMAGE_TRUNCATED',
    ],
    [
      'of half a WebP',
      () => upload(webpOf({ width: 64, height: 64 }).subarray(0, -2)),
      'InvalidArgument IMAGE_TRUNCATED',
    ],
    [
      'with a chunk of 3 MiB',
      () => stream(header(), chunk(Buffer.alloc(3 * MIB))),
      'ResourceExhausted MESSAGE_TOO_LARGE',
    ],
    [
      'with a chunk just over 2 MiB',
      () => stream(header(), chunk(Buffer.alloc(2 * MIB + 1))),
      'ResourceExhausted MESSAGE_TOO_LARGE',
    ],
    [
      'over the limit',
      () => upload(pngOf({ width: 16, height: 16, sizeBytes: 5 * MIB })),
      'InvalidArgument IMAGE_TOO_LARGE',
    ],
    [
      'with a prompt of 1 MB',
      () => about({ prompt: 'x'.repeat(1e6) }),
      'InvalidArgument FIELD_INVALID metadata.prompt',
    ],
    ['with a prompt of 5 MB', () => about({ prompt: 'x'.repeat(5e6) }), 'ResourceExhausted MESSAGE_TOO_LARGE'],
    ['with NUL in the model', () => about({ model: 'a\0b' }), 'InvalidArgument FIELD_INVALID metadata.model'],
    ['with an empty tag', () => about({ tags: [''] }), 'InvalidArgument FIELD_INVALID metadata.tags'],
    [
      'with parameters that are no object',
      () => about({ parametersJson: '[1]' }),
      'InvalidArgument FIELD_INVALID metadata.parameters_json',
    ],
    [
      'with parameters of 10,000 levels',
      () => about({ parametersJson: `{"a":${'['.repeat(9_999)}${']'.repeat(9_999)}}` }),
      'InvalidArgument FIELD_INVALID metadata.parameters_json',
    ],
    [
      'with a parameter of a million digits',
      () => about({ parametersJson: `{"seed":${'7'.repeat(1e6)}}` }),
      'InvalidArgument FIELD_INVALID metadata.parameters_json',
    ],
    ['before 1970', () => about({ timestamp: { seconds: -1n } }), 'InvalidArgument FIELD_INVALID metadata.timestamp'],
    [
      'after 9999',
      () => about({ timestamp: { seconds: 253_402_300_800n } }),
      'InvalidArgument FIELD_INVALID metadata.timestamp',
    ],
    [
      'with a negative part of a second',
      () => about({ timestamp: { nanos: -1 } }),
      'InvalidArgument FIELD_INVALID metadata.timestamp',
    ],
    ['to an unknown provider', () => upload(png, { provider: 'nowhere' }), 'NotFound PROVIDER_NOT_FOUND provider'],
    ['to all providers', () => upload(png, { provider: '*' }), 'InvalidArgument FIELD_INVALID provider'],
  ];
  it.each(cases)('%s', async (_, requests, outcome) => {
    for (const { address } of daemons) {
      expect(await outcomeOf(storageAt(address).save(requests()))).toBe(outcome);
    }
  });
});

describe('a request', () => {
  it.each([
    ['that deletes nothing', () => storage.delete({}), 'InvalidArgument FIELD_INVALID filenames'],
    [
      'that deletes 1,001',
      () => storage.delete({ filenames: Array(1001).fill('a.png') }),
      'InvalidArgument FIELD_INVALID filenames',
    ],
    [
      'that deletes from all providers',
      () => storage.delete({ filenames: ['a.png'], provider: '*' }),
      'InvalidArgument FIELD_INVALID provider',
    ],
    [
      'to clean up without a criterion',
      () => storage.cleanup({ model: 'sdxl' }),
      'InvalidArgument CLEANUP_WITHOUT_CRITERION',
    ],
    [
      'to clean up an unknown provider',
      () => storage.cleanup({ keepCount: 1, provider: 'x' }),
      'NotFound PROVIDER_NOT_FOUND provider',
    ],
    ['for a bad page token', () => storage.list({ pageToken: 'xyz' }), 'InvalidArgument PAGE_TOKEN_INVALID page_token'],
    ['for batches of 1,001', () => storage.list({ batchSize: 1001 }), 'InvalidArgument FIELD_INVALID batch_size'],
    [
      'for an order that there is not',
      () => storage.list({ order: 7 as Order }),
      'InvalidArgument FIELD_INVALID order',
    ],
    ['for a search of 5 KB', () => storage.list({ query: 'x'.repeat(5000) }), 'InvalidArgument FIELD_INVALID query'],
    [
      'for dates before 1970',
      () => storage.list({ dateRange: { start: { seconds: -1n } } }),
      'InvalidArgument FIELD_INVALID date_range.start',
    ],
    [
      'for an image of all providers',
      () => storage.get({ filename: 'a.png', provider: '*' }),
      'InvalidArgument FIELD_INVALID provider',
    ],
    [
      'for the counts of an unknown provider',
      () => storage.stats({ provider: 'x' }),
      'NotFound PROVIDER_NOT_FOUND provider',
    ],
  ])('%s', async (_, call, outcome) => {
    expect(await outcomeOf(call())).toBe(outcome);
  });
});

describe('on the wire', () => {
  const invalidUtf8 = Buffer.from([0x0a, 0x05, 0x0a, 0x03, 0x0a, 0x01, 0xff]);
  const loneSurrogate = Buffer.from([0x0a, 0x07, 0x0a, 0x05, 0x0a, 0x03, 0xed, 0xa0, 0x80]);
  const garbage = framed(Buffer.from('garbage'), { compressed: true });
  const gzip = { 'grpc-encoding': 'gzip' };

  it.each([
    ['an authority that is no host', { path: STATS, body: framed(noBytes), headers: { ':authority': 'a%2Fb' } }, 0],
    [
      'an authority that is a path',
      { path: STATS, body: framed(noBytes), headers: { ':authority': '%2Frun%2Fx.sock' } },
      0,
    ],
    ['garbage that claims to be gzip in a Save', { path: SAVE, body: garbage, headers: gzip }, 3],
    ['garbage that claims to be gzip elsewhere', { path: STATS, body: garbage, headers: gzip }, 3],
    [
      'a compression that the daemon does not know',
      { path: SAVE, body: garbage, headers: { 'grpc-encoding': 'zstd' } },
      12,
    ],
    ['a prompt that is not UTF-8', { path: SAVE, body: framed(invalidUtf8) }, 3],
    ['a prompt with a lone surrogate', { path: SAVE, body: framed(loneSurrogate) }, 3],
    ['a provider that is not UTF-8', { path: LIST, body: framed(Buffer.from([0x0a, 0x01, 0xff])) }, 3],
    ['a message that is not protobuf', { path: SAVE, body: framed(Buffer.from([0xff, 0xff])) }, 3],
    [
      'half a message',
      { path: SAVE, body: Buffer.concat([message(header()), message(chunk(png)).subarray(0, -1)]) },
      3,
    ],
    ['a message that announces 4 GB', { path: SAVE, body: Buffer.from([0, 0xff, 0xff, 0xff, 0xff]) }, 8],
    ['a Save that never says anything', { path: SAVE, leaveOpen: true }, 4],
    [
      'a Save that stops',
      { path: SAVE, body: Buffer.concat([message(header()), message(chunk(png))]), leaveOpen: true },
      4,
    ],
  ])('%s', async (_, call, grpcStatus) => {
    const reason = { 3: 'FIELD_INVALID', 4: 'SAVE_STALLED', 8: 'MESSAGE_TOO_LARGE' }[grpcStatus];
    const answers = await Promise.all(daemons.map(({ address }) => callRaw(address, call)));
    for (const answer of answers) expect(answer).toEqual({ httpStatus: 200, grpcStatus, reason });
  });

  const invalid = { grpcStatus: 3, reason: 'FIELD_INVALID' };
  const tooLarge = { grpcStatus: 8, reason: 'MESSAGE_TOO_LARGE' };
  // An unknown field of that length.
  const large = Buffer.concat([Buffer.from([0x7a, 0xfb, 0xff, 0x3f]), Buffer.alloc(MIB - 5)]);
  const unread: [what: string, call: Omit<RawCall, 'path'>, answer: Partial<RawAnswer>][] = [
    ['that is not protobuf', { body: framed(Buffer.from([0xff, 0xff])) }, invalid],
    ['with a text that is not UTF-8', { body: framed(Buffer.from([0x0a, 0x01, 0xff])) }, invalid],
    ['that claims to be gzip', { body: garbage, headers: gzip }, invalid],
    ['of which half arrives', { body: framed(Buffer.from([0x0a, 0x01, 0x61])).subarray(0, -1) }, invalid],
    ['that announces 4 GB', { body: Buffer.from([0, 0xff, 0xff, 0xff, 0xff]) }, tooLarge],
    ['of 1 MiB', { body: framed(large) }, tooLarge],
    ['of 1 MiB, 1 kB as gzip', { body: framed(gzipSync(large), { compressed: true }), headers: gzip }, tooLarge],
  ];
  const rpcs = ['Stats', 'Delete', 'Cleanup', 'List', 'Get'].map((name) => `/imagestorage.v1.ImageStorage/${name}`);
  it.each(unread)('a message %s is refused with its reason by every rpc', async (_, call, answer) => {
    for (const path of [...rpcs, '/grpc.health.v1.Health/Check', '/imagestorage.v1.Maintenance/Verify']) {
      for (const { address } of daemons) {
        expect(await callRaw(address, { path, ...call }), path).toEqual({ httpStatus: 200, ...answer });
      }
    }
  });

  it('an rpc that there is not', async () => {
    const answer = await callRaw(daemon.address, { path: '/imagestorage.v1.ImageStorage/Nothing', leaveOpen: true });
    expect(answer).toEqual({ httpStatus: 404, grpcStatus: undefined });
  });

  it('a request that never arrives', async () => {
    const answer = await callRaw(daemon.address, { path: STATS, leaveOpen: true });
    expect(answer).toEqual({ httpStatus: undefined, grpcStatus: undefined });
  });

  it('a connection that never says anything', async () => {
    const [host, port] = daemon.address.split(':');
    const silent = connectSocket(Number(port), host);
    const [hadError] = await once(silent.resume(), 'close');
    expect({ hadError, ended: silent.readableEnded }).toEqual({ hadError: false, ended: true });
  });
});

describe('a client that leaves in the middle of a Save', () => {
  const begun = Buffer.concat([message(header()), message(chunk(png.subarray(0, 50_000)))]);

  /** Sends half an image and waits until the daemon has some of it on disk. */
  async function beginSave({ address, socket }: RunningDaemon) {
    const session = connectHttp2(`http://${address}`).on('error', () => {});
    const call = session.request(
      { ':method': 'POST', ':path': SAVE, 'content-type': 'application/grpc' },
      { endStream: false },
    );
    call.on('error', () => {}).write(begun);
    const basePath = join(dirname(socket), 'outputs');
    while ((await filesBelow(basePath, 'metadata/staging')).length === 0) await sleep(5);
    return { session, call };
  }

  it('by cancelling', async () => {
    for (const each of daemons) {
      const { session, call } = await beginSave(each);
      call.close(8);
      await nothingIsKept();
      session.destroy();
    }
  });

  it('by dying', async () => {
    for (const each of daemons) {
      const { session } = await beginSave(each);
      session.socket.destroy();
      await nothingIsKept();
    }
  });

  it('by sending on so slowly that it never ends', async () => {
    const trickle = async function* () {
      yield header();
      for (let at = 0; ; at++) {
        yield chunk(png.subarray(at, at + 1));
        await sleep(100);
      }
    };
    const outcomes = daemons.map(({ address }) => outcomeOf(storageAt(address).save(trickle())));
    expect(new Set(await Promise.all(outcomes))).toEqual(new Set(['DeadlineExceeded SAVE_STALLED']));
  });
});

it('still serves after all of this', async () => {
  const { filename } = await saveAt(daemon.address, png);
  expect((await storage.delete({ filenames: [filename] })).results[0]!.deleted).toBe(true);
});
