/** The five primitives of an object store over the AWS SDK's client, for any service that speaks S3 with conditional writes. */
import { Readable } from 'node:stream';
import {
  DeleteObjectCommand,
  GetObjectCommand,
  ListObjectsV2Command,
  type ListObjectsV2CommandInput,
  PutObjectCommand,
  type PutObjectCommandInput,
  type S3Client,
} from '@aws-sdk/client-s3';
import {
  type ByteRange,
  failedWith,
  type ObjectHeaders,
  type ObjectStore,
  ObjectStoreError,
  type Payload,
  type StoredObject,
} from '../bucket/object-store.ts';
import type { S3Config } from '../domain/config.ts';
import { createClient, IDLE_TIMEOUT_MS, prefixOf, type ServiceClock } from './client.ts';
import { type DirectGet, directGet, type ReadObject } from './direct-get.ts';
import { type DirectList, directList } from './direct-list.ts';
import { type DirectPut, directPut, type PutInput } from './direct-put.ts';
import { foldS3Error, isTooSkewed } from './errors.ts';
import type { Listing } from './listing-answer.ts';

const SETTLED = new Error('the request is settled');

/** `idleTimeoutMs` is how long a connection may transfer nothing before its request fails. */
export function s3Objects(
  config: S3Config,
  { idleTimeoutMs = IDLE_TIMEOUT_MS, clock = { offsetMs: 0 } as ServiceClock } = {},
): ObjectStore {
  const client = createClient(config, config.endpoint, { idleTimeoutMs, clock });
  // No connection timeout: it would count the time that a request waits for slow callers to free a connection.
  const reader = createClient(config, config.endpoint, { idleTimeoutMs, connectionTimeoutMs: 0, clock });
  return new S3Objects(client, reader, config);
}

class S3Objects implements ObjectStore {
  readonly location: string;
  readonly #client: S3Client;
  /** Reads bytes for callers, who may hold its connections for any time; saves have connections of their own. */
  readonly #reader: S3Client;
  readonly #bucket: string;
  readonly #prefix: string;
  readonly #getDirectly: DirectGet;
  readonly #getRangeDirectly: DirectGet;
  readonly #putDirectly: DirectPut;
  readonly #listDirectly: DirectList;
  readonly #closing = new AbortController();

  constructor(client: S3Client, reader: S3Client, config: S3Config) {
    this.#client = client;
    this.#reader = reader;
    this.#bucket = config.bucket;
    this.#prefix = prefixOf(config);
    this.#getDirectly = directGet(client, config.bucket);
    this.#getRangeDirectly = directGet(reader, config.bucket);
    this.#putDirectly = directPut(client, config.bucket);
    this.#listDirectly = directList(client, config.bucket);
    this.location = `s3://${config.bucket}/${this.#prefix} at ${config.endpoint ?? `AWS ${config.region}`}`;
  }

  putNew(key: string, body: Payload, headers: ObjectHeaders): Promise<{ etag: string }> {
    return this.#put(key, body, headers, { IfNoneMatch: '*' });
  }

  replaceIf(key: string, body: Payload, headers: ObjectHeaders, etag: string): Promise<{ etag: string }> {
    return this.#put(key, body, headers, { IfMatch: `"${etag}"` });
  }

