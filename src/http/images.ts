/** Serves the images under their URLs: whole, in part, or only their headers. */

import type { CallMemory } from '../rpc/memory.ts';
import { getHeld } from '../rpc/routes.ts';
import { subjectOfGet } from '../rpc/subjects.ts';
import type { Hold } from '../storage/async/budget.ts';
import { StorageError, toStorageError } from '../storage/domain/errors.ts';
import type { StorageItem, StoredImage } from '../storage/domain/image.ts';
import type { GetOptions } from '../storage/domain/requests.ts';
import type { Storage } from '../storage/types.ts';
import { begin, sendProblem } from './errors.ts';
import { etagOf, imageHeaders, lastModifiedOf } from './image-headers.ts';
import type { Exchange, PlainRoute } from './plain-routes.ts';
import { answerPreview, type PreviewMaker, widthAsked } from './previews.ts';
import { isNotModified, matchesIfRange, type Part, partOf } from './ranges.ts';
import { sendBody } from './send-body.ts';

/** A key, which is what a local image has as its URL. */
const PATH = /^\/(outputs\/images\/generations\/\d{4}-\d\d-\d\d\/[a-z0-9-]+\/([\w.-]+))$/;

export function isImagePath(path: string): boolean {
  return PATH.test(path);
}

export interface ImageOptions {
  storage: Storage;
  memory: CallMemory;
  defaultProvider: string;
  /** How long a browser may keep an image, in seconds. */
  maxAgeSeconds: number;
  previews: PreviewMaker;
}

/** GET and HEAD of `/outputs/images/generations/…`. */
export function imageRoute(options: ImageOptions): PlainRoute {
  return {
    methods: ['GET', 'HEAD'],
    path: PATH,
    scope: 'read',
    name: 'image',
    answer: (exchange) => answerImage(exchange, options),
  };
}

async function answerImage(exchange: Exchange, options: ImageOptions): Promise<void> {
  const { request, response, target, grant } = exchange;
  const query = new URLSearchParams(target.query);
  const isDownload = query.get('download') === '1';
  const width = widthAsked(query);
  const trashed = query.get('trash') === '1';
  if (trashed) exchange.require('delete');
  const got = await find(exchange, options, query.get('provider') ?? undefined, trashed);
  const { item } = got;
  const given = { grant, isDownload, maxAgeSeconds: options.maxAgeSeconds };
  if (width !== undefined) {
    const { metadata: _, generation: __, ...image } = item;
    const { again, hold } = got;
    // Its texts are not kept while its preview is made.
    hold.release();
    return answerPreview(exchange, { image, again }, width, given, options);
  }
  const headers = imageHeaders(item, given);
  if (isNotModified(request.headers, etagOf(item), item.createTime)) {
    begin(response, 304, headers);
    response.end();
    return;
  }
  const part = partAsked(exchange, item);
  if (part === 'none') return refuseRange(exchange, item);
  const isPart = part !== undefined;
  begin(response, isPart ? 206 : 200, { ...headers, ...lengthOf(item, part) });
  if (request.method === 'HEAD') {
    response.end();
    return;
  }
  const { offset, length: limit } = part ?? { offset: 0, length: item.size };
  exchange.notes.subject = subjectOfGet(item, { offset, limit, metadataOnly: false });
  const body = isPart ? await got.again({ offset: part.offset, limit: part.length }) : got;
  await sendBody(exchange, body, part?.length ?? item.size, options.memory);
}

interface Found extends StoredImage {
  hold: Hold;
  /** Gets a part of the same image. */
  again(part?: GetOptions): Promise<StoredImage>;
}

/** Asks the provider that is named, or the default one and then the others. */
async function find(
  { params, caller, signal }: Exchange,
  options: ImageOptions,
  named: string | undefined,
  trashed: boolean,
): Promise<Found> {
  const [key, filename] = params as [string, string];
  const { storage, memory, defaultProvider } = options;
  const others = Object.keys(storage.health()).filter((name) => name !== defaultProvider);
  let failure: unknown;
  for (const provider of named === undefined ? [defaultProvider, ...others] : [named]) {
    const get = async (part: GetOptions = {}) => {
      const turn = await memory.atWork.hold(caller, 1, { signal });
      return await storage.get(filename, { provider, trashed, reuseMemory: true, ...part }).finally(turn.release);
    };
    try {
      const got = await getHeld(get, { budget: memory.kept, caller, signal });
      if (got.item.key === key) return { ...got, again: get };
      got.hold.release();
    } catch (error) {
      const isElsewhere = toStorageError(error).reason === 'IMAGE_NOT_FOUND';
      if (!isElsewhere) failure ??= error;
    }
  }
  throw failure ?? new StorageError('IMAGE_NOT_FOUND', 'no image has this URL');
}

function partAsked({ request }: Exchange, item: StorageItem): Part | 'none' | undefined {
  const { range, 'if-range': ifRange } = request.headers as Record<string, string | undefined>;
  if (!matchesIfRange(ifRange, etagOf(item), lastModifiedOf(item))) return undefined;
  return partOf(range, item.size);
}

function lengthOf({ size }: StorageItem, part: Part | undefined) {
  if (part === undefined) return { 'content-length': size };
  const { offset, length } = part;
  return { 'content-length': length, 'content-range': `bytes ${offset}-${offset + length - 1}/${size}` };
}

function refuseRange({ response }: Exchange, { size }: StorageItem): void {
  sendProblem(response, {
    status: 416,
    code: 'out_of_range',
    reason: 'OFFSET_OUT_OF_RANGE',
    message: `the image has ${size} bytes`,
    headers: { 'content-range': `bytes */${size}` },
  });
}
