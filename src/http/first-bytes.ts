/** Tells HTTP/2, HTTP/1.1 and TLS by the first bytes of a connection, which are put back. */
import type { Socket } from 'node:net';

/** What only the preface of HTTP/2 begins with, see RFC 9113, section 3.4. */
const PREFACE = Buffer.from('PRI ');

/** The type of the first record of TLS, where its length stands, and the longest, see RFC 8446, section 5.1. */
const HANDSHAKE = 0x16;
const LENGTH_AT = 3;
const RECORD_HEADER_BYTES = 5;
const MAX_RECORD_BYTES = 16 * 1024;

export type Protocol = 'h2' | 'http/1.1';

export interface FirstBytesOptions {
  /** A client that does not say enough for so long is cut. */
  silentMs: number;
  /** Whether TLS is served. */
  takesTls: boolean;
}

/** Calls back once the client has sent enough. */
export function whenProtocolIsKnown(
  socket: Socket,
  { silentMs, takesTls }: FirstBytesOptions,
  serve: (protocol: Protocol | 'tls') => void,
): void {
  let first: Buffer = Buffer.alloc(0);
  // Whoever serves the connection has a listener of its own.
  socket.on('error', () => {});
  const timer = setTimeout(() => socket.destroy(), silentMs);
  const stop = () => {
    clearTimeout(timer);
    socket.off('readable', look);
  };
  const look = () => {
    const piece: Buffer | null = socket.read();
    if (piece === null) return;
    first = first.length === 0 ? piece : Buffer.concat([first, piece]);
    const isTls = first[0] === HANDSHAKE;
    if (isTls && takesTls && !isWholeRecord(first)) return;
    const protocol = isTls ? 'tls' : protocolOf(first);
    if (protocol === undefined) return;
    stop();
    socket.unshift(first);
    serve(protocol);
  };
  socket.on('readable', look);
  socket.once('end', stop).once('close', stop);
}

/** What takes TLS off a connection is made only for who has sent a hello. One that is too long is none, which that finds out. */
function isWholeRecord(first: Buffer): boolean {
  if (first.length < RECORD_HEADER_BYTES) return false;
  const length = Math.min(first.readUInt16BE(LENGTH_AT), MAX_RECORD_BYTES);
  return first.length >= RECORD_HEADER_BYTES + length;
}

/** Returns undefined where the next byte will tell. */
export function protocolOf(first: Uint8Array): Protocol | undefined {
  const length = Math.min(first.length, PREFACE.length);
  if (PREFACE.compare(first, 0, length, 0, length) !== 0) return 'http/1.1';
  return length === PREFACE.length ? 'h2' : undefined;
}
