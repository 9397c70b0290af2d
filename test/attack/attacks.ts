/** What a rude client does, row by row: bounded in count and time, over loopback alone. */
import { type ClientHttp2Session, type ClientHttp2Stream, connect as connectHttp2 } from 'node:http2';
import { connect as connectSocket, type Socket } from 'node:net';
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

/** How long an attack that holds something holds it, and an attack in rounds goes on. */
const ATTACK_MS = 4_000;
const MAX_ROUNDS = 40;

/** Whom to attack, and from where. */
export interface Target {
  host: string;
  port: number;
  localAddress: string;
  /** An image of the store, for those that read. */
  filename: string;
}

export type Attack = (target: Target) => Promise<void>;

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
    const frames = Array.from({ length: 900 }, (_, at) => {
      const stream = at * 2 + 1;
      return Buffer.concat([
        headersFrame(stream, STATS),
        dataFrame(stream, framed(Buffer.alloc(0)), true),
        resetFrame(stream),
      ]);
    });
    const burst = Buffer.concat(frames);
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

  'gzip bomb': inRounds((target) => answered(target, SAVE, 8, Buffer.concat([plainHeader, bomb()]), { headers: gzip })),
};

/** A gzip of 1 GiB of zeros, but for its checksum: nobody should get so far. */
function bomb(): Buffer {
  const begin = Buffer.from([0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3]);
  const zeros = deflateRawSync(Buffer.alloc(MIB), { finishFlush: constants.Z_FULL_FLUSH });
  const end = Buffer.concat([deflateRawSync(Buffer.alloc(0)), Buffer.alloc(8)]);
  return framed(Buffer.concat([begin, ...Array<Buffer>(1024).fill(zeros), end]), { compressed: true });
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

interface Options {
  headers?: Record<string, string>;
  /** Half-closes behind the body. */
  end?: boolean;
  /** The receive window of each stream; 0 reads nothing. */
  window?: number;
}

/** Opens so many calls at once, sends the body in each, and holds them. */
function held(target: Target, path: string, calls: number, body: Buffer, options: Options = {}): Promise<void> {
  return withSessions(
    target,
    1,
    async ([session]) => {
      for (let count = 0; count < calls; count += 1) send(open(session!, path, options), body, options);
      await sleep(ATTACK_MS);
    },
    options,
  );
}

/** Opens so many calls at once, sends the body in each, and waits for their answers. */
function answered(target: Target, path: string, calls: number, body: Buffer, options: Options = {}): Promise<void> {
  return withSessions(
    target,
    1,
    async ([session]) => {
      const all = Array.from({ length: calls }, () => {
        const call = open(session!, path, options);
        const closed = closing(call);
        send(call, body, options);
        return closed;
      });
      await Promise.race([Promise.all(all), sleep(2 * ATTACK_MS)]);
    },
    options,
  );
}

async function withSessions(
  { host, port, localAddress }: Target,
  count: number,
  work: (sessions: ClientHttp2Session[]) => Promise<void>,
  { window = 1 << 20 }: Options = {},
): Promise<void> {
  const sessions = Array.from({ length: count }, () =>
    connectHttp2(`http://${host}:${port}`, {
      createConnection: () => connectSocket({ host, port, localAddress }),
      settings: { initialWindowSize: window },
    }),
  );
  for (const session of sessions) session.on('error', () => session.destroy());
  try {
    await work(sessions);
  } finally {
    for (const session of sessions) session.destroy();
  }
}

function open(session: ClientHttp2Session, path: string, { headers }: Options = {}): ClientHttp2Stream {
  const fields = { ':method': 'POST', ':path': path, 'content-type': 'application/grpc', te: 'trailers', ...headers };
  const call = session.request(fields, { endStream: false });
  call.on('error', () => {}).resume();
  return call;
}

function send(call: ClientHttp2Stream, body: Buffer, { end = false }: Options): void {
  call.write(body);
  if (end) call.end();
}

function closing(call: ClientHttp2Stream): Promise<void> {
  return new Promise((resolve) => call.once('close', resolve));
}

function inRounds(round: Attack, rounds = MAX_ROUNDS): Attack {
  return async (target) => {
    const end = performance.now() + ATTACK_MS;
    for (let count = 0; count < rounds && performance.now() < end; count += 1) await round(target);
  };
}
