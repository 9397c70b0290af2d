/** Reads images: rows of a list, one image whole, and where their bytes are. */
import { getJson } from './call.ts';
import type { ImageJson, ListJson } from './contract.ts';
import { urlOf } from './root.ts';

/** What the grid knows of an image. */
export interface Row {
  /** Names it among all providers. */
  id: string;
  filename: string;
  provider: string;
  key: string;
  /** Perhaps only its beginning. */
  prompt: string;
  model: string;
  category: string;
  tags: readonly string[];
  /** ms since 1970. */
  timestamp: number;
  width: number;
  height: number;
  sizeBytes: number;
  contentType: string;
  pinned: boolean;
  seed: string;
  /** Base64; empty where there is none. */
  thumbHash: string;
}

/** Names of the contract, such as `query` and `tags`. */
export type Filters = readonly (readonly [name: string, value: string])[];

export interface PageAsked {
  filters: Filters;
  oldestFirst: boolean;
  limit: number;
  pageToken: string;
}

export interface Page {
  rows: Row[];
  /** Empty where nothing is left. */
  nextPageToken: string;
}

/** The widths in which a daemon makes previews. */
export type PreviewWidth = 320 | 640 | 1440;

/** Rejects as `getJson`. */
export async function listRows(asked: PageAsked, signal?: AbortSignal): Promise<Page> {
  const { images = [], nextPageToken = '' } = await getJson<ListJson>('images', parametersOf(asked), signal);
  return { rows: images.map(rowOf), nextPageToken };
}

function parametersOf({ filters, oldestFirst, limit, pageToken }: PageAsked): URLSearchParams {
  const parameters = new URLSearchParams(filters.map(([name, value]) => [name, value]));
  if (oldestFirst) parameters.set('order', 'ORDER_OLDEST_FIRST');
  parameters.set('view', 'ROW');
  parameters.set('limit', `${limit}`);
  if (pageToken !== '') parameters.set('pageToken', pageToken);
  return parameters;
}

export interface Hint {
  /** `model`, `category` or `tag`. */
  field: string;
  values: readonly string[];
}

/** What there is instead of what no image has. Rejects as `getJson`. */
export async function listHints(filters: Filters, signal?: AbortSignal): Promise<Hint[]> {
  const parameters = new URLSearchParams([...filters.map(([name, value]) => [name, value]), ['hints', 'true']]);
  const { hints = [] } = await getJson<ListJson>('images', parameters, signal);
  return hints.map(({ field = '', values = [] }) => ({ field, values }));
}

/** As a list cuts it, so that a long one is long nowhere but in the details. */
const MAX_PROMPT = 300;

/** Rejects as `getJson`. */
export function describeImage(filename: string, provider: string, signal?: AbortSignal): Promise<ImageJson> {
  const parameters = new URLSearchParams(provider === '' ? {} : { provider });
  return getJson<ImageJson>(`images/${encodeURIComponent(filename)}`, parameters, signal);
}

export function rowOf(image: ImageJson): Row {
  const { filename = '', provider = '', key = '', metadata = {}, generation, size, thumbHash = '' } = image;
  return {
    id: `${provider}/${filename}`,
    filename,
    provider,
    key,
    prompt: (metadata.prompt ?? '').trim().slice(0, MAX_PROMPT),
    model: metadata.model ?? '',
    category: metadata.category ?? '',
    tags: metadata.tags ?? [],
    timestamp: Date.parse(metadata.timestamp ?? ''),
    width: image.width ?? 0,
    height: image.height ?? 0,
    sizeBytes: Number(size ?? 0),
    contentType: image.contentType ?? '',
    pinned: image.pinned ?? false,
    seed: generation?.seed ?? '',
    thumbHash,
  };
}

/** By its key rather than its `url`, which may lie at another host; the daemon serves those of all its providers. */
export function originalUrl({ key, provider }: Row, parameters: Record<string, string> = {}): string {
  return urlOf(key, new URLSearchParams({ provider, ...parameters }));
}

/** The original itself where the daemon makes no previews. */
export function previewUrl(row: Row, width: PreviewWidth): string {
  return originalUrl(row, { width: `${width}` });
}
