/** The raw stream and connect answer alike: headers, messages and trailers, whatever is asked, in whatever pieces. */
import { readdir, readlink, rm, writeFile } from 'node:fs/promises';
import { connect as connectHttp2, type ServerHttp2Stream } from 'node:http2';
import { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import * as fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  GetRequestSchema,
  GetResponseSchema,
  SaveRequestSchema,
  SaveResponseSchema,
} from '../../gen/imagestorage/v1/image_storage_pb.ts';
import { createCallMemory } from '../../src/rpc/memory.ts';
import { MessageSplitter } from '../../src/rpc/raw/message-splitter.ts';
import { RawSaveMessages } from '../../src/rpc/raw/save-messages.ts';
import { chunk, framed, type Header, header, type Request, saveAt, trailer } from '../support/grpc.ts';
import { noise, pngOf } from '../support/images.ts';
import { type RunningDaemon, runDaemon } from '../support/running-daemon.ts';
import { seed } from '../support/scale.ts';

const KIB = 1024;
const MIB = 1024 * KIB;
const png = pngOf({ width: 16, height: 16, sizeBytes: 300_000 });
const small = pngOf({ width: 4, height: 4 });
const about: Header = { metadata: { prompt: 'a fox', model: 'sdxl', timestamp: { seconds: 1_700_000_000n } } };

const binary = (request: Request) => toBinary(SaveRequestSchema, create(SaveRequestSchema, request));
const message = (request: Request) => framed(binary(request));
const wanted = (request: object) => framed(toBinary(GetRequestSchema, create(GetRequestSchema, request)));

interface Wire {
  body: Buffer;
  /** Sent in pieces of this length. */
  pieces?: number;
  headers?: Record<string, string>;
  leaveOpen?: boolean;
}

interface Answer {
  headers: Record<string, unknown>;
  messages: Buffer[];
  trailers: Record<string, unknown>;
}

const daemons: RunningDaemon[] = [];

beforeAll(async () => {
  const limits = { IMAGE_STORAGE_LIMITS_FIRST_MESSAGE_SECONDS: '1.5', IMAGE_STORAGE_LIMITS_CHUNK_GAP_SECONDS: '1.5' };
  for (const raw of [true, false]) daemons.push(await runDaemon(limits, { raw }));
});
afterAll(() => Promise.all(daemons.map((daemon) => daemon.close())));

async function call(address: string, method: string, { body, pieces, headers, leaveOpen }: Wire): Promise<Answer> {
  const session = connectHttp2(`http://${address}`);
  const fields = { ':method': 'POST', 'content-type': 'application/grpc', te: 'trailers', ...headers };
  const stream = session.request({ ...fields, ':path': `/imagestorage.v1.ImageStorage/${method}` });
  const answer: Answer = { headers: {}, messages: [], trailers: {} };
  const parts: Buffer[] = [];
  stream
    .on('response', ({ date: _, ...received }) => Object.assign(answer.headers, received))
    .on('trailers', (received) => Object.assign(answer.trailers, received))
    .on('data', (part: Buffer) => void parts.push(part))
    .on('error', () => {});
  const closed = new Promise((resolve) => stream.once('close', resolve));
  for (let at = 0; pieces !== undefined && at < body.length && !stream.closed; at += pieces) {
    stream.write(body.subarray(at, at + pieces));
    await sleep(1);
  }
  // A small body and the end of the stream arrive at once.
  const rest = pieces === undefined ? body : Buffer.alloc(0);
  if (leaveOpen) stream.write(rest);
  else if (rest.length > 0) stream.end(rest);
  // Node may leave the end of a stream unsent behind a write of nothing.
  else stream.end();
  await closed;
  session.destroy();
  const bytes = Buffer.concat(parts);
  for (let at = 0; at < bytes.length; at += 5 + bytes.readUInt32BE(at + 1)) {
    answer.messages.push(bytes.subarray(at + 5, at + 5 + bytes.readUInt32BE(at + 1)));
  }
  return answer;
}

/** Calls both daemons, and expects the same of them, but for what `comparable` leaves out. Returns the answer. */
async function sameAnswer(
  method: string,
  wire: Wire,
  comparable: (messages: Buffer[]) => unknown = (messages) => messages,
): Promise<Answer> {
  const [raw, other] = await Promise.all(daemons.map(({ address }) => call(address, method, wire)));
  expect({ ...raw, messages: comparable(raw!.messages) }).toEqual({
    ...other,
    messages: comparable(other!.messages),
  });
  return raw!;
}

