/** The five primitives on the AWS SDK: AWS S3, Cloudflare R2, and whatever speaks S3 with conditional writes. */
import { Readable } from 'node:stream';
import {
  DeleteObjectCommand,
  GetObjectCommand,
  type GetObjectCommandOutput,
  ListObjectsV2Command,
  PutObjectCommand,
  type PutObjectCommandInput,
  S3Client,
  type S3ClientConfig,
} from '@aws-sdk/client-s3';
import { getSignedUrl, S3RequestPresigner } from '@aws-sdk/s3-request-presigner';
import {
  type ByteRange,
  type ObjectHeaders,
  type ObjectStore,
  ObjectStoreError,
  type Payload,
  type StoredObject,
} from '../object/object-store.ts';
import { foldS3Error } from '../object/s3-errors.ts';
import type { ProviderContext, S3Config, StorageProvider } from '../types.ts';
import { openObjectStorage } from './object-storage.ts';

const CONNECTION_TIMEOUT_MS = 5_000;
const IDLE_TIMEOUT_MS = 60_000;
const MAX_CONNECTIONS = 128;
const DEFAULT_EXPIRY_SECONDS = 3600;
const SILENT = { trace() {}, debug() {}, info() {}, warn() {}, error() {} };

/** Opens the store in the bucket. Rejects with a StoreOpenError that says which setting to change. */
export function openS3Storage(config: S3Config, context: ProviderContext): Promise<StorageProvider> {
  const options = { storageType: config.type, objects: s3Objects(config), urlOf: urlsOf(config) };
  return openObjectStorage({ ...config, ...options }, context);
}

/** `idleTimeoutMs`: how long a connection may carry nothing before what it was for fails. */
export function s3Objects(config: S3Config, { idleTimeoutMs = IDLE_TIMEOUT_MS } = {}): ObjectStore {
  const client = createClient(config, config.endpoint, idleTimeoutMs);
  return new S3Objects(client, config);
}

class S3Objects implements ObjectStore {
  readonly location: string;
  readonly #client: S3Client;
  readonly #bucket: string;
  readonly #prefix: string;

  constructor(client: S3Client, config: S3Config) {
    this.#client = client;
    this.#bucket = config.bucket;
    this.#prefix = prefixOf(config);
    this.location = `s3://${config.bucket}/${this.#prefix} at ${config.endpoint ?? `AWS ${config.region}`}`;
  }

  putNew(key: string, body: Payload, headers: ObjectHeaders): Promise<{ etag: string }> {
    return this.#put(key, body, headers, { IfNoneMatch: '*' });
  }

  replaceIf(key: string, body: Payload, headers: ObjectHeaders, etag: string): Promise<{ etag: string }> {
    return this.#put(key, body, headers, { IfMatch: `"${etag}"` });
  }

  get(key: string, range?: ByteRange): Promise<StoredObject> {
    return this.#folded('read', async () => {
      const Range = range && `bytes=${range.offset}-${range.offset + range.length - 1}`;
      const output = await this.#client.send(new GetObjectCommand({ ...this.#at(key), Range }));
      return storedObject(output, range);
    });
  }

  list(prefix: string, after?: string) {
    return this.#folded('read', async () => {
      const { Key: Prefix, Bucket } = this.#at(prefix);
      const StartAfter = after && this.#at(after).Key;
      const output = await this.#client.send(new ListObjectsV2Command({ Bucket, Prefix, StartAfter }));
      // What has none of the fields of a listing is an error in the guise of a success.
      if (output.KeyCount === undefined && output.Name === undefined) throw badAnswer();
      const objects = (output.Contents ?? []).map(({ Key = '', ETag, Size = 0, LastModified }) => ({
        key: Key.slice(this.#prefix.length),
        etag: bareEtag(ETag),
        size: Size,
        lastModified: LastModified?.getTime() ?? 0,
      }));
      return { objects, more: output.IsTruncated ?? false };
    });
  }

  remove(key: string): Promise<void> {
    return this.#folded('write', async () => {
      await this.#client.send(new DeleteObjectCommand(this.#at(key)));
    });
  }

  close(): void {
    this.#client.destroy();
  }

  #put(key: string, payload: Payload, headers: ObjectHeaders, condition: Partial<PutObjectCommandInput>) {
    return this.#folded('write', async () => {
      const aborter = new AbortController();
      const body = bodyOf(payload, aborter);
      const command = new PutObjectCommand({
        ...this.#at(key),
        ...condition,
        Body: body,
        ContentLength: payload.size,
        ContentType: headers.contentType,
        CacheControl: headers.cacheControl,
        ContentDisposition: headers.contentDisposition,
        Metadata: headers.metadata,
      });
      signWith(command, payload.sha256);
      const output = await this.#client.send(command, { abortSignal: aborter.signal });
      return { etag: bareEtag(output.ETag) };
    });
  }

  #at(key: string): { Bucket: string; Key: string } {
    return { Bucket: this.#bucket, Key: this.#prefix + key };
  }

  async #folded<T>(kind: 'read' | 'write', request: () => Promise<T>): Promise<T> {
    try {
      return await request();
    } catch (error) {
      throw foldS3Error(error, kind);
    }
  }
}

