/** The service ImageStorage on top of the storage library: one short method per rpc. */
import type { MessageInitShape } from '@bufbuild/protobuf';
import type { ServiceImpl } from '@connectrpc/connect';
import type {
  DeleteResultSchema,
  ImageStorage,
  SaveResponseSchema,
} from '../../gen/imagestorage/v1/image_storage_pb.ts';
import { Budget, type Hold } from '../storage/async/budget.ts';
import type { Caller } from '../storage/domain/caller.ts';
import { invalidField, toStorageError } from '../storage/domain/errors.ts';
import type { StorageItem, StoredImage } from '../storage/domain/image.ts';
import { CHUNK_BYTES } from '../storage/transfer/body.ts';
import type { Page, Storage } from '../storage/types.ts';
import { holdForCall, partByPart, type Receiver, withHold } from './answers.ts';
import { type Arrived, arrivedKey, callerKey } from './caller-key.ts';
import {
  changesOf,
  cleanupFrom,
  cleanupOptionsOf,
  imageFrom,
  listOptionsOf,
  metadataOf,
  numberOf,
  saveOptionsOf,
  statisticsFrom,
  totalsFrom,
  totalsOptionsOf,
} from './convert.ts';
import { batchOf } from './list-batch.ts';
import type { CallMemory } from './memory.ts';
import { receiveSave, type SaveStream, type SaveStreamLimits } from './save-stream.ts';

const MAX_FILENAMES = 1000;
/** Filenames of all Deletes that are worked on: what is committed beside them waits for a few groups at most. */
const DELETES_AT_ONCE = 256;
/** What a List takes for a full page: records, items and messages. */
const MAX_PAGE_COST = 6 * 1024 * 1024;
const COST_OF_A_CHARACTER = 6;
/** Descriptions up to this are held for once they are read; larger ones are read again when there is memory. */
const SMALL_ITEM_COST = 64 * 1024;
/** Of an image without its texts. */
const COST_OF_AN_IMAGE = 2048;
/** As it is read, and in its message. */
const COPIES_OF_A_CHUNK = 2;

export function createRoutes(
  storage: Storage,
  limits: SaveStreamLimits,
  memory: CallMemory,
): ServiceImpl<typeof ImageStorage> {
  const deletes = new Budget(DELETES_AT_ONCE);
  return {
    save: (requests, context) =>
      receiveSave(requests, limits, context.signal, (stream) =>
        save(storage, stream, context.values.get(callerKey), context.values.get(arrivedKey)),
      ),

    async *get({ filename, provider, offset, limit, metadataOnly }, { signal, values }) {
      const receiver = { budget: memory.kept, caller: values.get(callerKey), signal };
      const part = { offset: numberOf(offset), limit: numberOf(limit) };
      const { item, body, hold } = await getHeld(() => storage.get(filename, { provider, ...part }), receiver);
      yield { payload: { case: 'image', value: imageFrom(item) } };
      hold.release();
      if (metadataOnly) return;
      for await (const value of withHold(closedOn(signal, body), costOfBody(item), receiver)) {
        yield { payload: { case: 'chunk', value } };
      }
    },

    async *list(request, { signal, values, requestHeader }) {
      const pages = storage.list(listOptionsOf(request)).pages();
      const receiver = { budget: memory.kept, caller: values.get(callerKey), signal };
      let isEmpty = true;
      for await (const page of partByPart(pages, MAX_PAGE_COST, costOfPage, receiver)) {
        isEmpty = false;
        yield batchOf(page, requestHeader);
      }
      // A list that goes on has matched something before.
      if (!isEmpty || !request.hints || request.pageToken !== '') return;
      const hints = await storage.hints(request);
      if (hints.length > 0) yield { hints };
    },

    update: async (request) => ({
      image: imageFrom(await storage.update(request.filename, changesOf(request), { provider: request.provider })),
    }),

    async delete({ filenames, provider }, { signal, values }) {
      if (filenames.length === 0 || filenames.length > MAX_FILENAMES) {
        throw invalidField('filenames', `${filenames.length} filenames, 1 to ${MAX_FILENAMES} are accepted`);
      }
      const hold = () => deletes.hold(values.get(callerKey), 1, { signal });
      return { results: await deleteEach(storage, filenames, provider, hold) };
    },

    cleanup: async (request, { signal }) =>
      cleanupFrom(await storage.cleanup({ ...cleanupOptionsOf(request), signal })),

    async stats(request) {
      const options = totalsOptionsOf(request);
      const [providers, totals] = await Promise.all([storage.getStatistics(request.provider), storage.totals(options)]);
      return { providers: providers.map(statisticsFrom), ...totalsFrom(totals) };
    },
  };
}

