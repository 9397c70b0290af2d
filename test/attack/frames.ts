/** HTTP/2 frames as they go over the wire, for clients that no library would let be so rude. */
import { connect, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';

export const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
const [DATA, HEADERS, RST_STREAM, SETTINGS, PING, WINDOW_UPDATE] = [0x0, 0x1, 0x3, 0x4, 0x6, 0x8];
const [ACK, END_STREAM, END_HEADERS] = [0x1, 0x1, 0x4];
export const CANCEL = 8;
const FRAME_HEADER_BYTES = 9;
/** What a client sends first: the preface and settings that change nothing. */
export const OPENING = Buffer.concat([PREFACE, frame(SETTINGS, 0, 0, Buffer.alloc(0))]);

export function headersFrame(stream: number, path: string): Buffer {
  const fields = {
    ':method': 'POST',
    ':scheme': 'http',
    ':path': path,
    ':authority': 'localhost',
    'content-type': 'application/grpc',
    te: 'trailers',
  };
  const block = Object.entries(fields).map(([name, value]) => literal(name, value));
  return frame(HEADERS, END_HEADERS, stream, Buffer.concat(block));
}

export function dataFrame(stream: number, bytes: Uint8Array, endStream = false): Buffer {
  return frame(DATA, endStream ? END_STREAM : 0, stream, bytes);
}

export function resetFrame(stream: number, code = CANCEL): Buffer {
  const payload = Buffer.alloc(4);
  payload.writeUInt32BE(code);
  return frame(RST_STREAM, 0, stream, payload);
}

/** Frames that no connection may send. */
export const ILLEGAL_FRAMES: Record<string, Buffer> = {
  'bytes of no stream': frame(DATA, 0, 0, Buffer.from('x')),
  'a ping of one byte': frame(PING, 0, 0, Buffer.from('x')),
  'an empty window update': frame(WINDOW_UPDATE, 0, 0, Buffer.alloc(4)),
  'headers that cannot be decoded': frame(HEADERS, END_HEADERS, 201, Buffer.from([0xff, 0xff, 0xff, 0xff, 0x0f])),
};

export interface RawOptions {
  isTls?: boolean;
  /** Sent together with the hello. */
  atOnce?: Buffer;
}

/** A connection that has said hello and answers what a connection must answer, and nothing else. */
export async function openRaw(
  host: string,
  port: number,
  localAddress: string,
  { isTls = false, atOnce = Buffer.alloc(0) }: RawOptions = {},
): Promise<Socket> {
  const where = { host, port, localAddress };
  const socket = isTls ? connectTls({ ...where, rejectUnauthorized: false, ALPNProtocols: ['h2'] }) : connect(where);
  await new Promise((resolve, reject) =>
    socket.once(isTls ? 'secureConnect' : 'connect', resolve).once('error', reject),
  );
  socket.on('error', () => socket.destroy());
  socket.write(Buffer.concat([OPENING, atOnce]));
  answerControlFrames(socket);
  return socket;
}

/** Acknowledges settings and pings; ignores all else. */
function answerControlFrames(socket: Socket): void {
  let unread: Buffer = Buffer.alloc(0);
  socket.on('data', (bytes) => {
    unread = Buffer.concat([unread, bytes]);
    while (unread.length >= FRAME_HEADER_BYTES) {
      const end = FRAME_HEADER_BYTES + unread.readUIntBE(0, 3);
      if (unread.length < end) return;
      const [type, flags] = [unread[3]!, unread[4]!];
      if ((type === SETTINGS || type === PING) && (flags & ACK) === 0) {
        const payload = type === PING ? unread.subarray(FRAME_HEADER_BYTES, end) : Buffer.alloc(0);
        socket.write(frame(type, ACK, 0, payload));
      }
      unread = unread.subarray(end);
    }
  });
}

function frame(type: number, flags: number, stream: number, payload: Uint8Array): Buffer {
  const header = Buffer.alloc(FRAME_HEADER_BYTES);
  header.writeUIntBE(payload.length, 0, 3);
  header.writeUInt8(type, 3);
  header.writeUInt8(flags, 4);
  header.writeUInt32BE(stream, 5);
  return Buffer.concat([header, payload]);
}

/** HPACK's literal field without indexing; texts below 127 bytes. */
function literal(name: string, value: string): Buffer {
  const text = (content: string) => Buffer.concat([Buffer.from([content.length]), Buffer.from(content)]);
  return Buffer.concat([Buffer.from([0]), text(name), text(value)]);
}
