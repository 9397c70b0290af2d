/** The typed client: streams images to a daemon and back, and retries without ever making a second image. */
import { createHash } from 'node:crypto';
import { status } from '@grpc/grpc-js';
import { Health, HealthCheckResponse_ServingStatus } from '../gen/health/v1/health_pb.ts';
import { ImageStorage } from '../gen/imagestorage/v1/image_storage_pb.ts';
import { DEFAULT_ADDRESS } from './address.ts';
import {
  cleanupFrom,
  cleanupRequest,
  deleteResultFrom,
  imageFrom,
  listRequest,
  selectsAny,
  statsFrom,
  totalsFrom,
  totalsRequest,
} from './client/convert.ts';
import { endpointOf } from './client/endpoint.ts';
import { ImageStorageError } from './client/errors.ts';
import { readBatches } from './client/lists.ts';
import { copy, verify } from './client/maintenance.ts';
import type { CopyEvent, CopyOptions, VerifyEvent, VerifyOptions } from './client/maintenance-types.ts';
import { explainCleanup, explainOlder } from './client/older.ts';
import { DEFAULT_CONNECT_TIMEOUT_MS, type Reach } from './client/reach.ts';
import { type Backoff, createBackoff, retrying } from './client/retry.ts';
import { save } from './client/save.ts';
import type { ProviderStats, Totals, TotalsOptions } from './client/stats-types.ts';
import { type CallLimits, openTransport, type Transport } from './client/transport.ts';
import { inGroups, listTrash, purge, restore } from './client/trash.ts';
import type {
  CallOptions,
  CleanupOptions,
  CleanupResult,
  ConnectOptions,
  DeleteOptions,
  DeleteResult,
  GetOptions,
  Image,
  ImageChanges,
  ImageMetadata,
  ListOptions,
  ProviderChoice,
  PurgeOptions,
  PurgeResult,
  RestoreResult,
  SavedImage,
  SaveOptions,
  Source,
  StoredImage,
  TrashedImage,
  TrashOptions,
} from './client/types.ts';

export { ImageStorageError } from './client/errors.ts';
export type * from './client/maintenance-types.ts';
export type * from './client/stats-types.ts';
export type * from './client/types.ts';

const DEFAULT_DEADLINE_MS = 10 * 60_000;
const orCannotChange = explainOlder('it cannot change images');

/**
 * All calls reject with an ImageStorageError; UNAVAILABLE and errors with RetryInfo are retried first. Where no daemon was
 * ever reached, they reject with DAEMON_UNREACHABLE within three seconds.
 */