const saved = (messages: Buffer[]) =>
  messages.map((bytes) => {
    const { image, replayed } = fromBinary(SaveResponseSchema, bytes);
    const { filename, url, path, key, createTime, ...rest } = image!;
    const named = [filename, url, path, key].map((name) => name.length);
    return { ...rest, named: named.filter((_, at) => at !== 2), isDated: createTime !== undefined, replayed };
  });

describe('a Save', () => {
  const whole = [message(header(about)), message(chunk(png)), message(trailer({ size: BigInt(png.length) }))];
  const tag = Buffer.from([0x12]);
  /** Chunks that are more than a chunk: an unknown field, and a length with more digits than it needs. */
  const withUnknown = framed(Buffer.concat([binary(chunk(png)), Buffer.from([0x78, 1])]));
  const padded = framed(Buffer.concat([tag, Buffer.from([0x85, 0x80, 0]), png.subarray(0, 5)]));
  const good: [string, Wire][] = [
    ['in one piece', { body: Buffer.concat(whole) }],
    ['of a small image in one frame', { body: Buffer.concat([whole[0]!, message(chunk(small))]) }],
    ['in pieces', { body: Buffer.concat(whole), pieces: 7919 }],
    ['byte by byte at first', { body: Buffer.concat([whole[0]!, message(chunk(png.subarray(0, 40)))]), pieces: 1 }],
    ['with an unknown field beside the chunk', { body: Buffer.concat([whole[0]!, withUnknown]) }],
    [
      'with a length of too many digits',
      { body: Buffer.concat([whole[0]!, padded, message(chunk(png.subarray(5)))]), pieces: 11_003 },
    ],
    [
      'with empty chunks',
      {
        body: Buffer.concat([
          whole[0]!,
          message(chunk(png.subarray(0, 0))),
          message(chunk(png)),
          message(chunk(png.subarray(0, 0))),
        ]),
      },
    ],
    ['with a trailer of nothing', { body: Buffer.concat([...whole.slice(0, 2), message(trailer({}))]) }],
    ['with identity as its encoding', { body: Buffer.concat(whole), headers: { 'grpc-encoding': 'identity' } }],
    ['with +proto', { body: Buffer.concat(whole), headers: { 'content-type': 'application/grpc+proto' } }],
    ['with a deadline', { body: Buffer.concat(whole), headers: { 'grpc-timeout': '1M' } }],
    ['with a deadline of a century', { body: Buffer.concat(whole), headers: { 'grpc-timeout': '876000H' } }],
  ];
  it.each(good)('%s', async (_, wire) => {
    await sameAnswer('Save', wire, saved);
  });

  const begun = message(header(about));
  const bad: [string, Wire, status: number][] = [
    ['of nothing', { body: Buffer.alloc(0) }, 3],
    ['that begins with a chunk', { body: message(chunk(png)) }, 3],
    ['that begins with an empty message', { body: Buffer.concat([message({}), begun]) }, 3],
    ['with two headers', { body: Buffer.concat([begun, begun]) }, 3],
    ['with an empty message', { body: Buffer.concat([begun, message({})]) }, 3],
    ['with a chunk behind the trailer', { body: Buffer.concat([...whole, message(chunk(png))]) }, 3],
    ['with an empty chunk behind the trailer', { body: Buffer.concat([...whole, message(chunk(noise(0, 0)))]) }, 3],
    ['with two trailers', { body: Buffer.concat([...whole, message(trailer({}))]) }, 3],
    ['with 1,001 empty chunks', { body: Buffer.concat([begun, ...Array(1001).fill(message(chunk(noise(0, 0))))]) }, 3],
    ['with a chunk over 2 MiB', { body: Buffer.concat([begun, message(chunk(Buffer.alloc(2 * MIB + 1)))]) }, 8],
    ['with a message over the limit', { body: Buffer.from([0, 0xff, 0xff, 0xff, 0xff]) }, 8],
    ['with a later message over the limit', { body: Buffer.concat([begun, Buffer.from([0, 0x7f, 0, 0, 0, 9])]) }, 8],
    ['with 10,001 fields', { body: framed(Buffer.alloc(20_002, Buffer.from([0x78, 0]))) }, 3],
    [
      'with as many behind the header',
      { body: Buffer.concat([begun, framed(Buffer.alloc(20_002, Buffer.from([0x78, 0])))]) },
      3,
    ],
    ['with a compressed message', { body: Buffer.concat([begun, framed(png, { compressed: true })]) }, 3],
    ['with half a header', { body: begun.subarray(0, -1) }, 3],
    ['with half a prefix', { body: Buffer.concat([begun, begun.subarray(0, 3)]) }, 3],
    ['with half a chunk', { body: Buffer.concat([begun, message(chunk(png)).subarray(0, -1)]) }, 3],
    ['that is not protobuf', { body: framed(Buffer.from([0xff, 0xff])) }, 3],
    ['with a prompt that is not UTF-8', { body: framed(Buffer.from([0x0a, 0x05, 0x0a, 0x03, 0x0a, 0x01, 0xff])) }, 3],
    ['of text', { body: Buffer.concat([begun, message(chunk(Buffer.from('a red fox, not a blue one')))]) }, 3],
    ['of half an image', { body: Buffer.concat([begun, message(chunk(png.subarray(0, 9000)))]), pieces: 1000 }, 3],
    ['of another size', { body: Buffer.concat([whole[0]!, whole[1]!, message(trailer({ size: 7n }))]) }, 3],
    [
      'with half a sha256',
      { body: Buffer.concat([...whole.slice(0, 2), message(trailer({ sha256: noise(16, 0) }))]) },
      3,
    ],
    ['to nowhere', { body: message(header({ ...about, provider: 'nowhere' })) }, 5],
    ['to everywhere', { body: message(header({ ...about, provider: '*' })) }, 3],
    ['that never begins', { body: Buffer.alloc(0), leaveOpen: true }, 4],
    ['that stops', { body: Buffer.concat([begun, message(chunk(png.subarray(0, 9000)))]), leaveOpen: true }, 4],
    ['that stops in a chunk', { body: Buffer.concat(whole).subarray(0, 90_000), leaveOpen: true }, 4],
    ['over its deadline', { body: begun, leaveOpen: true, headers: { 'grpc-timeout': '50m' } }, 4],
    ['over its deadline at once', { body: begun, leaveOpen: true, headers: { 'grpc-timeout': '0m' } }, 4],
    ['with a deadline that is none', { body: begun, headers: { 'grpc-timeout': 'soon' } }, 3],
  ];
  it.each(bad)('%s is refused', async (_, wire, status) => {
    const { trailers, messages } = await sameAnswer('Save', wire);
    expect(trailers['grpc-status']).toBe(String(status));
    expect(messages).toEqual([]);
  });

  it('with a key that another image has is refused', async () => {
    const keyed = (prompt: string) =>
      Buffer.concat([message(header({ metadata: { prompt }, idempotencyKey: 'k' })), message(chunk(png))]);
    await sameAnswer('Save', { body: keyed('a') }, () => undefined);
    const { trailers } = await sameAnswer('Save', { body: keyed('b') });
    expect(trailers['grpc-status']).toBe('6');
  });
});

