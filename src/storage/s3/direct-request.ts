/** Sends signed requests over the connections of the SDK's client, without its middleware, which takes most of the time. */
import { hash } from 'node:crypto';
import type { Readable } from 'node:stream';
import { GetObjectCommand, type S3Client } from '@aws-sdk/client-s3';
import { getSignedUrl } from '@aws-sdk/s3-request-presigner';
import { isFinal } from '../bucket/object-store.ts';
import { type SignableRequest, signedHeaders } from './signature.ts';

const TOO_SKEWED = 'RequestTimeTooSkewed';
/** An answer that took longer tells an old time. */
const MAX_ANSWER_MS = 900_000;
/** The `x-amz-content-sha256` of a request without a body. */
export const NO_BODY: string = hash('sha256', '');

export interface DirectResponse {
  statusCode: number;
  /** Names in lower case. */
  headers: Record<string, string>;
  body: Readable;
}

export interface DirectAnswer {
  status: number;
  etag: string | undefined;
  /** The whole body. */
  text: string;
}

export type DirectRequest = Omit<SignableRequest, 'headers'> & {
  /** Includes `x-amz-content-sha256`. */
  headers: Record<string, string>;
  body?: Readable | Uint8Array;
};

/** An error in the shape of the SDK's. */
export class RefusedRequest extends Error {
  readonly $fault: 'client' | 'server';
  readonly $metadata: { httpStatusCode: number };

  constructor(status: number, body: string) {
    super(fieldOf(body, 'Message') ?? '');
    this.name = codeOf(body) ?? 'RefusedRequest';
    this.$fault = status < 500 ? 'client' : 'server';
    this.$metadata = { httpStatusCode: status };
  }
}

/** Sends one request to a bucket, and reads the answer. Rejects only where none arrived whole. */
export async function sendDirectly(
  client: S3Client,
  place: Pick<Place, 'address' | 'host' | 'region'>,
  request: DirectRequest,
  abortSignal?: AbortSignal,
): Promise<DirectAnswer> {
  return answerOf(await requestDirectly(client, place, request, abortSignal));
}

/**
 * Sends one request to a bucket, and learns the time from the answer. The body of the response must be read or destroyed.
 * Rejects only where none arrived.
 */
export async function requestDirectly(
  client: S3Client,
  { address, host, region }: Pick<Place, 'address' | 'host' | 'region'>,
  { body, ...given }: DirectRequest,
  abortSignal?: AbortSignal,
): Promise<DirectResponse> {
  const request = { ...given, headers: { host, ...given.headers } };
  const headers = signedHeaders(request, await client.config.credentials(), region, timeOf(client));
  const path = request.query === undefined ? request.path : `${request.path}?${request.query}`;
  const sent = { ...address, method: request.method, path, headers, body };
  const sentAt = Date.now();
  const { response } = await client.config.requestHandler.handle(sent, { abortSignal });
  learnTime(client, response.headers, sentAt);
  return response;
}

/** Reads a response to its end. */
export async function answerOf({ statusCode, headers, body }: DirectResponse): Promise<DirectAnswer> {
  return { status: statusCode, etag: headers.etag, text: await textOf(body) };
}

/** Returns whether only a repetition can help, or the caller has to know: the SDK would say nothing else. */
export function isRefused(answer: DirectAnswer): boolean {
  const { status } = answer;
  return status === 412 || (status >= 400 && !isFinal(status)) || isTooSkewed(answer);
}

function isTooSkewed({ status, text }: DirectAnswer): boolean {
  return status >= 400 && codeOf(text) === TOO_SKEWED;
}

/** Returns the time of the service, as far as it is known. */
export function timeOf({ config }: S3Client): Date {
  return new Date(Date.now() + config.systemClockOffset);
}

/** As the SDK after its own requests. An answer with an `age` is that of a cache. */
function learnTime(client: S3Client, { date = '', age }: Record<string, string>, sentAt: number): void {
  const [serverMs, now] = [Date.parse(date), Date.now()];
  if (Number.isNaN(serverMs) || age !== undefined || now - sentAt > MAX_ANSWER_MS) return;
  client.config.systemClockOffset = serverMs - now;
}

function textOf(body: Readable): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = '';
    body.setEncoding('utf8').on('data', (part) => {
      text += part;
    });
    body.on('end', () => resolve(text)).on('error', reject);
  });
}

export function codeOf(body: string): string | undefined {
  return /^\w+$/.exec(fieldOf(body, 'Code') ?? '')?.[0];
}

/** Of XML. */
const ENTITIES: Record<string, string> = { '&lt;': '<', '&gt;': '>', '&quot;': '"', '&apos;': "'", '&amp;': '&' };

/** Returns a field of an error document. */
function fieldOf(body: string, name: 'Code' | 'Message'): string | undefined {
  const text = new RegExp(`<Error[\\s>].*?<${name}>([^<]*)</${name}>`, 's').exec(body)?.[1];
  return text && unescaped(text);
}

/** Returns the text of an element of XML. */
export function unescaped(text: string): string {
  if (!text.includes('&')) return text;
  return text.replace(
    /&(?:lt|gt|quot|apos|amp|#(\d{1,6})|#x([\da-fA-F]{1,5}));/g,
    (entity, decimal?: string, hex?: string) => ENTITIES[entity] ?? String.fromCodePoint(Number(decimal ?? `0x${hex}`)),
  );
}

/** The URL of a bucket in parts; `path` ends in a slash. */
export interface Place {
  origin: string;
  host: string;
  address: { protocol: string; hostname: string; port?: number };
  path: string;
  region: string;
}

/** Asks the SDK, since only it knows its endpoint rules. */
export async function placeOf(client: S3Client, bucket: string): Promise<Place> {
  const url = await getSignedUrl(client, new GetObjectCommand({ Bucket: bucket, Key: 'key' }));
  const { origin, host, protocol, hostname, port, pathname: path } = new URL('.', url);
  const address = { protocol, hostname, ...(port !== '' && { port: Number(port) }) };
  // `key/date/region/service/aws4_request`
  const region = new URL(url).searchParams.get('X-Amz-Credential')!.split('/').at(-3)!;
  return { origin, host, address, path, region };
}

/** Runs the work once, and again only after it failed. */
export function once<T>(work: () => Promise<T>): () => Promise<T> {
  let done: Promise<T> | undefined;
  return () => {
    done ??= work().catch((error) => {
      done = undefined;
      throw error;
    });
    return done;
  };
}
