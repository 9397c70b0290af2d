/** The service ImageStorage on top of the storage library: one short method per rpc. */
import type { MessageInitShape } from '@bufbuild/protobuf';
import type { ServiceImpl } from '@connectrpc/connect';
import type { DeleteResultSchema, ImageStorage } from '../../gen/imagestorage/v1/image_storage_pb.ts';
import { invalidField, toStorageError } from '../storage/domain/errors.ts';
import type { Storage } from '../storage/types.ts';
import {
  cleanupFrom,
  cleanupOptionsOf,
  imageFrom,
  listOptionsOf,
  metadataOf,
  numberOf,
  saveOptionsOf,
  statisticsFrom,
} from './convert.ts';
import { batchOf } from './list-batch.ts';
import { receiveSave, type SaveStreamLimits } from './save-stream.ts';

const MAX_FILENAMES = 1000;

export function createRoutes(storage: Storage, limits: SaveStreamLimits): ServiceImpl<typeof ImageStorage> {
  return {
    save: (requests, context) =>
      receiveSave(requests, limits, context.signal, async ({ header, chunks, trailer, signal }) => {
        const options = { ...saveOptionsOf(header), trailer, signal };
        const { replayed, ...item } = await storage.save(chunks, metadataOf(header.metadata), options);
        return { image: imageFrom(item), replayed };
      }),

    async *get({ filename, provider, offset, limit, metadataOnly }, { signal }) {
      const part = { offset: numberOf(offset), limit: numberOf(limit) };
      const { item, body } = await storage.get(filename, { provider, ...part });
      yield { payload: { case: 'image', value: imageFrom(item) } };
      if (metadataOnly) return;
      for await (const value of closedOn(signal, body)) yield { payload: { case: 'chunk', value } };
    },

    async *list(request, { requestHeader }) {
      for await (const page of storage.list(listOptionsOf(request)).pages()) yield batchOf(page, requestHeader);
    },

    async delete({ filenames, provider }) {
      if (filenames.length === 0 || filenames.length > MAX_FILENAMES) {
        throw invalidField('filenames', `${filenames.length} filenames, 1 to ${MAX_FILENAMES} are accepted`);
      }
      return { results: await deleteEach(storage, filenames, provider) };
    },

    cleanup: async (request, { signal }) =>
      cleanupFrom(await storage.cleanup({ ...cleanupOptionsOf(request), signal })),

    stats: async ({ provider }) => ({ providers: (await storage.getStatistics(provider)).map(statisticsFrom) }),
  };
}

/** Ends the body, and closes its file, when the reader leaves: a write that waits for the reader may never go on. */
function closedOn(signal: AbortSignal, body: AsyncIterable<Uint8Array>): AsyncIterable<Uint8Array> {
  const iterator = body[Symbol.asyncIterator]();
  signal.addEventListener('abort', () => void iterator.return?.().catch(() => undefined), { once: true });
  return { [Symbol.asyncIterator]: () => iterator };
}

/** Returns a result per filename. Rejects when all of them fail: that is an error of the store. */
async function deleteEach(
  storage: Storage,
  filenames: string[],
  provider: string,
): Promise<MessageInitShape<typeof DeleteResultSchema>[]> {
  const outcomes = await Promise.allSettled(filenames.map((filename) => storage.delete(filename, { provider })));
  const failures = outcomes.filter((outcome) => outcome.status === 'rejected');
  if (failures.length === filenames.length) throw failures[0]!.reason;
  return outcomes.map((outcome, i) => {
    const filename = filenames[i]!;
    if (outcome.status === 'rejected') return { filename, reason: toStorageError(outcome.reason).reason };
    return outcome.value ? { filename, deleted: true } : { filename, reason: 'IMAGE_NOT_FOUND' };
  });
}
