/** Calls a daemon in the contract's own messages, without our client in between. */
import { connect as connectHttp2 } from 'node:http2';
import { connect as connectSocket } from 'node:net';
import type { MessageInitShape } from '@bufbuild/protobuf';
import { Code, ConnectError, createClient, type Transport } from '@connectrpc/connect';
import { findTrailerError } from '@connectrpc/connect/protocol-grpc';
import { createGrpcTransport } from '@connectrpc/connect-node';
import { BadRequestSchema, ErrorInfoSchema } from '../../gen/google/rpc/error_details_pb.ts';
import {
  type Image,
  ImageStorage,
  type SaveHeaderSchema,
  type SaveRequestSchema,
} from '../../gen/imagestorage/v1/image_storage_pb.ts';

export type Request = MessageInitShape<typeof SaveRequestSchema>;
export type Header = MessageInitShape<typeof SaveHeaderSchema>;

const CHUNK_BYTES = 256 * 1024;

/** `address` is `host:port`, or `unix:PATH`. */
export function transportTo(address: string): Transport {
  if (!address.startsWith('unix:')) return createGrpcTransport({ baseUrl: `http://${address}` });
  const createConnection = () => connectSocket(address.slice('unix:'.length));
  return createGrpcTransport({ baseUrl: 'http://localhost', nodeOptions: { createConnection } });
}

export function storageAt(address: string) {
  return createClient(ImageStorage, transportTo(address));
}

export const header = (value: Header = {}): Request => ({ payload: { case: 'header', value } });
export const chunk = (value: Uint8Array): Request => ({ payload: { case: 'chunk', value } });
export const trailer = (value: { size?: bigint; sha256?: Uint8Array }): Request => ({
  payload: { case: 'trailer', value },
});

export async function* stream(...requests: Request[]): AsyncGenerator<Request> {
  yield* requests;
}

/** What a well-behaved client sends. */
export function upload(bytes: Uint8Array, about: Header = {}): AsyncGenerator<Request> {
  const starts = Array.from({ length: Math.ceil(bytes.length / CHUNK_BYTES) }, (_, i) => i * CHUNK_BYTES);
  return stream(header(about), ...starts.map((start) => chunk(bytes.subarray(start, start + CHUNK_BYTES))));
}

export async function saveAt(address: string, bytes: Uint8Array, about?: Header): Promise<Image> {
  return (await storageAt(address).save(upload(bytes, about))).image!;
}

export async function all<T>(messages: AsyncIterable<T>): Promise<T[]> {
  const received: T[] = [];
  for await (const message of messages) received.push(message);
  return received;
}

/** How a call ended: `OK`, or code, reason and field, such as `InvalidArgument FIELD_INVALID metadata.prompt`. */
export async function outcomeOf(call: Promise<unknown> | AsyncIterable<unknown>): Promise<string> {
  try {
    await (Symbol.asyncIterator in call ? all(call) : call);
    return 'OK';
  } catch (thrown) {
    const error = ConnectError.from(thrown);
    const [info] = error.findDetails(ErrorInfoSchema);
    const [badRequest] = error.findDetails(BadRequestSchema);
    const words = [Code[error.code], info?.reason, badRequest?.fieldViolations[0]?.field];
    return words.filter((word) => word !== undefined).join(' ');
  }
}

export interface RawCall {
  path: string;
  headers?: Record<string, string>;
  body?: Uint8Array;
  /** Default: half-close behind the body. */
  leaveOpen?: boolean;
}

export interface RawAnswer {
  httpStatus: number | undefined;
  /** 0 is OK; unset when the stream was closed without one. */
  grpcStatus: number | undefined;
  /** Of google.rpc.ErrorInfo; unset where the status has none. */
  reason?: string;
}

/** One call over HTTP/2 as it is, until the daemon has closed its stream. */
export async function callRaw(address: string, { path, headers, body, leaveOpen }: RawCall): Promise<RawAnswer> {
  const session = connectHttp2(`http://${address}`);
  try {
    const fields = { ':method': 'POST', ':path': path, 'content-type': 'application/grpc', te: 'trailers', ...headers };
    const call = session.request(fields, { endStream: false });
    const answer: RawAnswer = { httpStatus: undefined, grpcStatus: undefined };
    const read = (received: Record<string, unknown>) => {
      if (received['grpc-status'] === undefined) return;
      answer.grpcStatus = Number(received['grpc-status']);
      const [info] = findTrailerError(new Headers(textsOf(received)))?.findDetails(ErrorInfoSchema) ?? [];
      if (info !== undefined) answer.reason = info.reason;
    };
    call.on('response', (received) => {
      answer.httpStatus = received[':status'];
      read(received);
    });
    call
      .on('trailers', read)
      .on('error', () => {})
      .resume();
    if (body !== undefined) call.write(body);
    if (!leaveOpen) call.end();
    await new Promise((resolve) => call.once('close', resolve));
    return answer;
  } finally {
    session.destroy();
  }
}

function textsOf(headers: Record<string, unknown>): [string, string][] {
  return Object.entries(headers).flatMap(([name, value]) => (name.startsWith(':') ? [] : [[name, String(value)]]));
}

/** A gRPC message as it goes over the wire. */
export function framed(message: Uint8Array, { compressed = false } = {}): Buffer {
  const prefix = Buffer.alloc(5);
  prefix.writeUInt8(compressed ? 1 : 0);
  prefix.writeUInt32BE(message.length, 1);
  return Buffer.concat([prefix, message]);
}
