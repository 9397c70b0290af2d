/** What a rude client does with TLS: bounded in count and time, over loopback alone. */
import { connect as connectSocket, type Socket } from 'node:net';
import { Duplex } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import { create, toBinary } from '@bufbuild/protobuf';
import { GetRequestSchema } from '../../gen/imagestorage/v1/image_storage_pb.ts';
import { framed } from '../support/grpc.ts';
import { overConnections, resetCalls } from './attacks.ts';
import { ATTACK_MS, type Attack, held, inRounds, type Target } from './calls.ts';
import { imagePath } from './http1.ts';

const GET = '/imagestorage.v1.ImageStorage/Get';
/** Handshakes that an attacker makes at a time: each costs it as much as the daemon. */
const AT_A_TIME = 50;

export const tlsAttacks: Record<string, Attack> = {
  'half a hello': async (target) => {
    const hello = await clientHello();
    await withSockets(target, 2_000, async (sockets) => {
      for (const socket of sockets) socket.write(hello.subarray(0, hello.length / 2));
      await sleep(ATTACK_MS);
    });
  },

  'handshakes without an end': inRounds(async (target) => {
    const hello = await clientHello();
    await withSockets(target, 500, async (sockets) => {
      for (const socket of sockets) socket.write(hello);
      await sleep(200);
    });
  }),

  'hello byte by byte': async (target) => {
    const hello = await clientHello();
    await withSockets(target, 500, async (sockets) => {
      for (let at = 0; at < ATTACK_MS / 50; at += 1, await sleep(50)) {
        for (const socket of sockets) if (socket.writable) socket.write(hello.subarray(at, at + 1));
      }
    });
  },

  'silent behind TLS': (target) =>
    withTls(target, 1_100, async () => {
      await sleep(ATTACK_MS);
    }),

  'images unread behind TLS': (target) =>
    withTls(target, 200, async (sockets) => {
      const request = `GET ${imagePath(target)} HTTP/1.1\r\nHost: localhost\r\n\r\n`;
      for (const socket of sockets) socket.pause().write(request);
      await sleep(ATTACK_MS);
    }),

  'gets unread behind TLS': (target) => {
    const request = framed(toBinary(GetRequestSchema, create(GetRequestSchema, { filename: target.filename })));
    return held({ ...target, isTls: true }, GET, 250, request, { end: true, window: 0 });
  },

  'resets over connections behind TLS': (target) => overConnections(resetCalls(60))({ ...target, isTls: true }),

  'records of a byte': (target) =>
    withTls(target, 50, async (sockets) => {
      for (const socket of sockets) socket.write('POST /images HTTP/1.1\r\nHost: localhost\r\n');
      const crumb = 'X';
      for (const end = performance.now() + ATTACK_MS; performance.now() < end; await sleep(5)) {
        for (const socket of sockets) {
          for (let count = 0; count < 50 && socket.writable; count += 1) socket.write(crumb);
        }
      }
    }),
};

/** What a client of ours begins with. */
function clientHello(): Promise<Buffer> {
  return new Promise((resolve) => {
    const nowhere = new Duplex({
      read() {},
      write(bytes: Buffer) {
        resolve(bytes);
      },
    });
    connectTls({ socket: nowhere, rejectUnauthorized: false, ALPNProtocols: ['h2'] }).on('error', () => {});
  });
}

async function withSockets(
  { host, port, localAddress }: Target,
  count: number,
  work: (sockets: Socket[]) => Promise<unknown>,
): Promise<void> {
  const sockets = Array.from({ length: count }, () => connectSocket({ host, port, localAddress }));
  for (const socket of sockets) socket.on('error', () => {}).resume();
  try {
    await work(sockets);
  } finally {
    for (const socket of sockets) socket.destroy();
  }
}

/** Whose handshake is done, over HTTP/1.1. */
async function withTls(target: Target, count: number, work: (sockets: TLSSocket[]) => Promise<void>): Promise<void> {
  const sockets: TLSSocket[] = [];
  const end = performance.now() + ATTACK_MS;
  try {
    while (sockets.length < count && performance.now() < end) {
      const shaken = await Promise.all(Array.from({ length: AT_A_TIME }, () => shake(target)));
      for (const socket of shaken) if (socket !== undefined) sockets.push(socket);
    }
    await work(sockets);
  } finally {
    for (const socket of sockets) socket.destroy();
  }
}

function shake({ host, port, localAddress }: Target): Promise<TLSSocket | undefined> {
  return new Promise((resolve) => {
    const where = { host, port, localAddress };
    const socket = connectTls({ ...where, rejectUnauthorized: false, ALPNProtocols: ['http/1.1'] });
    socket.once('secureConnect', () => resolve(socket)).on('error', () => resolve(undefined));
  });
}
