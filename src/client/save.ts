/** Sends a Save: header, chunks and trailer, and the same again on a retry. */
import { createHash } from 'node:crypto';
import { durationFromMs } from '@bufbuild/protobuf/wkt';
import { nanoid } from 'nanoid';
import { Embedded, ImageStorage, type SaveResponse } from '../../gen/imagestorage/v1/image_storage_pb.ts';
import { imageFrom, timestampOf } from './convert.ts';
import { ImageStorageError } from './errors.ts';
import { type Backoff, retrying } from './retry.ts';
import { type OpenSource, openSource } from './source.ts';
import type { CallLimits, Transport } from './transport.ts';
import type { ImageMetadata, SavedImage, SaveOptions, Source } from './types.ts';

/** The header that all attempts send, so that the daemon recognises a retry. */
type Header = ReturnType<typeof headerOf>;

export async function save(
  transport: Transport,
  source: Source,
  metadata: ImageMetadata,
  options: SaveOptions,
  limits: CallLimits,
  backoff: Backoff,
): Promise<SavedImage> {
  const opened = openSource(source);
  const timestamp = metadata.timestamp ?? new Date();
  const idempotencyKey = options.idempotencyKey || nanoid();
  const header = headerOf({ ...metadata, timestamp }, { ...options, idempotencyKey }, opened);
  let outcomeUnknown = false;
  const attempt = async () => {
    try {
      return await saveOnce(transport, opened, header, limits, options.onProgress);
    } catch (error) {
      if (!(error instanceof ImageStorageError)) throw error;
      // A later refusal does not settle an earlier attempt that was never answered.
      outcomeUnknown ||= error.outcomeUnknown;
      const unreadable = error.retryable && !opened.rewindable();
      throw amended(error, { outcomeUnknown, retryWith: { idempotencyKey, timestamp } }, unreadable);
    }
  };
  try {
    const { image, replayed, deleted } = await retrying(
      onlyIf(() => opened.rewindable(), backoff),
      attempt,
    );
    return { ...imageFrom(image, transport.baseUrl), replayed, deleted };
  } finally {
    opened.close();
  }
}

function headerOf(metadata: ImageMetadata, options: SaveOptions, { declared }: OpenSource) {
  const { provider, idempotencyKey, contentType, pinned, embedded = 'fill', ttlMs, unlessDeleted } = options;
  return {
    metadata: { ...metadata, timestamp: timestampOf(metadata.timestamp) },
    provider,
    idempotencyKey,
    contentType,
    pinned,
    embedded: embedded === 'fill' ? Embedded.FILL : Embedded.IGNORE,
    unlessDeleted,
    ttl: ttlMs === undefined ? undefined : durationFromMs(ttlMs),
    ...declared,
  };
}

async function saveOnce(
  transport: Transport,
  source: OpenSource,
  header: Header,
  limits: CallLimits,
  onProgress: SaveOptions['onProgress'],
): Promise<SaveResponse> {
  const call = transport.upload(ImageStorage.method.save, limits);
  const chunks = source.read()[Symbol.asyncIterator]();
  const hash = header.sha256 ? undefined : createHash('sha256');
  let size = 0;
  try {
    await call.write({ payload: { case: 'header', value: header } });
    for (;;) {
      // An early answer is an error or a replayed save; neither needs the rest.
      const next = await Promise.race([chunks.next(), call.answer]);
      if ('$typeName' in next) return next;
      if (next.done) break;
      hash?.update(next.value);
      size += next.value.length;
      await call.write({ payload: { case: 'chunk', value: next.value } });
      onProgress?.(size);
    }
    if (hash) await call.write({ payload: { case: 'trailer', value: { size: BigInt(size), sha256: hash.digest() } } });
    call.end();
    return await call.answer;
  } finally {
    call.cancel();
    chunks.return?.()?.catch(() => {});
  }
}

function amended(
  error: ImageStorageError,
  changes: Pick<ImageStorageError, 'outcomeUnknown' | 'retryWith'>,
  unreadable: boolean,
) {
  const note = unreadable ? ' (not tried again: the source is a stream of more than 64 MiB)' : '';
  return new ImageStorageError(error.code, error.message + note, { ...error, cause: error.cause, ...changes });
}

function onlyIf(condition: () => boolean, backoff: Backoff): Backoff {
  return {
    ...backoff,
    async wait(error) {
      if (!condition()) throw error;
      await backoff.wait(error);
    },
  };
}
