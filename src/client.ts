/** The typed client: streams images to a daemon and back, and retries without ever making a second image. */
import { createHash } from 'node:crypto';
import { status } from '@grpc/grpc-js';
import { Health, HealthCheckResponse_ServingStatus } from '../gen/health/v1/health_pb.ts';
import { ImageStorage } from '../gen/imagestorage/v1/image_storage_pb.ts';
import { ADDRESS_FORMS, DEFAULT_ADDRESS, parseAddress } from './address.ts';
import { cleanupFrom, cleanupRequest, imageFrom, listRequest, statsFrom } from './client/convert.ts';
import { ImageStorageError } from './client/errors.ts';
import { copy, verify } from './client/maintenance.ts';
import { createBackoff, retrying } from './client/retry.ts';
import { save } from './client/save.ts';
import { type CallLimits, openTransport, type Transport } from './client/transport.ts';
import type {
  CallOptions,
  CleanupOptions,
  CleanupResult,
  ConnectOptions,
  CopyEvent,
  CopyOptions,
  DeleteResult,
  GetOptions,
  Image,
  ImageMetadata,
  ListOptions,
  ProviderChoice,
  ProviderStats,
  SavedImage,
  SaveOptions,
  Source,
  StoredImage,
  VerifyEvent,
  VerifyOptions,
} from './client/types.ts';

export { ImageStorageError } from './client/errors.ts';
export type * from './client/types.ts';

const DEFAULT_DEADLINE_MS = 10 * 60_000;
/** The contract's bound on one Delete. */
const MAX_DELETES_PER_CALL = 1000;

/** All calls reject with an ImageStorageError; UNAVAILABLE and what carries RetryInfo is retried before. */
export interface ImageStorageClient {
  /**
   * Stores one image; when it resolves the image is on stable storage. `timestamp` and `idempotencyKey` are fixed before
   * the first attempt and the same on every retry, so that a retry never makes a second image. A stream is kept for a
   * retry up to 64 MiB; beyond that it is not retried. When the error has `outcomeUnknown`, a later save with its
   * `retryWith` tells. Errors of the source are passed on as they are.
   */
  save(source: Source, metadata?: ImageMetadata, options?: SaveOptions): Promise<SavedImage>;
  /** IMAGE_NOT_FOUND, OFFSET_OUT_OF_RANGE. */
  get(filename: string, options?: GetOptions): Promise<StoredImage>;
  /** Nothing is asked before the first item; a lost connection resumes where it broke. */
  list(options?: ListOptions): AsyncIterable<Image>;
  /**
   * One result for each filename, in order; any number of them. Where an answer was lost, the retry reports what the lost
   * attempt deleted as not found.
   */
  delete(filenames: string | readonly string[], options?: ProviderChoice & CallOptions): Promise<DeleteResult[]>;
  /** Retried only when it is certain that nothing was deleted, or for a dry run. */
  cleanup(options: CleanupOptions): Promise<CleanupResult>;
  /** One entry for each provider meant. */
  stats(provider?: string, options?: CallOptions): Promise<ProviderStats[]>;
  /** Checks a store: findings and progress as they come, the summary last. Never retried; run it again. */
  verify(options?: VerifyOptions): AsyncIterable<VerifyEvent>;
  /** Copies between stores: failures and progress as they come, the summary last. Never retried; run again, it goes on. */
  copy(options: CopyOptions): AsyncIterable<CopyEvent>;
  /** Whether the daemon says SERVING. Never retried. */
  health(options?: CallOptions): Promise<boolean>;
  /** Lets calls in flight finish and closes the connection. */
  close(): void;
}

/**
 * A client of the daemon at `host:port`, `[v6]:port` or `unix:PATH`; unset or empty means the environment's
 * IMAGE_STORAGE_ADDRESS, else 127.0.0.1:50051. It connects on the first call. TypeError for what is no address.
 */