describe('a Get', () => {
  const image = pngOf({ width: 16, height: 16, sizeBytes: MIB + 77 });
  const names = new Map<string, string>();
  beforeAll(async () => {
    // The same in both stores, but for its name.
    for (const { address } of daemons) names.set(address, (await saveAt(address, image, about)).filename);
  });

  /** Asks each daemon for its image; `comparable` gets the chunks. */
  async function bothGet(request: object): Promise<Answer> {
    const [raw, other] = await Promise.all(
      daemons.map(({ address }) =>
        call(address, 'Get', { body: wanted({ filename: names.get(address), ...request }) }),
      ),
    );
    const shapes = [raw!, other!].map(({ messages, ...rest }) => ({
      ...rest,
      first: fromBinary(GetResponseSchema, messages[0] ?? Buffer.alloc(0)).payload.case,
      chunks: messages.slice(1).map((bytes) => bytes.length),
    }));
    expect(shapes[0]).toEqual(shapes[1]);
    return raw!;
  }
  const bytesOf = ({ messages }: Answer) =>
    Buffer.concat(messages.slice(1).map((bytes) => fromBinary(GetResponseSchema, bytes).payload.value as Uint8Array));

  it.each([
    ['the whole image', {}, image],
    ['the rest', { offset: 300_000n }, image.subarray(300_000)],
    ['a part', { offset: 17n, limit: 600_000n }, image.subarray(17, 600_017)],
    ['what is behind its end', { offset: BigInt(image.length) }, image.subarray(image.length)],
    ['its metadata', { metadataOnly: true }, image.subarray(image.length)],
  ])('gives %s', async (_, request, bytes) => {
    const answer = await bothGet(request);
    expect(answer.trailers['grpc-status']).toBe('0');
    expect(bytesOf(answer).equals(bytes)).toBe(true);
  });

  const bad: [string, Wire, status: number][] = [
    ['of an unknown name', { body: wanted({ filename: 'nothing' }) }, 5],
    ['from everywhere', { body: wanted({ filename: 'a.png', provider: '*' }) }, 3],
    ['without a message', { body: Buffer.alloc(0) }, 12],
    ['with two messages', { body: Buffer.concat([wanted({}), wanted({})]) }, 12],
    ['with half a message', { body: wanted({ filename: 'a.png' }).subarray(0, -1) }, 3],
    ['with half a prefix', { body: Buffer.from([0, 0]) }, 3],
    ['that is compressed', { body: framed(png, { compressed: true }) }, 3],
    ['that is not protobuf', { body: framed(Buffer.from([0xff, 0xff])) }, 3],
    ['of 4 GB', { body: Buffer.from([0, 0xff, 0xff, 0xff, 0xff]) }, 8],
    ['with 10,001 fields', { body: framed(Buffer.alloc(20_002, Buffer.from([0x78, 0]))) }, 3],
  ];
  it.each(bad)('%s is refused', async (_, wire, status) => {
    const { trailers } = await sameAnswer('Get', wire);
    expect(trailers['grpc-status']).toBe(String(status));
  });

  it('that never arrives is closed', async () => {
    const { headers, trailers } = await sameAnswer('Get', { body: wanted({}).subarray(0, 3), leaveOpen: true });
    expect({ headers, trailers }).toEqual({ headers: {}, trailers: {} });
  });

  it('beyond the end is refused', async () => {
    expect((await bothGet({ offset: BigInt(image.length + 1) })).trailers['grpc-status']).toBe('11');
  });
});