  get(key: string, range?: ByteRange): Promise<StoredObject> {
    return this.#folded('read', async (abortSignal) => {
      const Range = range && `bytes=${range.offset}-${range.offset + range.length - 1}`;
      const place = this.#at(key);
      const [client, get] = range ? [this.#reader, this.#getRangeDirectly] : [this.#client, this.#getDirectly];
      const direct = await get(place.Key, Range, abortSignal);
      if (direct !== undefined) return storedObject(direct, range);
      const output = await client.send(new GetObjectCommand({ ...place, Range }), { abortSignal });
      return storedObject(output as ReadObject, range);
    });
  }

  list(prefix: string, after?: string) {
    return this.#folded('read', async (abortSignal) => {
      const { Key: Prefix, Bucket } = this.#at(prefix);
      const StartAfter = after && this.#at(after).Key;
      const direct = await this.#listDirectly(Prefix, StartAfter, abortSignal);
      const { objects, more } = direct ?? (await this.#listBySdk({ Bucket, Prefix, StartAfter }, abortSignal));
      const listed = objects.map(({ key, etag, ...rest }) => ({
        key: key.slice(this.#prefix.length),
        etag: bareEtag(etag),
        ...rest,
      }));
      return { objects: listed, more };
    });
  }

  async #listBySdk(input: ListObjectsV2CommandInput, abortSignal: AbortSignal): Promise<Listing> {
    const output = await this.#client.send(new ListObjectsV2Command(input), { abortSignal });
    // An answer without any field of a listing is an error with a success status.
    if (output.KeyCount === undefined && output.Name === undefined) throw badAnswer();
    const objects = (output.Contents ?? []).map(({ Key = '', ETag, Size = 0, LastModified }) => ({
      key: Key,
      etag: ETag,
      size: Size,
      lastModified: LastModified?.getTime() ?? 0,
    }));
    return { objects, more: output.IsTruncated ?? false };
  }

  remove(key: string): Promise<void> {
    const command = new DeleteObjectCommand(this.#at(key));
    return this.#folded('write', (abortSignal) => this.#client.send(command, { abortSignal })).then(
      () => {},
      (error) => {
        // versitygw reports this when two removals race.
        if (!failedWith(error, 'not_found')) throw error;
      },
    );
  }

  close(): void {
    this.#closing.abort();
    this.#client.destroy();
    this.#reader.destroy();
  }

  #put(key: string, payload: Payload, headers: ObjectHeaders, condition: Partial<PutObjectCommandInput>) {
    return this.#folded('write', async (closing) => {
      const input: PutInput = {
        Key: this.#at(key).Key,
        ...condition,
        ContentLength: payload.size,
        ContentType: headers.contentType,
        CacheControl: headers.cacheControl,
        ContentDisposition: headers.contentDisposition,
        Metadata: headers.metadata,
      };
      const answer = await sending(payload, closing, (body, abortSignal) =>
        this.#putDirectly(input, payload.sha256, body, abortSignal),
      );
      const etag = answer.kind === 'put' ? answer.etag : await this.#putBySdk(input, payload, closing);
      return { etag: bareEtag(etag) };
    });
  }

  #putBySdk(input: PutInput, payload: Payload, closing: AbortSignal): Promise<string | undefined> {
    return sending(payload, closing, async (Body, abortSignal) => {
      const command = new PutObjectCommand({ Bucket: this.#bucket, ...input, Body });
      signWith(command, payload.sha256);
      return (await this.#client.send(command, { abortSignal })).ETag;
    });
  }

  #at(key: string): { Bucket: string; Key: string } {
    return { Bucket: this.#bucket, Key: this.#prefix + key };
  }

  /** Runs a request, which the signal aborts, once more when its time was refused, and converts its error. */
  async #folded<T>(kind: 'read' | 'write', request: (closing: AbortSignal) => Promise<T>): Promise<T> {
    const once = () => request(this.#closing.signal);
    try {
      // By now the Date of the answer has corrected the clock that requests are signed with.
      return await once().catch((error) => (isTooSkewed(error) ? once() : Promise.reject(error)));
    } catch (error) {
      throw foldS3Error(error, kind, await this.#credentials());
    }
  }

  /** Returns what no message may repeat. */
  async #credentials(): Promise<string[]> {
    const known = await this.#client.config.credentials().catch(() => undefined);
    return [known?.accessKeyId ?? '', known?.secretAccessKey ?? '', known?.sessionToken ?? ''];
  }
}

/**
 * Sends the bytes: small ones whole, others as a stream. Aborts the request when the stream fails, which the SDK does
 * not.
 */
async function sending<T>(
  payload: Payload,
  closing: AbortSignal,
  send: (body: Readable | Uint8Array, abortSignal: AbortSignal) => Promise<T>,
): Promise<T> {
  const parts = payload.open();
  if (Array.isArray(parts) && parts.length === 1) return send(parts[0], closing);
  const body = parts instanceof Readable ? parts : Readable.from(parts);
  const aborter = new AbortController();
  body.on('error', (error) => aborter.abort(error));
  try {
    return await send(body, AbortSignal.any([closing, aborter.signal]));
  } finally {
    // After an early answer the rest would still be sent, from memory that is reused next.
    if (!body.readableEnded) aborter.abort(SETTLED);
  }
}

/** Signs the sha256 that was computed on arrival: the SDK does not hash again, and the server rejects other bytes. */
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
  { ETag, ContentRange, ContentLength, Metadata, Body: body }: ReadObject,
  range?: ByteRange,
): StoredObject {
  const size = Number(ContentRange?.split('/').at(-1) ?? ContentLength);
  const offset = ContentRange === undefined ? 0 : Number(/^bytes (\d+)-/i.exec(ContentRange)?.[1]);
  if (ETag === undefined || !Number.isSafeInteger(size) || offset !== (range?.offset ?? 0)) {
    body.on('error', () => {}).destroy();
    throw badAnswer();
  }
  return { etag: bareEtag(ETag), size, metadata: Metadata ?? {}, body };
}

function bareEtag(etag: string | undefined): string {
  if (etag === undefined) throw badAnswer();
  return etag.replace(/^(W\/)?"|"$/g, '');
}

/** Returned for an answer of a proxy, or of a service that answers 200 before it knows the outcome. */
function badAnswer(): ObjectStoreError {
  return new ObjectStoreError('unavailable', 'the service gave an answer that is none of S3', { maybeApplied: true });
}
