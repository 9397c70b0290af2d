/** What connect is given of a request: the same messages, looked through, whatever pieces their bytes arrive in. */
import { gzipSync } from 'node:zlib';
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import type { ConnectError } from '@connectrpc/connect';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ErrorInfoSchema } from '../../gen/google/rpc/error_details_pb.ts';
import { DeleteRequestSchema, SaveRequestSchema } from '../../gen/imagestorage/v1/image_storage_pb.ts';
import { createCallMemory } from '../../src/rpc/memory.ts';
import { type BodyFormat, type MessageRules, RequestBody } from '../../src/rpc/request-body.ts';
import { chunk, framed, header, type Request, trailer } from '../support/grpc.ts';
import { noise } from '../support/images.ts';
import { seed } from '../support/scale.ts';

const KIB = 1024;
const MIB = 1024 * KIB;
const ENVELOPED: BodyFormat = { isEnveloped: true, isJson: false, isGzip: true };
const UPLOAD: MessageRules = { input: SaveRequestSchema, maxBytes: 3 * MIB, chunk: { tag: 0x12, maxBytes: 2 * MIB } };
const UNARY: MessageRules = { input: DeleteRequestSchema, maxBytes: 512 * KIB };

const binary = (request: Request) => toBinary(SaveRequestSchema, create(SaveRequestSchema, request));
const message = (request: Request) => framed(binary(request));
const packed = (bytes: Uint8Array) => framed(gzipSync(bytes), { compressed: true });

async function* pieces(bytes: Buffer, ...lengths: number[]): AsyncGenerator<Buffer> {
  for (let [at, turn] = [0, 0]; at < bytes.length; turn += 1) {
    const length = lengths[turn % lengths.length] ?? bytes.length;
    yield bytes.subarray(at, at + length);
    at += length;
  }
}

function bodyOf(source: AsyncIterable<Buffer>, rules = UPLOAD, format = ENVELOPED): RequestBody {
  const { signal } = new AbortController();
  const caller = { peer: '10.0.0.1', connection: 1 };
  return new RequestBody(source, format, rules, {
    caller,
    memory: createCallMemory(1_000),
    signal,
    arrived: { bytes: 0 },
    begin: async () => {},
  });
}

/** The bytes that connect is given; each piece is valid until the next one is asked for. */
async function readAll(body: RequestBody): Promise<Buffer> {
  const pieces: Buffer[] = [];
  for await (const piece of body) pieces.push(Buffer.from(piece));
  return Buffer.concat(pieces);
}

/** The messages of an upload. */
async function received(source: AsyncIterable<Buffer>): Promise<Request['payload'][]> {
  const bytes = await readAll(bodyOf(source));
  const payloads: Request['payload'][] = [];
  for (let at = 0; at < bytes.length; ) {
    const end = at + 5 + bytes.readUInt32BE(at + 1);
    expect(bytes[at]).toBe(0);
    payloads.push(fromBinary(SaveRequestSchema, bytes.subarray(at + 5, end)).payload);
    at = end;
  }
  return payloads;
}

async function refusalOf(source: AsyncIterable<Buffer>, rules?: MessageRules): Promise<string | undefined> {
  try {
    await readAll(bodyOf(source, rules));
    return undefined;
  } catch (error) {
    return (error as ConnectError).findDetails(ErrorInfoSchema)[0]?.reason;
  }
}