export interface ImageStorageClient {
  /**
   * Stores one image; resolves when it is on stable storage. `timestamp` and `idempotencyKey` are fixed before the
   * first attempt, so that a retry never makes a second image. Up to 64 MiB of a stream are kept for retries; a longer
   * one is not retried. When the error has `outcomeUnknown`, a later save with its `retryWith` returns the outcome.
   * Errors of the source are passed on unchanged.
   */
  save(source: Source, metadata?: ImageMetadata, options?: SaveOptions): Promise<SavedImage>;
  /** Returns an image and its bytes. Rejects with IMAGE_NOT_FOUND or OFFSET_OUT_OF_RANGE. */
  get(filename: string, options?: GetOptions): Promise<StoredImage>;
  /**
   * Yields the images that match. Sends nothing before the first item is read; resumes a lost connection where it
   * broke.
   */
  list(options?: ListOptions): AsyncIterable<Image>;
  /**
   * Changes pin, tags and category of an image. Returns the image as it is then; repeating it changes nothing more.
   * Rejects with IMAGE_NOT_FOUND or FIELD_INVALID, and with the gRPC status UNIMPLEMENTED from an older daemon.
   */
  update(filename: string, changes: ImageChanges, options?: ProviderChoice & CallOptions): Promise<Image>;
  /**
   * Deletes any number of images, pinned ones too: into the trash, where the store has one, else for good. Returns one
   * result per filename, in order. After a lost answer the retry reports as not found what the lost attempt deleted.
   */
  delete(filenames: string | readonly string[], options?: DeleteOptions): Promise<DeleteResult[]>;
  /**
   * Brings any number of images back from the trash, as they were. Returns one result per filename, in order. After a
   * lost answer the retry reports as NOT_DELETED what the lost attempt restored. Rejects with the gRPC status
   * UNIMPLEMENTED from an older daemon, as `listTrash` and `purge` do.
   */
  restore(filenames: string | readonly string[], options?: ProviderChoice & CallOptions): Promise<RestoreResult[]>;
  /** Yields the images in the trash, the last deleted first, as `list` does. */
  listTrash(options?: TrashOptions): AsyncIterable<TrashedImage>;
  /**
   * Deletes images of the trash for good, a live one never. Returns what is gone; after a lost answer without what the
   * lost attempt deleted.
   */
  purge(options: PurgeOptions): Promise<PurgeResult>;
  /**
   * Deletes old images, or all that a selection names, oldest first. Retried only when it is certain that nothing was
   * deleted, or for a dry run. Rejects with PLAN_EXPIRED, POLICY_NOT_FOUND, and for a policy or a selection with the gRPC
   * status UNIMPLEMENTED from an older daemon, which deletes nothing then.
   */
  cleanup(options: CleanupOptions): Promise<CleanupResult>;
  /** Returns the counts of one provider, or of each for `*`; default: the default provider. */
  stats(provider?: string, options?: CallOptions): Promise<ProviderStats[]>;
  /**
   * Counts the images that match, in total and by group. Returns undefined from an older daemon, which counts only whole
   * providers: `stats` does that with any.
   */
  totals(options?: TotalsOptions): Promise<Totals | undefined>;
  /** Checks a store. Yields findings and progress as they come, then the summary. Never retried; run it again. */
  verify(options?: VerifyOptions): AsyncIterable<VerifyEvent>;
  /**
   * Copies images between stores. Yields failures and progress as they come, then the summary. Never retried; another
   * run continues.
   */
  copy(options: CopyOptions): AsyncIterable<CopyEvent>;
  /** Returns whether the daemon reports SERVING. Never retried. */
  health(options?: CallOptions): Promise<boolean>;
  /** Lets calls in flight finish and closes the connection. */
  close(): void;
}

/**
 * Returns a client of the daemon at `host:port`, `[v6]:port`, `unix:PATH` or, with TLS, `https://host:port`; unset or
 * empty means the variable IMAGE_STORAGE_ADDRESS, else 127.0.0.1:50051. Connects on the first call. Throws a TypeError
 * for an invalid address, an ImageStorageError with TOKEN_IN_PLAINTEXT for a token that would cross the network without
 * TLS, and the error of the file system for a file of a token or of certificates that cannot be read.
 */
