/** Puts objects and presigns URLs without the SDK's middleware, which would take most of the time of a save. */
import type { Readable } from 'node:stream';
import type { PutObjectCommandInput, S3Client } from '@aws-sdk/client-s3';
import {
  codeOf,
  type DirectAnswer,
  isRefused,
  once,
  placeOf,
  RefusedRequest,
  sendDirectly,
  timeOf,
} from './direct-request.ts';
import { escapedPath, signedQuery } from './signature.ts';

/** The parameters of a put, without the body. */
export type PutInput = Omit<PutObjectCommandInput, 'Bucket' | 'Key' | 'Body'> & { Key: string };

export type DirectPut = (
  input: PutInput,
  sha256: string,
  body: Readable | Uint8Array,
  abortSignal?: AbortSignal,
) => Promise<DirectOutcome>;

/**
 * `unsure`: the service requires something that only the SDK may be able to provide, such as another region or time.
 */
export type DirectOutcome = { kind: 'put'; etag: string | undefined } | { kind: 'unsure' };

/**
 * Returns a function that puts an object by one signed request over the client's connections, and rejects as the
 * client.
 */
export function directPut(client: S3Client, bucket: string): DirectPut {
  const placed = once(() => placeOf(client, bucket));
  return async (input, sha256, body, abortSignal) => {
    const place = await placed();
    const headers = { ...headersOf(input), 'x-amz-content-sha256': sha256 };
    const request = { method: 'PUT', path: place.path + escapedPath(input.Key), headers, body };
    return judge(await sendDirectly(client, place, request, abortSignal));
  };
}

function judge(answer: DirectAnswer): DirectOutcome {
  const { status, etag, text } = answer;
  // Some services answer 200 before they know the outcome.
  if (status === 200) return { kind: 'put', etag: codeOf(text) === undefined ? etag : undefined };
  if (isRefused(answer)) throw new RefusedRequest(status, text);
  return { kind: 'unsure' };
}

function headersOf(input: PutInput): Record<string, string> {
  const headers = Object.entries({
    'content-length': `${input.ContentLength}`,
    'content-type': input.ContentType,
    'cache-control': input.CacheControl,
    'content-disposition': input.ContentDisposition,
    'if-none-match': input.IfNoneMatch,
    'if-match': input.IfMatch,
  });
  const metadata = Object.entries(input.Metadata ?? {}).map(([name, value]) => [`x-amz-meta-${name}`, value]);
  return Object.fromEntries([...headers.filter(([, value]) => value !== undefined), ...metadata]);
}

/** Returns a function from keys to URLs that expire after `expiresSeconds`. */
export function presigner(client: S3Client, bucket: string, expiresSeconds: number): (key: string) => Promise<string> {
  const placed = once(() => placeOf(client, bucket));
  return async (key) => {
    const { origin, host, region, ...place } = await placed();
    const request = { method: 'GET', path: place.path + escapedPath(key), headers: { host } };
    const query = signedQuery(request, await client.config.credentials(), region, timeOf(client), expiresSeconds);
    return `${origin}${request.path}?${query}`;
  };
}
