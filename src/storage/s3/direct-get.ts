/** Reads objects by one signed request, in a third of the time that the SDK's middleware takes. */
import type { Readable } from 'node:stream';
import type { GetObjectCommandOutput, S3Client } from '@aws-sdk/client-s3';
import {
  answerOf,
  codeOf,
  type DirectAnswer,
  isRefused,
  NO_BODY,
  once,
  placeOf,
  RefusedRequest,
  requestDirectly,
} from './direct-request.ts';
import { escapedPath } from './signature.ts';

const METADATA = 'x-amz-meta-';

/** What is read of an answer, as the SDK names it. */
export type ReadObject = Pick<GetObjectCommandOutput, 'ETag' | 'ContentRange' | 'ContentLength' | 'Metadata'> & {
  Body: Readable;
};

/** Returns undefined where only the SDK may know what to do, such as to ask another region. `range`: of the header. */
export type DirectGet = (
  key: string,
  range: string | undefined,
  abortSignal: AbortSignal,
) => Promise<ReadObject | undefined>;

/** Returns a function that reads an object of a bucket over the client's connections, and rejects as the client. */
export function directGet(client: S3Client, bucket: string): DirectGet {
  const placed = once(() => placeOf(client, bucket));
  return async (key, range, abortSignal) => {
    const place = await placed();
    const headers = { 'x-amz-content-sha256': NO_BODY, ...(range !== undefined && { range }) };
    const request = { method: 'GET', path: place.path + escapedPath(key), headers };
    const response = await requestDirectly(client, place, request, abortSignal);
    if (response.statusCode === 200 || response.statusCode === 206) return objectIn(response);
    const answer = await answerOf(response);
    if (isRefused(answer) || isAbsent(answer)) throw new RefusedRequest(answer.status, answer.text);
    return undefined;
  };
}

function isAbsent({ status, text }: DirectAnswer): boolean {
  return status === 404 && codeOf(text) === 'NoSuchKey';
}

function objectIn({ headers, body }: { headers: Record<string, string>; body: Readable }): ReadObject {
  const metadata = Object.entries(headers).filter(([name]) => name.startsWith(METADATA));
  return {
    ETag: headers.etag,
    ContentRange: headers['content-range'],
    ContentLength: headers['content-length'] === undefined ? undefined : Number(headers['content-length']),
    Metadata: Object.fromEntries(metadata.map(([name, value]) => [name.slice(METADATA.length), value])),
    Body: body,
  };
}