describe('a Get of an image that is one chunk', () => {
  const image = pngOf({ width: 16, height: 16, sizeBytes: 90_000 });

  /** Saves the image in each daemon, lets `damage` change its file, and compares the answers to a Get. */
  async function getBoth(request: object, damage?: (path: string) => Promise<unknown>): Promise<Answer> {
    const answers = await Promise.all(
      daemons.map(async ({ address }) => {
        const { filename, path } = await saveAt(address, image, about);
        await damage?.(path);
        return call(address, 'Get', { body: wanted({ filename, ...request }) });
      }),
    );
    const [raw, other] = answers.map(({ messages, ...rest }) => ({
      ...rest,
      chunks: messages.map((bytes) => fromBinary(GetResponseSchema, bytes).payload).slice(1),
    }));
    expect(raw).toEqual(other);
    return answers[0]!;
  }
  const bytesOf = ({ messages }: Answer) =>
    Buffer.concat(messages.slice(1).map((bytes) => fromBinary(GetResponseSchema, bytes).payload.value as Uint8Array));

  it.each([
    ['the whole image', {}, image],
    ['the rest', { offset: 30_000n }, image.subarray(30_000)],
    ['a part', { offset: 17n, limit: 60_000n }, image.subarray(17, 60_017)],
    ['what is behind its end', { offset: BigInt(image.length) }, Buffer.alloc(0)],
    ['its metadata', { metadataOnly: true }, Buffer.alloc(0)],
  ])('gives %s', async (_, request, bytes) => {
    const answer = await getBoth(request);
    expect(answer.trailers['grpc-status']).toBe('0');
    expect(bytesOf(answer).equals(bytes)).toBe(true);
  });

  it.each<[string, (path: string) => Promise<unknown>, chunks: number]>([
    ['was changed', (path) => writeFile(path, Buffer.from(image).fill(0, 100, 110)), 1],
    ['was cut', (path) => writeFile(path, image.subarray(0, 100)), 0],
    ['is gone', (path) => rm(path), 0],
  ])('whose file %s says so behind what it has', async (_, damage, chunks) => {
    const { trailers, messages } = await getBoth({}, damage);
    expect(trailers['grpc-status']).toBe('15');
    expect(messages).toHaveLength(1 + chunks);
  });

  it.runIf(process.platform === 'linux')('closes its file', async () => {
    await getBoth({});
    const open = await readdir('/proc/self/fd');
    const targets = await Promise.all(open.map((fd) => readlink(`/proc/self/fd/${fd}`).catch(() => '')));
    expect(targets.filter((target) => target.endsWith('.png'))).toEqual([]);
  });
});