function createClient(config: S3Config, endpoint: string | undefined, idleTimeoutMs = IDLE_TIMEOUT_MS): S3Client {
  const { region, accessKey, secretKey, forcePathStyle = endpoint !== undefined } = config;
  const options: S3ClientConfig = {
    region,
    forcePathStyle,
    // Retries are retrying-store.ts's, which knows what an attempt may have left behind.
    maxAttempts: 1,
    // Whatever goes wrong is told by whoever asked; the SDK would write to the console.
    logger: SILENT,
    // R2 and others refuse what the SDK adds by default; the payload's sha256 is signed instead.
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
    requestHandler: {
      connectionTimeout: CONNECTION_TIMEOUT_MS,
      socketTimeout: idleTimeoutMs,
      httpAgent: { keepAlive: true, maxSockets: MAX_CONNECTIONS },
      httpsAgent: { keepAlive: true, maxSockets: MAX_CONNECTIONS },
    },
  };
  if (endpoint !== undefined) options.endpoint = endpoint;
  if (accessKey !== undefined && secretKey !== undefined) {
    options.credentials = { accessKeyId: accessKey, secretAccessKey: secretKey };
  }
  return new S3Client(options);
}

/** Small bodies whole, others as a stream whose failure ends the request: the SDK does not listen for it. */
function bodyOf(payload: Payload, aborter: AbortController): Readable | Uint8Array {
  const parts = payload.open();
  if (Array.isArray(parts) && parts.length === 1) return parts[0];
  const stream = parts instanceof Readable ? parts : Readable.from(parts);
  return stream.on('error', (error) => aborter.abort(error));
}

/** The bytes were hashed while they arrived: the SDK need not do it again, and the server refuses others. */
function signWith(command: PutObjectCommand, sha256: string): void {
  command.middlewareStack.add(
    (next) => (args) => {
      (args.request as { headers: Record<string, string> }).headers['x-amz-content-sha256'] = sha256;
      return next(args);
    },
    { step: 'build', name: 'knownPayloadHash' },
  );
}

function storedObject(
  { ETag, ContentRange, ContentLength, Metadata, Body }: GetObjectCommandOutput,
  range?: ByteRange,
) {
  const body = Body as Readable;
  const size = Number(ContentRange?.split('/').at(-1) ?? ContentLength);
  const ignoredRange = (range?.offset ?? 0) > 0 && ContentRange === undefined;
  if (ETag === undefined || !Number.isSafeInteger(size) || ignoredRange) {
    body.on('error', () => {}).destroy();
    throw badAnswer();
  }
  return { etag: bareEtag(ETag), size, metadata: Metadata ?? {}, body };
}

function bareEtag(etag: string | undefined): string {
  if (etag === undefined) throw badAnswer();
  return etag.replace(/^(W\/)?"|"$/g, '');
}

/** A proxy, or a service that answers 200 before it knows. */
function badAnswer(): ObjectStoreError {
  return new ObjectStoreError('unavailable', 'the service gave an answer that is none of S3', { maybeApplied: true });
}

function prefixOf({ prefix = '' }: S3Config): string {
  const trimmed = prefix.replace(/^\/+|\/+$/g, '');
  return trimmed === '' ? '' : `${trimmed}/`;
}

/** Whether callers get fixed URLs rather than ones that expire. */
export function hasPublicUrls({ cdnUrl, urls }: S3Config): boolean {
  return (urls?.mode ?? (cdnUrl === undefined ? 'presigned' : 'public')) === 'public';
}

/** Gives the URLs that callers get; one that expires takes credentials, and rejects with what the SDK throws without any. */
export function urlsOf(config: S3Config): (key: string) => Promise<string> {
  const { bucket, cdnUrl, urls = {} } = config;
  const prefix = prefixOf(config);
  if (hasPublicUrls(config)) {
    const base = cdnUrl === undefined ? bucketUrl(config) : withScheme(cdnUrl);
    return async (key) => `${base}/${escaped(prefix + key)}`;
  }
  const client = createClient(config, urls.endpoint ?? config.endpoint);
  const expiresIn = urls.expiresSeconds ?? DEFAULT_EXPIRY_SECONDS;
  const sign = presigner(client, bucket, expiresIn);
  return (key) => sign(prefix + key);
}

/** For each URL the SDK would resolve endpoint and command anew, in a millisecond: it is asked once where the bucket is. */
function presigner(client: S3Client, bucket: string, expiresIn: number): (key: string) => Promise<string> {
  const signer = new S3RequestPresigner(client.config);
  let place: Promise<URL> | undefined;
  return async (key) => {
    place ??= placeOf(client, bucket).catch((error) => {
      place = undefined;
      throw error;
    });
    const { origin, protocol, hostname, port, pathname } = await place;
    const path = pathname + escaped(key);
    const request = {
      method: 'GET',
      protocol,
      hostname,
      ...(port && { port: Number(port) }),
      path,
      headers: {},
      query: {},
    };
    const { query = {} } = await signer.presign(request, { expiresIn });
    return `${origin}${path}?${new URLSearchParams(query as Record<string, string>)}`;
  };
}

/** The URL of the bucket, ending in a slash. */
async function placeOf(client: S3Client, bucket: string): Promise<URL> {
  const url = new URL(await getSignedUrl(client, new GetObjectCommand({ Bucket: bucket, Key: 'key' })));
  return new URL('.', url);
}

function bucketUrl({ bucket, region, endpoint, forcePathStyle = endpoint !== undefined, urls }: S3Config): string {
  const url = new URL(urls?.endpoint ?? endpoint ?? `https://s3.${region}.amazonaws.com`);
  if (forcePathStyle) return `${url.href.replace(/\/+$/, '')}/${bucket}`;
  url.host = `${bucket}.${url.host}`;
  return url.href.replace(/\/+$/, '');
}

function withScheme(url: string): string {
  const bare = url.replace(/\/+$/, '');
  return /^https?:\/\//.test(bare) ? bare : `https://${bare}`;
}

function escaped(key: string): string {
  return key.split('/').map(encodeURIComponent).join('/');
}