/** Stores the image of a Save; returns the answer. */
export async function save(
  storage: Storage,
  { header, chunks, trailer, signal }: SaveStream,
  caller: Caller,
  arrived: Arrived,
): Promise<MessageInitShape<typeof SaveResponseSchema>> {
  const options = { ...saveOptionsOf(header), trailer, signal, caller, arrived: () => arrived.bytes };
  const { replayed, ...item } = await storage.save(chunks, metadataOf(header.metadata), options);
  return { image: imageFrom(item), replayed };
}

/**
 * Gets an image, and holds what it takes without its bytes, until that is released or the call has ended. `more`: what is
 * held besides, at once: who holds a part and waits for another may wait for ever.
 */
export async function getHeld(
  get: () => Promise<StoredImage>,
  receiver: Receiver,
  more: (got: StoredImage) => number = () => 0,
): Promise<StoredImage & { hold: Hold }> {
  const got = await get();
  const cost = costOf(got.item);
  if (cost > SMALL_ITEM_COST) return getAgain(get, cost + more(got), receiver);
  return { ...got, hold: await holdForCall(cost + more(got), receiver) };
}

/** What was got is not kept while this waits. */
async function getAgain(
  get: () => Promise<StoredImage>,
  cost: number,
  receiver: Receiver,
): Promise<StoredImage & { hold: Hold }> {
  const hold = await holdForCall(cost, receiver);
  try {
    return { ...(await get()), hold };
  } catch (error) {
    hold.release();
    throw error;
  }
}

/** What reading the bytes of an image takes of memory. */
export function costOfBody({ size }: StorageItem): number {
  return Math.min(size, CHUNK_BYTES) * COPIES_OF_A_CHUNK;
}

/** Ends the body, and closes its file, when the reader leaves: a write that waits for the reader may never go on. */
export function closedOn(signal: AbortSignal, body: AsyncIterable<Uint8Array>): AsyncIterable<Uint8Array> {
  const iterator = body[Symbol.asyncIterator]();
  signal.addEventListener('abort', () => void iterator.return?.().catch(() => undefined), { once: true });
  return { [Symbol.asyncIterator]: () => iterator };
}

/** Returns a result per filename; each waits for its hold. Rejects when all of them fail: that is an error of the store. */
async function deleteEach(
  storage: Storage,
  filenames: string[],
  provider: string,
  hold: () => Promise<Hold>,
): Promise<MessageInitShape<typeof DeleteResultSchema>[]> {
  const deletes: Promise<boolean>[] = [];
  for (const filename of filenames) {
    const { release } = await hold();
    const deleted = storage.delete(filename, { provider });
    deleted.then(release, release);
    deletes.push(deleted);
  }
  const outcomes = await Promise.allSettled(deletes);
  const failures = outcomes.filter((outcome) => outcome.status === 'rejected');
  if (failures.length === filenames.length) throw failures[0]!.reason;
  return outcomes.map((outcome, i) => {
    const filename = filenames[i]!;
    if (outcome.status === 'rejected') return { filename, reason: toStorageError(outcome.reason).reason };
    return outcome.value ? { filename, deleted: true } : { filename, reason: 'IMAGE_NOT_FOUND' };
  });
}

function costOfPage({ items }: Page): number {
  return items.reduce((sum, item) => sum + costOf(item), 0);
}

function costOf({ metadata: { prompt, parametersJson } }: StorageItem): number {
  return COST_OF_AN_IMAGE + (prompt.length + parametersJson.length) * COST_OF_A_CHARACTER;
}
