/** What a rude client does, row by row: bounded in count and time, over loopback alone. */
import type { ClientHttp2Session } from 'node:http2';
import type { Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { constants, deflateRawSync, gzipSync } from 'node:zlib';
import { create, toBinary } from '@bufbuild/protobuf';
import { ServerReflectionRequestSchema } from '../../gen/grpc/reflection/v1/reflection_pb.ts';
import {
  DeleteRequestSchema,
  GetRequestSchema,
  ListRequestSchema,
  SaveRequestSchema,
} from '../../gen/imagestorage/v1/image_storage_pb.ts';
import { VerifyRequestSchema } from '../../gen/imagestorage/v1/maintenance_pb.ts';
import { framed, type Request } from '../support/grpc.ts';
import { pngOf } from '../support/images.ts';
import { worstImages } from '../support/worst-images.ts';
import { ATTACK_MS, type Attack, answered, closing, flood, held, inRounds, open, send, withSessions } from './calls.ts';
import { dataFrame, headersFrame, openRaw, resetFrame } from './frames.ts';

const MIB = 1024 * 1024;
const SAVE = '/imagestorage.v1.ImageStorage/Save';
const STATS = '/imagestorage.v1.ImageStorage/Stats';
const DELETE = '/imagestorage.v1.ImageStorage/Delete';
const LIST = '/imagestorage.v1.ImageStorage/List';
const GET = '/imagestorage.v1.ImageStorage/Get';
const VERIFY = '/imagestorage.v1.Maintenance/Verify';
const WATCH = '/grpc.health.v1.Health/Watch';
const REFLECTION = '/grpc.reflection.v1.ServerReflection/ServerReflectionInfo';

const LETTERS = 'abcdefghijklmnopqrstuvwxyz0123456789';

const gzip = { 'grpc-encoding': 'gzip' };
const message = (request: Request) => Buffer.from(toBinary(SaveRequestSchema, create(SaveRequestSchema, request)));
const plainHeader = framed(message({ payload: { case: 'header', value: { metadata: { prompt: 'a fox' } } } }));
const chunk = (value: Uint8Array) => message({ payload: { case: 'chunk', value } });
const compressed = (bytes: Uint8Array) => framed(gzipSync(bytes), { compressed: true });

/** Field 15 with the number 0, a million times. */
const unknownFields = compressed(Buffer.alloc(2_000_000, Buffer.from([0x78, 0x00])));

/** A PNG that goes on for 2 GiB, as far as its beginning tells. */
function endlessPng(): Buffer {
  const png = pngOf({ width: 16, height: 16, sizeBytes: 4096 });
  const idat = png.indexOf('IDAT');
  const beginning = Buffer.from(png.subarray(0, idat + 4));
  beginning.writeUInt32BE(0x7fff_ffff, idat - 4);
  return beginning;
}

export const attacks: Record<string, Attack> = {
  nothing: () => sleep(ATTACK_MS),

  'unknown fields in headers': inRounds((target) => answered(target, SAVE, 64, unknownFields, { headers: gzip })),

  'unknown fields in chunks': inRounds((target) => {
    const body = Buffer.concat([plainHeader, ...Array<Buffer>(22).fill(unknownFields)]);
    return answered(target, SAVE, 4, body, { headers: gzip });
  }),

  'spaces in parameters': (target) => {
    const parametersJson = `{}${' '.repeat(MIB - 4096)}`;
    const header = message({ payload: { case: 'header', value: { metadata: { parametersJson } } } });
    return held(target, SAVE, 250, compressed(header), { headers: gzip });
  },

  reflection: (target) => {
    const question = { messageRequest: { case: 'fileByFilename', value: 'x'.repeat(500_000) } } as const;
    const request = framed(toBinary(ServerReflectionRequestSchema, create(ServerReflectionRequestSchema, question)));
    return withSessions(target, 1, async ([session]) => {
      const call = open(session!, REFLECTION);
      const closed = closing(call);
      const write = async () => {
        for (let sent = 0; sent < 2_000 && !call.destroyed; sent += 1) {
          if (!call.write(request)) await Promise.race([new Promise((resolve) => call.once('drain', resolve)), closed]);
        }
        call.end();
      };
      await Promise.race([Promise.all([write(), closed]), sleep(2 * ATTACK_MS)]);
    });
  },

  'deletes of unknown names': inRounds(async (target) => {
    const filenames = Array.from(
      { length: 1_000 },
      (_, at) => `20240927_141522_nothing-there_${at.toString(36).padStart(6, '0')}.png`,
    );
    const request = framed(toBinary(DeleteRequestSchema, create(DeleteRequestSchema, { filenames })));
    await answered(target, DELETE, 250, request, { end: true });
  }),

  resets: inRounds(async ({ host, port, localAddress }) => {
    const sockets: Socket[] = [];
    for (let count = 0; count < 20; count += 1) sockets.push(await openRaw(host, port, localAddress));
    const burst = resetCalls(900);
    for (const socket of sockets) socket.write(burst);
    await sleep(500);
    for (const socket of sockets) socket.destroy();
  }, 3),

  'empty chunks': inRounds(manyChunks(framed(chunk(Buffer.alloc(0))), 1_000_000, 4)),
  'one-byte chunks': inRounds(manyChunks(framed(chunk(Buffer.alloc(1))), 100_000, 8)),

  'lists unread': (target) => {
    const request = framed(toBinary(ListRequestSchema, create(ListRequestSchema, { batchSize: 1000 })));
    return held(target, LIST, 100, request, { end: true, window: 0 });
  },

  'gets unread': (target) => {
    const request = framed(toBinary(GetRequestSchema, create(GetRequestSchema, { filename: target.filename })));
    return held(target, GET, 250, request, { end: true, window: 0 });
  },

  'dripping saves': (target) => {
    const beginning = Buffer.concat([plainHeader, framed(chunk(endlessPng()))]);
    return held(target, SAVE, 64, beginning);
  },

  hello: async ({ host, port, localAddress }) => {
    const sockets: Socket[] = [];
    for (let count = 0; count < 1_100; count += 1) {
      const socket = await openRaw(host, port, localAddress).catch(() => undefined);
      if (socket !== undefined) sockets.push(socket);
    }
    await sleep(ATTACK_MS);
    for (const socket of sockets) socket.destroy();
  },

  'held saves': (target) => held(target, SAVE, 4, unknownFields, { headers: gzip }),
  watches: (target) => held(target, WATCH, 100, unknownFields, { headers: gzip, end: true }),

  'worst images': inRounds((target) => {
    const bodies = worstImages(2 * MIB).map(({ bytes }) => {
      const pieces = [bytes.subarray(0, 2 * MIB), bytes.subarray(2 * MIB)].map((piece) => compressed(chunk(piece)));
      return Buffer.concat([plainHeader, ...pieces]);
    });
    return withSessions(target, 1, async ([session]) => {
      const calls = bodies.map((body) => {
        const call = open(session!, SAVE, { headers: gzip });
        const closed = closing(call);
        send(call, body, { end: true });
        return closed;
      });
      await Promise.race([Promise.all(calls), sleep(2 * ATTACK_MS)]);
    });
  }),

  'long queries': searches([upTo(4096, (at) => `${LETTERS[at % LETTERS.length]}${at}`)]),
  'queries of a letter': searches([...LETTERS]),

  'hostile files': inRounds((target) => {
    const verify = toBinary(VerifyRequestSchema, create(VerifyRequestSchema, { repair: true }));
    return answered(target, VERIFY, 1, framed(verify), { end: true });
  }),

  'misread fields': inRounds((target) => {
    // `pinned`, a bool, as bytes: what a counter skips as its value, protobuf-es decodes as fields.
    const pinned = lengthDelimited(7, Buffer.alloc(2_000_000, Buffer.from([0x78, 0x00])));
    return answered(target, SAVE, 16, framed(lengthDelimited(1, pinned)), { end: true });
  }),

  'small compressed chunks': (target) =>
    withSessions(target, 1, async ([session]) => {
      const many = Buffer.concat(Array<Buffer>(5_000).fill(compressed(chunk(Buffer.alloc(0)))));
      for (let count = 0; count < 8; count += 1) {
        const call = open(session!, SAVE, { headers: gzip });
        call.write(Buffer.concat([plainHeader, framed(chunk(endlessPng())), many]));
      }
      await sleep(ATTACK_MS);
    }),

  'saves that crawl': (target) =>
    withSessions(target, 1, async ([session]) => {
      const calls = Array.from({ length: 64 }, () => open(session!, SAVE));
      for (const call of calls) call.write(Buffer.concat([plainHeader, framed(chunk(endlessPng()))]));
      for (const end = performance.now() + 2 * ATTACK_MS; performance.now() < end; await sleep(200)) {
        for (const call of calls) if (!call.destroyed) call.write(framed(chunk(Buffer.alloc(1_250))));
      }
    }),

  'Stats at once': flood(4, 200, STATS),

  'descriptions unread': (target) => {
    const request = toBinary(
      GetRequestSchema,
      create(GetRequestSchema, { filename: target.filename, metadataOnly: true }),
    );
    return held(target, GET, 250, framed(request), { end: true, window: 0 });
  },

  'verifies at once': flood(1, 250, VERIFY),

  'held connect calls': (target) =>
    withSessions(target, 3, async (sessions) => {
      const headers = { 'content-type': 'application/proto' };
      for (const session of sessions) for (let count = 0; count < 2; count += 1) open(session, STATS, { headers });
      await sleep(ATTACK_MS);
    }),

  'requests in URLs': (target) => {
    const fields = gzipSync(Buffer.alloc(64_000, Buffer.from([0x78, 0x00]))).toString('base64url');
    const path = `${STATS}?connect=v1&encoding=proto&base64=1&compression=gzip&message=${fields}`;
    return withSessions(target, 4, async (sessions) => {
      const end = performance.now() + ATTACK_MS;
      const ask = async (session: ClientHttp2Session) => {
        while (performance.now() < end && !session.destroyed) {
          const call = session.request({ ':method': 'GET', ':path': path });
          call.on('error', () => {}).resume();
          await closing(call);
        }
      };
      await Promise.race([
        Promise.all(sessions.flatMap((session) => Array.from({ length: 50 }, () => ask(session)))),
        sleep(2 * ATTACK_MS),
      ]);
    });
  },

  'resets over connections': overConnections(resetCalls(60)),
  'streams left open over connections': overConnections(openedCalls(250)),

  'bytes one by one': async ({ host, port, localAddress }) => {
    const sockets = await Promise.all(Array.from({ length: 50 }, () => openRaw(host, port, localAddress)));
    const begin = Buffer.concat([
      headersFrame(1, SAVE),
      dataFrame(1, Buffer.concat([plainHeader, framed(chunk(endlessPng()))])),
    ]);
    const crumbs = Buffer.concat(
      [...framed(chunk(Buffer.alloc(3_000)))].map((byte) => dataFrame(1, Buffer.from([byte]))),
    );
    for (const socket of sockets) socket.write(begin);
    for (const end = performance.now() + ATTACK_MS; performance.now() < end; await sleep(20)) {
      for (const socket of sockets) if (socket.writable && socket.writableLength < MIB) socket.write(crumbs);
    }
    for (const socket of sockets) socket.destroy();
  },

  'gzip bomb': inRounds((target) => answered(target, SAVE, 8, Buffer.concat([plainHeader, bomb()]), { headers: gzip })),
};

/** A gzip of 1 GiB of zeros, but for its checksum: nobody should get so far. */
function bomb(): Buffer {
  const begin = Buffer.from([0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3]);
  const zeros = deflateRawSync(Buffer.alloc(MIB), { finishFlush: constants.Z_FULL_FLUSH });
  const end = Buffer.concat([deflateRawSync(Buffer.alloc(0)), Buffer.alloc(8)]);
  return framed(Buffer.concat([begin, ...Array<Buffer>(1024).fill(zeros), end]), { compressed: true });
}

export function resetCalls(count: number): Buffer {
  const frames = Array.from({ length: count }, (_, at) => {
    const stream = at * 2 + 1;
    return Buffer.concat([
      headersFrame(stream, STATS),
      dataFrame(stream, framed(Buffer.alloc(0)), true),
      resetFrame(stream),
    ]);
  });
  return Buffer.concat(frames);
}

/** Calls of which nothing comes but their headers. */
function openedCalls(count: number): Buffer {
  return Buffer.concat(Array.from({ length: count }, (_, at) => headersFrame(at * 2 + 1, SAVE)));
}

/** Opens 300 connections, sends the same over each, and leaves them; in rounds. */
export function overConnections(burst: Buffer): Attack {
  return inRounds(async ({ host, port, localAddress, isTls }) => {
    const opening = Array.from({ length: 300 }, () => openRaw(host, port, localAddress, { isTls }));
    const sockets = await Promise.all(opening);
    for (const socket of sockets) socket.write(burst);
    await sleep(400);
    for (const socket of sockets) socket.destroy();
  }, 5);
}

/** A field of a protobuf message, whatever its type is. */
function lengthDelimited(field: number, bytes: Uint8Array): Buffer {
  const head = [field * 8 + 2];
  let rest = bytes.length;
  for (; rest >= 0x80; rest = Math.floor(rest / 0x80)) head.push((rest % 0x80) + 0x80);
  return Buffer.concat([Buffer.from([...head, rest]), bytes]);
}

/** Eight callers that each ask for one page after the other. */
function searches(queries: string[]): Attack {
  const requests = queries.map((query) =>
    framed(toBinary(ListRequestSchema, create(ListRequestSchema, { query, limit: 100 }))),
  );
  const callers = Array.from({ length: 8 });
  return async (target) => {
    const end = performance.now() + ATTACK_MS;
    const search = async () => {
      for (let at = 0; performance.now() < end; at += 1) {
        await answered(target, LIST, 1, requests[at % requests.length]!, { end: true });
      }
    };
    await Promise.all(callers.map(search));
  };
}

function upTo(bytes: number, wordAt: (at: number) => string): string {
  let query = wordAt(0);
  for (let at = 1; query.length + 1 + wordAt(at).length <= bytes; at += 1) query += ` ${wordAt(at)}`;
  return query;
}

function manyChunks(one: Buffer, count: number, saves: number): Attack {
  const perWrite = 10_000;
  const many = Buffer.concat(Array<Buffer>(perWrite).fill(one));
  return (target) =>
    withSessions(target, saves, async (sessions) => {
      const calls = sessions.map(async (session) => {
        const call = open(session, SAVE);
        const closed = closing(call);
        call.write(Buffer.concat([plainHeader, framed(chunk(endlessPng()))]));
        for (let sent = 0; sent < count && !call.destroyed; sent += perWrite) {
          if (!call.write(many)) await Promise.race([new Promise((resolve) => call.once('drain', resolve)), closed]);
        }
      });
      await Promise.race([Promise.all(calls), sleep(2 * ATTACK_MS)]);
    });
}
