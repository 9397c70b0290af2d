/** The service ImageStorage on top of the storage library: one short method per rpc. */
import type { MessageInitShape } from '@bufbuild/protobuf';
import { timestampFromDate } from '@bufbuild/protobuf/wkt';
import type { ServiceImpl } from '@connectrpc/connect';
import type {
  DeleteResultSchema,
  ImageStorage,
  RestoreResultSchema,
  SaveResponseSchema,
} from '../../gen/imagestorage/v1/image_storage_pb.ts';
import { Budget, type Hold } from '../storage/async/budget.ts';
import type { Caller } from '../storage/domain/caller.ts';
import { type Reason, toStorageError } from '../storage/domain/errors.ts';
import type { StorageItem, StoredImage } from '../storage/domain/image.ts';
import { CHUNK_BYTES } from '../storage/transfer/body.ts';
import type { Deletion, Page, Storage } from '../storage/types.ts';
import { holdForCall, partByPart, type Receiver, withHold } from './answers.ts';
import type { CallNotes } from './call.ts';
import { type Arrived, arrivedKey, callerKey, notesKey } from './caller-key.ts';
import {
  changesOf,
  checkFilenames,
  cleanupFrom,
  cleanupOptionsOf,
  imageFrom,
  listOptionsOf,
  metadataOf,
  numberOf,
  purgeOptionsOf,
  saveOptionsOf,
  statisticsFrom,
  totalsFrom,
  totalsOptionsOf,
  trashOptionsOf,
} from './convert.ts';
import { batchOf } from './list-batch.ts';
import type { CallMemory } from './memory.ts';
import { receiveSave, type SaveStream, type SaveStreamLimits } from './save-stream.ts';
import { subjectOfDelete, subjectOfGet, subjectOfSave } from './subjects.ts';

/** Filenames of all Deletes that are worked on: what is committed beside them waits for a few groups at most. */
const DELETES_AT_ONCE = 256;
/** Why an image of a Restore is none, beside errors of the store. */
const NOT_IN_TRASH = ['IMAGE_NOT_FOUND', 'NOT_DELETED'] as const;
/** What a List takes for a full page: records, items and messages. */
export const MAX_PAGE_COST: number = 6 * 1024 * 1024;
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
    save(requests, { signal, values }) {
      const notes = values.get(notesKey);
      const store = (stream: SaveStream) => save(storage, stream, values.get(callerKey), values.get(arrivedKey), notes);
      return receiveSave(requests, limits, signal, store, notes.messages);
    },

    async *get({ filename, provider, offset, limit, metadataOnly }, { signal, values }) {
      const receiver = { budget: memory.kept, caller: values.get(callerKey), signal };
      const part = { offset: numberOf(offset), limit: numberOf(limit) };
      const { item, body, hold } = await getHeld(() => storage.get(filename, { provider, ...part }), receiver);
      values.get(notesKey).subject = subjectOfGet(item, { ...part, metadataOnly });
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

    async delete({ filenames, provider, permanent }, { signal, values }) {
      const hold = () => deletes.hold(values.get(callerKey), 1, { signal });
      const outcomes = await forEach(filenames, hold, (name) => storage.remove(name, { provider, permanent }));
      const results = outcomes.map((outcome, at) => deleteResult(filenames[at]!, outcome));
      const deleted = filenames.filter((_, at) => results[at]!.deleted);
      values.get(notesKey).subject = subjectOfDelete(deleted, provider);
      return { results };
    },

    async restore({ filenames, provider }, { signal, values }) {
      const hold = () => deletes.hold(values.get(callerKey), 1, { signal });
      const outcomes = await forEach(filenames, hold, (name) => storage.restore(name, { provider }), NOT_IN_TRASH);
      return { results: outcomes.map((outcome, at) => restoreResult(filenames[at]!, outcome)) };
    },

    async *listTrash(request, { signal, values }) {
      const pages = storage.listTrash(trashOptionsOf(request)).pages();
      const receiver = { budget: memory.kept, caller: values.get(callerKey), signal };
      for await (const { items, nextPageToken } of partByPart(pages, MAX_PAGE_COST, costOfPage, receiver)) {
        yield { images: items.map(imageFrom), nextPageToken };
      }
    },

    async purge(request) {
      const { count, bytes, more } = await storage.purge(purgeOptionsOf(request));
      return { count: BigInt(count), bytes: BigInt(bytes), more };
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
  notes: CallNotes,
): Promise<MessageInitShape<typeof SaveResponseSchema>> {
  const options = { ...saveOptionsOf(header), trailer, signal, caller, arrived: () => arrived.bytes };
  const { replayed, deleted, ...item } = await storage.save(chunks, metadataOf(header.metadata), options);
  notes.subject = subjectOfSave(item);
  return { image: imageFrom(item), replayed, deleted };
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

/**
 * Returns an outcome per filename; each waits for its hold. Rejects when all of them fail, other than for these reasons:
 * that is an error of the store.
 */
async function forEach<T>(
  filenames: string[],
  hold: () => Promise<Hold>,
  work: (filename: string) => Promise<T>,
  reasons: readonly Reason[] = [],
): Promise<PromiseSettledResult<T>[]> {
  checkFilenames(filenames);
  const works: Promise<T>[] = [];
  for (const filename of filenames) {
    const { release } = await hold();
    const working = work(filename);
    working.then(release, release);
    works.push(working);
  }
  const outcomes = await Promise.allSettled(works);
  const failures = outcomes.filter((outcome) => outcome.status === 'rejected').map(({ reason }) => reason);
  const failure = failures.find((error) => !reasons.includes(toStorageError(error).reason));
  if (failures.length === filenames.length && failure !== undefined) throw failure;
  return outcomes;
}

function deleteResult(
  filename: string,
  outcome: PromiseSettledResult<Deletion>,
): MessageInitShape<typeof DeleteResultSchema> {
  if (outcome.status === 'rejected') return { filename, reason: toStorageError(outcome.reason).reason };
  const { deleted, restorableUntil } = outcome.value;
  if (!deleted) return { filename, reason: 'IMAGE_NOT_FOUND' };
  return { filename, deleted, restorableUntil: restorableUntil && timestampFromDate(restorableUntil) };
}

function restoreResult(
  filename: string,
  outcome: PromiseSettledResult<StorageItem>,
): MessageInitShape<typeof RestoreResultSchema> {
  if (outcome.status === 'fulfilled') return { filename, restored: true };
  return { filename, reason: toStorageError(outcome.reason).reason };
}

function costOfPage({ items }: Page): number {
  return items.reduce((sum, item) => sum + costOf(item), 0);
}

function costOf({ metadata: { prompt, parametersJson } }: StorageItem): number {
  return COST_OF_AN_IMAGE + (prompt.length + parametersJson.length) * COST_OF_A_CHARACTER;
}
