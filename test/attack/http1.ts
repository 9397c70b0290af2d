/** What a rude client does over HTTP/1.1: bounded in count and time, over loopback alone. */
import { connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { ATTACK_MS, type Attack, answers, inRounds, type Target } from './calls.ts';

const MIB = 1024 * 1024;
const FORM_HEAD = 'POST /images HTTP/1.1\r\nHost: localhost\r\nContent-Type: multipart/form-data; boundary=b\r\n';
const CHUNKED = `${FORM_HEAD}Transfer-Encoding: chunked\r\n\r\n`;
const FILE_HEAD = '--b\r\nContent-Disposition: form-data; name="file"; filename="a.png"\r\n\r\n';
const FIELD_HEAD = '--b\r\nContent-Disposition: form-data; name="prompt"\r\n\r\n';
/** As a PNG begins whose picture goes on for 2 GiB. */
const ENDLESS_PNG = Buffer.from(
  '89504e470d0a1a0a0000000d494844520000001000000010080200000090916836' + '7fffffff49444154',
  'hex',
);

export const http1Attacks: Record<string, Attack> = {
  'silent sockets': (target) => withSockets(target, 2_000, () => sleep(ATTACK_MS)),

  'requests byte by byte': (target) =>
    withSockets(target, 500, async (sockets) => {
      const request = `GET /outputs/${'a'.repeat(4_000)} HTTP/1.1\r\nHost: localhost\r\n`;
      const end = performance.now() + ATTACK_MS;
      for (let at = 0; performance.now() < end && at < request.length; at += 1, await sleep(50)) {
        for (const socket of sockets) if (socket.writable) socket.write(request.charAt(at));
      }
    }),

  'images unread': (target) =>
    withSockets(target, 500, async (sockets) => {
      const request = `GET ${imagePath(target)} HTTP/1.1\r\nHost: localhost\r\n\r\n`;
      for (const socket of sockets) socket.pause().write(request);
      await sleep(ATTACK_MS);
    }),

  'archives unread': (target) =>
    withSockets(target, 100, async (sockets) => {
      const form = `filename=${target.filename}`;
      const head = `POST /zip HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-www-form-urlencoded\r\n`;
      for (const socket of sockets) {
        socket.once('data', () => socket.pause());
        socket.write(`${head}Content-Length: ${form.length}\r\n\r\n${form}`);
      }
      await sleep(ATTACK_MS);
    }),

  'headers without end': inRounds((target) =>
    withSockets(target, 100, async (sockets) => {
      for (const socket of sockets) socket.write(`GET / HTTP/1.1\r\nHost: localhost\r\nX-Much: ${'x'.repeat(100_000)}`);
      await sleep(200);
    }),
  ),

  'pipelined requests': pipelined('/images/none'),
  'pipelined lists': pipelined('/images?limit=1000'),

  'forms of fields': inRounds((target) => sendForms(target, 16, FIELD_HEAD, `x\r\n${FIELD_HEAD}`.repeat(1_000), 200)),
  'a field without end': inRounds((target) => sendForms(target, 16, FIELD_HEAD, 'x'.repeat(MIB), 8)),
  'a form without a part': inRounds((target) => sendForms(target, 16, '', '\r\n--c'.repeat(MIB / 5), 8)),
  'headers of a part': inRounds((target) => sendForms(target, 16, '--b\r\n', 'X-A: b\r\n'.repeat(MIB / 8), 8)),
  'boundaries that are almost': inRounds((target) =>
    sendForms(target, 8, FILE_HEAD + ENDLESS_PNG.toString('latin1'), '\r\n--\r\n-'.repeat(MIB / 8), 16),
  ),

  'files that drip': (target) =>
    withSockets(target, 200, async (sockets) => {
      const begin = Buffer.concat([Buffer.from(FILE_HEAD), ENDLESS_PNG]);
      for (const socket of sockets) socket.write(Buffer.concat([Buffer.from(CHUNKED), chunkOf(begin)]));
      for (const end = performance.now() + ATTACK_MS; performance.now() < end; await sleep(200)) {
        for (const socket of sockets) if (socket.writable) socket.write(chunkOf(Buffer.alloc(1)));
      }
    }),

  'chunks of a byte': (target) =>
    withSockets(target, 50, async (sockets) => {
      const begin = Buffer.concat([Buffer.from(FILE_HEAD), ENDLESS_PNG]);
      const crumbs = Buffer.concat(Array<Buffer>(3_000).fill(chunkOf(Buffer.alloc(1))));
      for (const socket of sockets) socket.write(Buffer.concat([Buffer.from(CHUNKED), chunkOf(begin)]));
      for (const end = performance.now() + ATTACK_MS; performance.now() < end; await sleep(20)) {
        for (const socket of sockets) if (socket.writable && socket.writableLength < MIB) socket.write(crumbs);
      }
    }),
};

export function imagePath({ filename }: Target): string {
  const [, stamp = '', model = ''] = /^(\d{8})_\d+_(.+)_\w+\.\w+$/.exec(filename) ?? [];
  const day = stamp.replace(/(\d{4})(\d\d)(\d\d)/, '$1-$2-$3');
  return `/outputs/images/generations/${day}/${model}/${filename}`;
}

function pipelined(path: string): Attack {
  const many = `GET ${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`.repeat(2_000);
  return inRounds((target) =>
    withSockets(target, 50, async (sockets) => {
      for (const socket of sockets) socket.write(many);
      await sleep(200);
    }),
  );
}

/** Sends so many forms at once, each with a part again and again until it is answered. */
function sendForms(target: Target, count: number, begin: string, part: string, times: number): Promise<void> {
  const piece = chunkOf(Buffer.from(part, 'latin1'));
  return withSockets(target, count, async (sockets) => {
    const send = async (socket: Socket) => {
      socket.write(CHUNKED);
      if (begin !== '') socket.write(chunkOf(Buffer.from(begin, 'latin1')));
      for (let sent = 0; sent < times && socket.writable; sent += 1) {
        if (!socket.write(piece)) await drained(socket);
      }
    };
    await Promise.race([Promise.all(sockets.map(send)), sleep(ATTACK_MS)]);
    await sleep(100);
  });
}

function drained(socket: Socket): Promise<void> {
  return new Promise((resolve) => {
    const go = () => {
      socket.off('drain', go).off('close', go);
      resolve();
    };
    socket.on('drain', go).on('close', go);
  });
}

function chunkOf(bytes: Buffer): Buffer {
  return Buffer.concat([Buffer.from(`${bytes.length.toString(16)}\r\n`), bytes, Buffer.from('\r\n')]);
}

/** Counts how the requests are answered. */
async function withSockets(
  { host, port, localAddress }: Target,
  count: number,
  work: (sockets: Socket[]) => Promise<unknown>,
): Promise<void> {
  const sockets = Array.from({ length: count }, () => connect({ host, port, localAddress }));
  for (const socket of sockets) socket.on('error', () => {}).on('data', noteStatus);
  try {
    await work(sockets);
  } finally {
    for (const socket of sockets) socket.destroy();
  }
}

function noteStatus(answer: Buffer): void {
  const [, status] = /^HTTP\/1.1 (\d+)/.exec(answer.toString('latin1', 0, 20)) ?? [];
  if (status !== undefined) answers[status] = (answers[status] ?? 0) + 1;
}
