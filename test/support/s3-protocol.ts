/** The HTTP of S3 over an object store, as far as our provider speaks it: conditional Put, ranged Get, List, Delete. */
import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';
import { buffer } from 'node:stream/consumers';
import { failedWith, type ObjectHeaders, type ObjectStore } from '../../src/storage/bucket/object-store.ts';
import { sha256Of } from './bytes.ts';

export type Operation = 'PUT' | 'GET' | 'DELETE' | 'LIST';

/** A request without its body. */
export interface S3Request {
  operation: Operation;
  bucket: string;
  /** Of a List: its prefix. */
  key: string;
  query: URLSearchParams;
  headers: IncomingHttpHeaders;
}

export interface S3Answer {
  status: number;
  headers: Record<string, string>;
  body: Buffer;
}

/** Path style: `/bucket/key`. */
export function requestOf({ method, url = '', headers }: IncomingMessage): S3Request {
  const { pathname, searchParams: query } = new URL(url, 'http://localhost');
  const [, bucket = '', path = ''] = /^\/([^/]*)\/?(.*)$/.exec(decodeURIComponent(pathname)) ?? [];
  const isList = method === 'GET' && query.get('list-type') === '2';
  const [operation, key] = isList ? ['LIST', query.get('prefix') ?? ''] : [method, path];
  return { operation: operation as Operation, bucket, key, query, headers };
}

export function errorAnswer(
  status: number,
  code: string,
  { message = 'as the test wants it', rest = '' } = {},
): S3Answer {
  return xml(status, `<Error><Code>${code}</Code><Message>${message}</Message>${rest}</Error>`);
}

/** Carries the request out. */
export async function answerTo(objects: ObjectStore, request: S3Request, body: Buffer): Promise<S3Answer> {
  try {
    return await OPERATIONS[request.operation](objects, request, body);
  } catch (error) {
    if (failedWith(error, 'precondition')) return errorAnswer(412, 'PreconditionFailed');
    if (failedWith(error, 'not_found')) return errorAnswer(404, 'NoSuchKey');
    throw error;
  }
}

const OPERATIONS: Record<
  Operation,
  (objects: ObjectStore, request: S3Request, body: Buffer) => S3Answer | Promise<S3Answer>
> = {
  async PUT(objects, { key, headers }, bytes) {
    const { 'if-none-match': absent, 'if-match': etag, 'x-amz-content-sha256': sha256 } = headers;
    if (sha256Of(bytes) !== sha256) return errorAnswer(400, 'XAmzContentSHA256Mismatch');
    const payload = { size: bytes.length, sha256, open: () => [bytes] };
    if (absent === '*') return empty(200, quoted(await objects.putNew(key, payload, objectHeaders(headers))));
    if (etag === undefined) return errorAnswer(501, 'NotImplemented');
    return empty(200, quoted(await objects.replaceIf(key, payload, objectHeaders(headers), etag.replaceAll('"', ''))));
  },

  async GET(objects, { key, headers }) {
    const [, first, last] = /^bytes=(\d+)-(\d+)$/.exec(headers.range ?? '') ?? [];
    const [offset, end] = [Number(first ?? 0), Number(last ?? Number.POSITIVE_INFINITY) + 1];
    const { etag, size, metadata, body } = await objects.get(key, { offset, length: end - offset });
    const bytes = await buffer(body);
    if (bytes.length === 0 && size > 0) return errorAnswer(416, 'InvalidRange');
    const named = Object.entries(metadata).map(([name, value]) => [`x-amz-meta-${name}`, value]);
    const range = { 'content-range': `bytes ${offset}-${offset + bytes.length - 1}/${size}` };
    const ranged = first !== undefined;
    const described = { ...Object.fromEntries(named), ...quoted({ etag }), ...(ranged && range) };
    return { status: ranged ? 206 : 200, headers: described, body: bytes };
  },

  async DELETE(objects, { key }) {
    await objects.remove(key);
    return empty(204);
  },

  async LIST(objects, { key: prefix, bucket, query }) {
    const { objects: listed, more } = await objects.list(prefix, query.get('start-after') ?? undefined);
    const contents = listed.map(({ key, etag, size, lastModified }) => {
      const time = new Date(lastModified).toISOString();
      const fields = `<Key>${key}</Key><ETag>"${etag}"</ETag><Size>${size}</Size><LastModified>${time}</LastModified>`;
      return `<Contents>${fields}</Contents>`;
    });
    const about = `<Name>${bucket}</Name><KeyCount>${listed.length}</KeyCount><IsTruncated>${more}</IsTruncated>`;
    return xml(200, `<ListBucketResult>${about}${contents.join('')}</ListBucketResult>`);
  },
};

function objectHeaders(headers: IncomingHttpHeaders): ObjectHeaders {
  const metadata = Object.entries(headers)
    .filter(([name]) => name.startsWith('x-amz-meta-'))
    .map(([name, value]) => [name.slice('x-amz-meta-'.length), value as string]);
  return { contentType: headers['content-type'] ?? '', metadata: Object.fromEntries(metadata) };
}

function quoted({ etag }: { etag: string }): Record<string, string> {
  return { etag: `"${etag}"` };
}

function empty(status: number, headers: Record<string, string> = {}): S3Answer {
  return { status, headers, body: Buffer.alloc(0) };
}

function xml(status: number, text: string): S3Answer {
  const body = Buffer.from(`<?xml version="1.0" encoding="UTF-8"?>\n${text}`);
  return { status, headers: { 'content-type': 'application/xml' }, body };
}