export function connect(address?: string, options: ConnectOptions = {}): ImageStorageClient {
  const endpoint = endpointOf(address || process.env.IMAGE_STORAGE_ADDRESS || DEFAULT_ADDRESS, options, process.env);
  const reach: Reach = { address: endpoint.address, was: false };
  const transport = openTransport(endpoint, reach);
  const retry = (limits: CallLimits) => createBackoff(options, limits, reach);
  const limitsOf = ({ signal }: CallOptions, defaultMs = DEFAULT_DEADLINE_MS): CallLimits => {
    const deadlineMs = options.deadlineMs ?? defaultMs;
    const deadline = deadlineMs === 0 ? Number.POSITIVE_INFINITY : Date.now() + deadlineMs;
    return { signal, deadline, connectBy: Date.now() + (options.connectTimeoutMs ?? DEFAULT_CONNECT_TIMEOUT_MS) };
  };

  return {
    save(source, metadata = {}, saveOptions = {}) {
      const limits = limitsOf(saveOptions);
      return save(transport, source, metadata, saveOptions, limits, retry(limits));
    },

    async get(filename, getOptions = {}) {
      const reading = readResuming(transport, filename, getOptions, limitsOf(getOptions, 0), retry);
      const { value: image } = await reading.next();
      // Nothing follows, and a call that is not read to its end stays open.
      if (getOptions.metadataOnly) await reading.next();
      // Not wrapped in another generator: returning one that was not started would not end this one.
      return { image: image as Image, body: reading as AsyncGenerator<Uint8Array> };
    },

    list: (listOptions = {}) => listResuming(transport, listOptions, limitsOf(listOptions, 0), retry),

    async update(filename, changes, choice = {}) {
      const limits = limitsOf(choice);
      const request = { filename, provider: choice.provider, ...changes };
      const attempt = () => transport.unary(ImageStorage.method.update, request, limits);
      return imageFrom((await retrying(retry(limits), attempt).catch(orCannotChange)).image, transport.baseUrl);
    },

    async delete(filenames, { provider, permanent, ...callOptions } = {}) {
      const limits = limitsOf(callOptions);
      const results: DeleteResult[] = [];
      for (const group of inGroups(filenames)) {
        const request = { filenames: [...group], provider, permanent };
        const attempt = () => transport.unary(ImageStorage.method.delete, request, limits);
        results.push(...(await retrying(retry(limits), attempt)).results.map(deleteResultFrom));
      }
      return results;
    },

    async restore(filenames, choice = {}) {
      const limits = limitsOf(choice);
      return restore(transport, filenames, choice, limits, () => retry(limits));
    },

    listTrash(trashOptions = {}) {
      const limits = limitsOf(trashOptions, 0);
      return listTrash(transport, trashOptions, limits, retry(limits));
    },

    async purge(purgeOptions) {
      const limits = limitsOf(purgeOptions);
      return purge(transport, purgeOptions, limits, () => retry(limits));
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
      const attempt = () => transport.unary(ImageStorage.method.cleanup, request, limits);
      const { policy, selection } = cleanupOptions;
      const isSelection = selection !== undefined && selectsAny(selection);
      const lacks = policy !== undefined ? 'policies' : isSelection ? 'selections' : undefined;
      const answer = retrying(again, attempt);
      return cleanupFrom(await (lacks === undefined ? answer : answer.catch(explainCleanup(lacks))));
    },

    async stats(provider, callOptions = {}) {
      const limits = limitsOf(callOptions);
      const attempt = () => transport.unary(ImageStorage.method.stats, { provider }, limits);
      return (await retrying(retry(limits), attempt)).providers.map(statsFrom);
    },

    async totals(totalsOptions = {}) {
      const limits = limitsOf(totalsOptions);
      const request = totalsRequest(totalsOptions);
      return totalsFrom(
        await retrying(retry(limits), () => transport.unary(ImageStorage.method.stats, request, limits)),
      );
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

/** Yields the image, then its bytes, over as many calls as needed. */
async function* readResuming(
  transport: Transport,
  filename: string,
  { provider, offset = 0, limit = 0, metadataOnly }: GetOptions,
  limits: CallLimits,
  retry: (limits: CallLimits) => Backoff,
): AsyncGenerator<Image | Uint8Array, undefined> {
  const backoff = retry(limits);
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
          image = imageFrom(payload.case === 'image' ? payload.value : undefined, transport.baseUrl);
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
      // Nothing is left to request, and limit 0 would mean to the end.
      if (limit > 0 && received >= limit) break;
    }
  }
  const { filename: stored, sha256 } = image ?? imageFrom(undefined, undefined);
  if (!hash || hash.digest('hex') === sha256) return;
  const message = `${stored} arrived with other bytes than were stored`;
  throw new ImageStorageError(status.DATA_LOSS, message, { reason: 'BYTES_CORRUPT' });
}

async function* listResuming(
  transport: Transport,
  listOptions: ListOptions,
  limits: CallLimits,
  retry: (limits: CallLimits) => Backoff,
): AsyncGenerator<Image> {
  const { onHints, limit } = listOptions;
  const request = listRequest(listOptions);
  const read = async function* (rest: { pageToken: string; limit: number }) {
    for await (const batch of transport.download(ImageStorage.method.list, { ...request, ...rest }, limits)) {
      if (batch.hints.length > 0) onHints?.(batch.hints.map(({ field, values }) => ({ field, values })));
      yield batch;
    }
  };
  const backoff = retry(limits);
  for await (const message of readBatches(read, backoff, limit)) yield imageFrom(message, transport.baseUrl);
}
