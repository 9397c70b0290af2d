/** Speaks HTTP/2 to a daemon over each link it has, in the bytes of gRPC, one connection for all calls. */
import { readFileSync } from 'node:fs';
import { type ClientHttp2Session, connect, type IncomingHttpHeaders } from 'node:http2';
import { connect as connectSocket } from 'node:net';
import { findTrailerError } from '@connectrpc/connect/protocol-grpc';
import { ErrorInfoSchema } from '../../gen/google/rpc/error_details_pb.ts';
import type { RunningDaemon } from '../support/running-daemon.ts';
import type { Certificate } from './certificates.ts';

export type LinkName = 'plaintext' | 'TLS' | 'mTLS' | 'socket';
export type Links = Record<LinkName, ClientHttp2Session>;

const EMPTY_MESSAGE = Buffer.alloc(5);
/** The flag of the last part of an answer in gRPC-Web. */
const TRAILERS = 0x80;
/** Codes of gRPC that the lock answers with. */
const REFUSALS = new Set(['7', '16']);

export function openLinks({ address, socket }: RunningDaemon, ca: string, client: Certificate): Links {
  const [cert, key] = [readFileSync(client.cert), readFileSync(client.key)];
  const trust = { ca: readFileSync(ca) };
  return {
    plaintext: connect(`http://${address}`),
    TLS: connect(`https://${address}`, trust),
    mTLS: connect(`https://${address}`, { ...trust, cert, key }),
    socket: connect('http://localhost', { createConnection: () => connectSocket(socket) }),
  };
}

export function closeLinks(links: Links): void {
  for (const session of Object.values(links)) session.destroy();
}

/** Returns `let in`, or the reason of the lock, with what it says is missing. */
export async function outcomeOfRpc(session: ClientHttp2Session, path: string, token?: string): Promise<string> {
  const { stream, trailers } = call(session, path, 'application/grpc', token);
  stream.end(EMPTY_MESSAGE);
  const ended = await trailers;
  stream.close();
  if (!REFUSALS.has(String(ended['grpc-status']))) return 'let in';
  const texts = Object.entries(ended).flatMap(([name, value]) => (name.startsWith(':') ? [] : [[name, String(value)]]));
  return reasonIn(new Headers(texts as [string, string][]));
}

/** Returns the trailers, or the headers where these end the call or something follows them. */
function call(session: ClientHttp2Session, path: string, type: string, token: string | undefined) {
  const stream = session.request({
    ':method': 'POST',
    ':path': path,
    'content-type': type,
    te: 'trailers',
    ...(token !== undefined && { authorization: `Bearer ${token}` }),
  });
  const trailers = new Promise<IncomingHttpHeaders>((resolve, reject) => {
    let headers: IncomingHttpHeaders = {};
    stream.on('response', (received) => {
      headers = received;
    });
    // A watch goes on for ever.
    stream.on('data', () => resolve(headers));
    stream
      .on('trailers', resolve)
      .on('end', () => setImmediate(resolve, headers))
      .on('error', reject);
  });
  return { stream, trailers };
}

/** The same of a call in a page's gRPC-Web, which comes with a cookie. */
export async function outcomeOfPage(session: ClientHttp2Session, path: string, cookie: string): Promise<string> {
  const headers = { ':method': 'POST', ':path': path, 'content-type': 'application/grpc-web+proto', cookie };
  const stream = session.request(headers);
  const parts: Buffer[] = [];
  const first = new Promise<void>((resolve, reject) => {
    // A watch goes on for ever; what is refused says so in one part.
    stream.on('data', (part: Buffer) => {
      parts.push(part);
      resolve();
    });
    stream.once('end', resolve).once('error', reject);
  });
  stream.end(EMPTY_MESSAGE);
  await first;
  stream.close();
  const body = Buffer.concat(parts);
  if (body[0] !== TRAILERS) return 'let in';
  const lines = body.toString('latin1', EMPTY_MESSAGE.length).split('\r\n').filter(Boolean);
  const trailers = new Headers(lines.map((line) => line.split(/: ?/, 2) as [string, string]));
  return REFUSALS.has(trailers.get('grpc-status') ?? '') ? reasonIn(trailers) : 'let in';
}

function reasonIn(trailers: Headers): string {
  const [info] = findTrailerError(trailers)!.findDetails(ErrorInfoSchema);
  return [info!.reason, info!.metadata.needs, info!.metadata.token].filter(Boolean).join(' ');
}

/** Returns the status and the JSON of a request over HTTP/2. */
export async function requestOver(
  session: ClientHttp2Session,
  line: string,
  { token, cookie }: { token?: string; cookie?: string } = {},
) {
  const [method, path] = line.split(' ') as [string, string];
  const stream = session.request({
    ':method': method,
    ':path': path,
    ...(token !== undefined && { authorization: `Bearer ${token}` }),
    ...(cookie !== undefined && { cookie }),
  });
  const headers = new Promise<IncomingHttpHeaders>((resolve, reject) => {
    stream.once('response', resolve).once('error', reject);
  });
  const parts: Buffer[] = [];
  stream.on('data', (part: Buffer) => parts.push(part)).end();
  const answered = await headers;
  await new Promise((resolve) => stream.once('close', resolve));
  return { status: Number(answered[':status']), headers: answered, body: Buffer.concat(parts) };
}