describe('the messages of a Save', () => {
  it('are all read when the stream ends while they wait for memory', async () => {
    const stream = new Readable({ read() {} });
    const limits = { maxChunkBytes: MIB, firstMessageMs: 1000, chunkGapMs: 1000, saveMs: 1000 };
    const rules = { input: SaveRequestSchema, maxBytes: MIB, chunk: { tag: 0x12, maxBytes: MIB } };
    const stop = new AbortController();
    const counted = { received: 0, sent: 0 };
    const sender = {
      caller: { peer: 'a', connection: 1 },
      memory: createCallMemory(1000),
      signal: stop.signal,
      arrived: { bytes: 0 },
    };
    const messages = new RawSaveMessages(stream as ServerHttp2Stream, {
      rules,
      limits,
      sender,
      messages: counted,
      stop,
    });
    // As node:http2 ends it: before anything that waits goes on.
    stream.once('data', () => {
      stream.push(null);
      stream.read(0);
    });
    stream.push(Buffer.concat([message(header(about)), message(chunk(small)), message(trailer({ size: 7n }))]));
    expect((await messages.header()).metadata?.prompt).toBe('a fox');
    const received: Uint8Array[] = [];
    for await (const batch of messages) received.push(...batch);
    expect(Buffer.concat(received).equals(small)).toBe(true);
    expect(messages.declared).toEqual({ size: 7 });
    expect(counted.received).toBe(3);
  });
});

describe('the splitter', () => {
  it('finds the same chunks and messages in any pieces', () => {
    const sizes = fc.array(fc.oneof(fc.nat(20), fc.nat(5_000), fc.nat(300_000)), { maxLength: 20 });
    const cuts = fc.array(fc.oneof(fc.integer({ min: 1, max: 9 }), fc.integer({ min: 900, max: 70_000 })), {
      minLength: 1,
      maxLength: 5,
    });
    const odd = framed(Buffer.from([0x12, 0x82, 0x00, 7, 7]));
    const mixed = framed(Buffer.from([0x12, 0x01, 7, 0x78, 0x01]));
    const property = fc.property(sizes, cuts, fc.boolean(), (lengths, cut, hasOdd) => {
      const chunks = lengths.map((length, at) => noise(length, at));
      const behind = hasOdd ? [odd, mixed, framed(Buffer.from([0x12]))] : [];
      const wire = Buffer.concat([message(header(about)), ...chunks.map((bytes) => message(chunk(bytes))), ...behind]);
      const found: { chunks: Buffer[]; messages: number } = { chunks: [], messages: 0 };
      const splitter = new MessageSplitter(0x12, {
        chunk: () => void found.chunks.push(Buffer.alloc(0)),
        chunkBytes: (bytes) => found.chunks.push(Buffer.concat([found.chunks.pop()!, bytes])),
        message: () => false,
        messageBytes: () => undefined,
        messageEnd: () => {
          found.messages += 1;
          return true;
        },
      });
      const small = wire.length < 30_000;
      for (let [at, turn] = [0, 0]; at < wire.length; turn += 1) {
        const end = at + cut[turn % cut.length]! + (small ? 0 : 5_000);
        for (let rest: Buffer = wire.subarray(at, end); rest.length > 0; ) rest = splitter.push(rest);
        at = end;
      }
      expect(splitter.isBetweenMessages).toBe(true);
      const expected = [...chunks, ...(hasOdd ? [Buffer.from([7, 7])] : [])];
      expect(Buffer.concat(found.chunks).equals(Buffer.concat(expected))).toBe(true);
      expect(found).toMatchObject({ messages: hasOdd ? 3 : 1 });
      expect(found.chunks).toHaveLength(expected.length);
    });
    fc.assert(property, { numRuns: 100, seed });
  });
});