describe('an upload', () => {
  it('has the same bytes between header and trailer, in any pieces, compressed or not', async () => {
    const sizes = fc.array(fc.oneof(fc.nat(20), fc.nat(5_000), fc.nat(600_000)), { maxLength: 30 });
    const cuts = fc.array(fc.oneof(fc.integer({ min: 1, max: 9 }), fc.integer({ min: 1000, max: 70_000 })), {
      minLength: 1,
      maxLength: 5,
    });
    await fc.assert(
      fc.asyncProperty(sizes, cuts, fc.array(fc.boolean(), { minLength: 1 }), async (lengths, cut, isPacked) => {
        const chunks = lengths.map((length, at) => noise(length, at));
        const messages = [header({ metadata: { prompt: 'a fox' } }), ...chunks.map(chunk), trailer({ size: 7n })];
        const wire = messages.map((request, at) =>
          isPacked[at % isPacked.length] ? packed(binary(request)) : message(request),
        );
        const small = wire.reduce((sum, { length }) => sum + length, 0) < 100_000;
        const payloads = await received(pieces(Buffer.concat(wire), ...(small ? cut : cut.map((n) => n + 10_000))));
        expect(payloads[0]).toMatchObject({ case: 'header', value: { metadata: { prompt: 'a fox' } } });
        expect(payloads.at(-1)).toMatchObject({ case: 'trailer', value: { size: 7n } });
        const bytes = payloads.slice(1, -1).map((payload) => payload!.value as Uint8Array);
        expect(Buffer.concat(bytes).equals(Buffer.concat(chunks))).toBe(true);
      }),
      { numRuns: 60, seed },
    );
  });

  it('is divided into parts of at most 256 KiB', async () => {
    const payloads = await received(pieces(Buffer.concat([message(header()), message(chunk(noise(MIB + 1, 1)))])));
    const lengths = payloads.slice(1).map((payload) => (payload!.value as Uint8Array).length);
    expect(lengths).toEqual([256 * KIB, 256 * KIB, 256 * KIB, 256 * KIB, 1]);
  });

  it('has small chunks joined and empty ones left out, but for the first', async () => {
    const tiny = Array(100).fill(message(chunk(Buffer.from([7]))));
    const empty = message(chunk(Buffer.alloc(0)));
    const payloads = await received(pieces(Buffer.concat([message(header()), empty, ...tiny, empty, empty])));
    expect(payloads).toHaveLength(2);
    expect(payloads[1]!.value).toHaveLength(100);
    expect(await received(pieces(Buffer.concat([message(header()), empty])))).toHaveLength(2);
  });

  it.each([
    ['of more than 1,000 empty chunks', Array(1001).fill(message(chunk(Buffer.alloc(0)))), 'FIELD_INVALID'],
    ['with a chunk that is too large', [message(chunk(Buffer.alloc(2 * MIB + 1)))], 'MESSAGE_TOO_LARGE'],
    [
      'with a compressed chunk that becomes too large',
      [packed(binary(chunk(Buffer.alloc(4 * MIB))))],
      'MESSAGE_TOO_LARGE',
    ],
    ['with 10,001 fields in a message', [framed(Buffer.alloc(20_002, Buffer.from([0x78, 0])))], 'FIELD_INVALID'],
    ['with as many in a compressed one', [packed(Buffer.alloc(20_002, Buffer.from([0x78, 0])))], 'FIELD_INVALID'],
    ['with a group', [framed(Buffer.from([0x7b, 0x7c]))], 'FIELD_INVALID'],
    ['with what is no gzip', [framed(Buffer.from('garbage'), { compressed: true })], 'FIELD_INVALID'],
  ])('%s is refused', async (_, messages, reason) => {
    expect(await refusalOf(pieces(Buffer.concat([message(header()), ...messages])))).toBe(reason);
  });
});

describe('a message', () => {
  it('of 10,000 fields passes, those in messages of the contract counted', async () => {
    const tags = Array(9_998).fill('');
    const request = message(header({ metadata: { tags } }));
    expect(await received(pieces(request))).toHaveLength(1);
    const more = message(header({ metadata: { tags: [...tags, ''] } }));
    expect(await refusalOf(pieces(more))).toBe('FIELD_INVALID');
  });

  it('that is too large is refused by its announcement', async () => {
    const announced = Buffer.from([0, 0xff, 0xff, 0xff, 0xff]);
    expect(await refusalOf(pieces(announced), UNARY)).toBe('MESSAGE_TOO_LARGE');
  });

  it('without an envelope is inflated as well', async () => {
    const filenames = ['a.png', 'b.png'];
    const bytes = toBinary(DeleteRequestSchema, create(DeleteRequestSchema, { filenames }));
    const format = { ...ENVELOPED, isEnveloped: false };
    expect(await readAll(bodyOf(pieces(gzipSync(bytes), 7), UNARY, format))).toEqual(Buffer.from(bytes));
  });

  it('in JSON has at most 10,000 values', async () => {
    const json = (count: number) => framed(Buffer.from(JSON.stringify({ filenames: Array(count).fill('') })));
    const format = { ...ENVELOPED, isJson: true };
    expect(await readAll(bodyOf(pieces(json(9_998)), UNARY, format))).toEqual(json(9_998));
    await expect(readAll(bodyOf(pieces(json(10_001)), UNARY, format))).rejects.toThrow('10,000 values');
  });
});