export function connect(address?: string, options: ConnectOptions = {}): ImageStorageClient {
  const transport = openTransport(targetOf(address), options);
  const retry = (limits: CallLimits) => createBackoff(options, limits.deadline, limits.signal);
  const limitsOf = ({ signal }: CallOptions, defaultMs = DEFAULT_DEADLINE_MS): CallLimits => {
    const deadlineMs = options.deadlineMs ?? defaultMs;
    return { signal, deadline: deadlineMs === 0 ? Number.POSITIVE_INFINITY : Date.now() + deadlineMs };
  };

  return {
    save(source, metadata = {}, saveOptions = {}) {
      const limits = limitsOf(saveOptions);
      return save(transport, source, metadata, saveOptions, limits, retry(limits));
    },

    async get(filename, getOptions = {}) {
      const reading = readResuming(transport, filename, getOptions, limitsOf(getOptions, 0), options);
      const { value: image } = await reading.next();
      // Nothing follows, and a call that nobody reads to its end is never let go.
      if (getOptions.metadataOnly) await reading.next();
      // Not another generator over it: one that was not begun ends nothing when it is returned.
      return { image: image as Image, body: reading as AsyncGenerator<Uint8Array> };
    },

    list: (listOptions = {}) => listResuming(transport, listOptions, limitsOf(listOptions, 0), options),

    async delete(filenames, choice = {}) {
      const names = typeof filenames === 'string' ? [filenames] : filenames;
      const limits = limitsOf(choice);
      const results: DeleteResult[] = [];
      for (let i = 0; i < names.length; i += MAX_DELETES_PER_CALL) {
        const request = { filenames: names.slice(i, i + MAX_DELETES_PER_CALL), provider: choice.provider };
        const answer = await retrying(retry(limits), () =>
          transport.unary(ImageStorage.method.delete, request, limits),
        );
        results.push(...answer.results.map(({ filename, deleted, reason }) => ({ filename, deleted, reason })));
      }
      return results;
    },

    async cleanup(cleanupOptions) {
      const limits = limitsOf(cleanupOptions);
      const backoff = retry(limits);
      const again = {
        ...backoff,
        async wait(error: unknown) {
          if (!cleanupOptions.dryRun && error instanceof ImageStorageError && error.outcomeUnknown) throw error;
          await backoff.wait(error);
        },
      };
      const request = cleanupRequest(cleanupOptions);
      return cleanupFrom(await retrying(again, () => transport.unary(ImageStorage.method.cleanup, request, limits)));
    },

    async stats(provider, callOptions = {}) {
      const limits = limitsOf(callOptions);
      const attempt = () => transport.unary(ImageStorage.method.stats, { provider }, limits);
      return (await retrying(retry(limits), attempt)).providers.map(statsFrom);
    },

    verify: (verifyOptions = {}) => verify(transport, verifyOptions, limitsOf(verifyOptions, 0)),

    copy: (copyOptions) => copy(transport, copyOptions, limitsOf(copyOptions, 0)),

    async health(callOptions = {}) {
      const answer = await transport.unary(Health.method.check, {}, limitsOf(callOptions));
      return answer.status === HealthCheckResponse_ServingStatus.SERVING;
    },

    close: () => transport.close(),
  };
}

function targetOf(address?: string): string {
  const target = address || process.env.IMAGE_STORAGE_ADDRESS || DEFAULT_ADDRESS;
  if (parseAddress(target)) return target;
  throw new TypeError(`"${target}" is no address: ${ADDRESS_FORMS}`);
}

/** The image, then its bytes, over as many calls as it takes. */
async function* readResuming(
  transport: Transport,
  filename: string,
  { provider, offset = 0, limit = 0, metadataOnly }: GetOptions,
  limits: CallLimits,
  options: ConnectOptions,
): AsyncGenerator<Image | Uint8Array, undefined> {
  const backoff = createBackoff(options, limits.deadline, limits.signal);
  const hash = offset || limit || metadataOnly ? undefined : createHash('sha256');
  let image: Image | undefined;
  let received = 0;
  for (;;) {
    const rest = { offset: BigInt(offset + received), limit: BigInt(limit && limit - received) };
    try {
      for await (const { payload } of transport.download(
        ImageStorage.method.get,
        { filename, provider, metadataOnly, ...rest },
        limits,
      )) {
        backoff.reset();
        if (!image) {
          image = imageFrom(payload.case === 'image' ? payload.value : undefined);
          yield image;
        } else if (payload.case === 'chunk') {
          received += payload.value.length;
          hash?.update(payload.value);
          yield payload.value;
        }
      }
      break;
    } catch (error) {
      await backoff.wait(error);
      // There is nothing left to ask for, and limit 0 would mean to the end.
      if (limit > 0 && received >= limit) break;
    }
  }
  const { filename: stored, sha256 } = image ?? imageFrom(undefined);
  if (!hash || hash.digest('hex') === sha256) return;
  const message = `${stored} arrived with other bytes than were stored`;
  throw new ImageStorageError(status.DATA_LOSS, message, { reason: 'BYTES_CORRUPT' });
}

async function* listResuming(
  transport: Transport,
  listOptions: ListOptions,
  limits: CallLimits,
  options: ConnectOptions,
): AsyncGenerator<Image> {
  const backoff = createBackoff(options, limits.deadline, limits.signal);
  const request = { ...listRequest(listOptions), pageToken: '' };
  let left = listOptions.limit || Number.POSITIVE_INFINITY;
  // Read to its end all the same: a call that is left early is reset, and servers close a connection on which many are.
  let complete = false;
  for (;;) {
    try {
      const limit = Number.isFinite(left) ? left : 0;
      for await (const batch of transport.download(ImageStorage.method.list, { ...request, limit }, limits)) {
        backoff.reset();
        for (const image of batch.images) yield imageFrom(image);
        request.pageToken = batch.nextPageToken;
        left -= batch.images.length;
        complete = request.pageToken === '' || left <= 0;
      }
      return;
    } catch (error) {
      if (complete) return;
      await backoff.wait(error);
    }
  }
}
