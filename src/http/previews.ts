/** Answers with a preview of an image; where there is none, with the image itself if it is small, else with a grey surface. */
import type { OutgoingHttpHeaders } from 'node:http';
import { holdForCall } from '../rpc/answers.ts';
import type { CallMemory } from '../rpc/memory.ts';
import { Budget } from '../storage/async/budget.ts';
import { invalidField } from '../storage/domain/errors.ts';
import type { StorageItem, StoredImage } from '../storage/domain/image.ts';
import {
  PREVIEW_TYPE,
  type PreviewSource,
  type PreviewWidth,
  previewName,
  previewWidthOf,
} from '../storage/domain/preview.ts';
import { begin, cut } from './errors.ts';
import { etagOf, type HeaderOptions, imageHeaders } from './image-headers.ts';
import type { Exchange } from './plain-routes.ts';
import { isNotModified } from './ranges.ts';
import { sendBody, UNREAD_MS } from './send-body.ts';

/** Up to here an image is as good as its preview. */
const SMALL_BYTES = 300_000;
const SMALL_PIXELS = 1_000_000;
/** How long what stands for a preview may be kept, in seconds: soon there may be one. */
const STANDING_IN_SECONDS = 60;
/** A grey surface of 32 × 32 pixels. */
const PLACEHOLDER = Buffer.from('UklGRh4AAABXRUJQVlA4TBEAAAAvH8AHAAdQwAIWsP+BiOh/AAA=', 'base64');

/** Previews that are read at once: what is read is not held yet. */
const READS_AT_ONCE = 32;

/** Where previews come from. */
export interface PreviewMaker {
  /** Returns a preview that was made before, or undefined. */
  find(image: PreviewSource, width: PreviewWidth): Promise<Uint8Array | undefined>;
  /** Returns undefined where none can be made. Rejects as a read of the image. */
  make(image: PreviewSource, width: PreviewWidth, signal: AbortSignal): Promise<Uint8Array | undefined>;
}

export interface PreviewOptions {
  previews: PreviewMaker;
  memory: CallMemory;
}

const reading = new Budget(READS_AT_ONCE);

export interface PreviewedImage {
  image: Omit<StorageItem, 'metadata' | 'generation'>;
  /** Gets the image again, with its bytes. */
  again(): Promise<StoredImage>;
}

/** Returns the width that the query asks for, of those that are made; undefined: the image itself. Throws FIELD_INVALID. */
export function widthAsked(query: URLSearchParams): PreviewWidth | undefined {
  const width = query.get('width');
  if (width === null) return undefined;
  if (!/^[1-9]\d{0,5}$/.test(width)) throw invalidField('width', 'must be a whole number of pixels, at least 1');
  return previewWidthOf(Number(width));
}

export async function answerPreview(
  exchange: Exchange,
  { image, again }: PreviewedImage,
  width: PreviewWidth,
  given: HeaderOptions,
  { previews, memory }: PreviewOptions,
): Promise<void> {
  const { request, response, signal, caller } = exchange;
  const receiver = { budget: memory.kept, caller, signal };
  const { size, contentType } = image;
  const headers = previewHeaders(image, width, given);
  if (isNotModified(request.headers, headers.etag, image.createTime)) {
    begin(response, 304, headers);
    response.end();
    return;
  }
  const { release } = await reading.hold(caller, 1, { signal });
  try {
    const kept = await previews.find(image, width);
    if (kept !== undefined) {
      await holdForCall(kept.length, receiver);
      return send(exchange, headers, kept);
    }
  } finally {
    release();
  }
  const made = await previews.make(image, width, signal);
  if (made !== undefined) {
    await holdForCall(made.length, receiver);
    return send(exchange, headers, made);
  }
  if (size > SMALL_BYTES || image.width * image.height > SMALL_PIXELS) {
    return send(exchange, standIn(headers, given), PLACEHOLDER);
  }
  begin(response, 200, {
    ...standIn(headers, given),
    'content-type': contentType,
    'content-length': size,
    etag: etagOf(image),
  });
  if (request.method === 'HEAD') response.end();
  else await sendBody({ response, caller, signal }, await again(), size, memory);
}

/** One that is not read is cut: what it keeps, others wait for. */
function send({ request, response }: Exchange, headers: OutgoingHttpHeaders, bytes: Uint8Array): void {
  begin(response, 200, { ...headers, 'content-length': bytes.length });
  const stalled = setTimeout(cut, UNREAD_MS, response);
  response.once('close', () => clearTimeout(stalled));
  response.end(request.method === 'HEAD' ? '' : bytes);
}

function previewHeaders(image: PreviewedImage['image'], width: PreviewWidth, options: HeaderOptions) {
  const name = `${image.filename.replace(/\.\w+$/, '')}-w${width}.webp`;
  const { 'accept-ranges': _, ...headers } = imageHeaders({ ...image, filename: name }, options);
  return { ...headers, 'content-type': PREVIEW_TYPE, etag: `"${previewName(image.sha256, width)}"` };
}

/** The headers of what is served in place of a preview. */
function standIn(headers: OutgoingHttpHeaders, { grant }: HeaderOptions): OutgoingHttpHeaders {
  const { etag: _, 'last-modified': __, ...others } = headers;
  const who = grant.publicSeconds === undefined ? 'private' : 'public';
  if (headers['cache-control'] === 'no-store') return others;
  return { ...others, 'cache-control': `${who}, max-age=${STANDING_IN_SECONDS}, no-transform` };
}
