/** Puts objects and presigns URLs without the SDK's middleware, which would take most of the time of a save. */
import type { Readable } from 'node:stream';
import { GetObjectCommand, type PutObjectCommandInput, type S3Client } from '@aws-sdk/client-s3';
import { getSignedUrl } from '@aws-sdk/s3-request-presigner';
import { escapedPath, signedHeaders, signedQuery } from './signature.ts';

const TOO_SKEWED = 'RequestTimeTooSkewed';

/** The parameters of a put, without the body. */
export type PutInput = Omit<PutObjectCommandInput, 'Bucket' | 'Key' | 'Body'> & { Key: string };

export type DirectPut = (
  input: PutInput,
  sha256: string,
  body: Readable | Uint8Array,
  abortSignal?: AbortSignal,
) => Promise<DirectAnswer>;

/**
 * `unsure`: the service requires something that only the SDK may be able to provide, such as another region or time.
 */
export type DirectAnswer = { kind: 'put'; etag: string | undefined } | { kind: 'unsure' };

/** An error in the shape of the SDK's. */
class RefusedPut extends Error {
  readonly $fault: 'client' | 'server';
  readonly $metadata: { httpStatusCode: number };

  constructor(status: number, body: string) {
    super(fieldOf(body, 'Message') ?? '');
    this.name = codeOf(body) ?? 'RefusedPut';
    this.$fault = status < 500 ? 'client' : 'server';
    this.$metadata = { httpStatusCode: status };
  }
}

/**
 * Returns a function that puts an object by one signed request over the client's connections, and rejects as the
 * client.
 */
export function directPut(client: S3Client, bucket: string): DirectPut {
  const placed = once(() => placeOf(client, bucket));
  return async (input, sha256, body, abortSignal) => {
    const { address, region, ...place } = await placed();
    const headers = { host: place.host, ...headersOf(input), 'x-amz-content-sha256': sha256 };
    const request = { method: 'PUT', path: place.path + escapedPath(input.Key), headers };
    const credentials = await client.config.credentials();
    const signed = { ...request, headers: signedHeaders(request, credentials, region, timeOf(client)) };
    const { response } = await client.config.requestHandler.handle({ ...address, ...signed, body }, { abortSignal });
    const text = await textOf(response.body);
    if (codeOf(text) === TOO_SKEWED) correctClock(client, response.headers.date);
    return judge(response.statusCode, response.headers.etag, text);
  };
}

/** Returns the time of the service, as far as it is known. */
function timeOf({ config }: S3Client): Date {
  return new Date(Date.now() + config.systemClockOffset);
}

/** As the SDK does after its own requests. */
function correctClock(client: S3Client, date = ''): void {
  const serverMs = Date.parse(date);
  if (!Number.isNaN(serverMs)) client.config.systemClockOffset = serverMs - Date.now();
}

function judge(status: number, etag: string | undefined, body: string): DirectAnswer {
  // Some services answer 200 before they know the outcome.
  if (status === 200) return { kind: 'put', etag: codeOf(body) === undefined ? etag : undefined };
  if (status === 409 || status === 412 || status >= 500 || codeOf(body) === TOO_SKEWED)
    throw new RefusedPut(status, body);
  return { kind: 'unsure' };
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

function codeOf(body: string): string | undefined {
  return /^\w+$/.exec(fieldOf(body, 'Code') ?? '')?.[0];
}

const ENTITIES: Record<string, string> = { '&lt;': '<', '&gt;': '>', '&quot;': '"', '&apos;': "'", '&amp;': '&' };

/** Returns a field of an error document. */
function fieldOf(body: string, name: 'Code' | 'Message'): string | undefined {
  const text = new RegExp(`<Error[\\s>].*?<${name}>([^<]*)</${name}>`, 's').exec(body)?.[1];
  return text?.replace(/&(lt|gt|quot|apos|amp);/g, (entity) => ENTITIES[entity]!);
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

/** The URL of a bucket in parts; `path` ends in a slash. */
interface Place {
  origin: string;
  host: string;
  address: { protocol: string; hostname: string; port?: number };
  path: string;
  region: string;
}

/** Asks the SDK, since only it knows its endpoint rules. */
async function placeOf(client: S3Client, bucket: string): Promise<Place> {
  const url = await getSignedUrl(client, new GetObjectCommand({ Bucket: bucket, Key: 'key' }));
  const { origin, host, protocol, hostname, port, pathname: path } = new URL('.', url);
  const address = { protocol, hostname, ...(port !== '' && { port: Number(port) }) };
  // `key/date/region/service/aws4_request`
  const region = new URL(url).searchParams.get('X-Amz-Credential')!.split('/').at(-3)!;
  return { origin, host, address, path, region };
}

/** Runs the work once, and again only after it failed. */
function once<T>(work: () => Promise<T>): () => Promise<T> {
  let done: Promise<T> | undefined;
  return () => {
    done ??= work().catch((error) => {
      done = undefined;
      throw error;
    });
    return done;
  };
}
