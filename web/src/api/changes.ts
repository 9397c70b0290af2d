/** Changes images: pins and tags, deletes that can be taken back, the trash. */
import { callRpc, streamRpc } from './call.ts';
import type { ImageJson, ListJson, RequestOf, ResponseOf } from './contract.ts';
import { type Filters, type Row, rowOf } from './images.ts';
import { requestOf } from './stats.ts';

export type Change = Pick<RequestOf<'update'>, 'pinned' | 'addTags' | 'removeTags'>;

/** Rejects as `callRpc`. */
export async function updateImage({ filename, provider }: Row, change: Change): Promise<ImageJson> {
  const { image } = await callRpc('update', { filename, provider, ...change });
  return image!;
}

/** What a Cleanup is to delete, of one provider: its answers name no other. */
export interface Doomed {
  provider: string;
  selection: NonNullable<RequestOf<'cleanup'>['selection']>;
}

export interface DeletePlan {
  doomed: Doomed;
  count: number;
  bytes: number;
  /** Kept since they are pinned. */
  pinned: number;
  /** Until when it can be taken back, in ms since 1970; undefined: not at all. */
  restorableUntil: number | undefined;
  reasons: { text: string; count: number; bytes: number }[];
}

export interface Deleted {
  filenames: string[];
  restorableUntil: number | undefined;
  /** Spared since they came or were changed after the plan. */
  keptChanged: number;
}

/** At most so many names are in a selection, a Restore or an answer. */
export const MAX_NAMES = 1000;

/** All images of a provider that match, whatever provider the filters have, except these; at most 1,000. */
export function allBut(filters: Filters, provider: string, except: readonly string[]): Doomed {
  const { provider: _, ...narrowing } = requestOf(filters);
  // A daemon refuses a selection that nothing narrows.
  const selection = Object.keys(narrowing).length > 0 ? narrowing : { dateRange: { start: BEGINNING } };
  return { provider, selection: { ...selection, except: [...except] } };
}

/** No image is older. */
const BEGINNING = new Date(0).toISOString();

/** Asks what would go, which binds the delete: what is not in the plan stays. Rejects as `callRpc`. */
export async function planDelete(doomed: Doomed, signal?: AbortSignal): Promise<DeletePlan> {
  const answer = await callRpc('cleanup', { ...doomed, dryRun: true }, signal);
  const { deletedCount, freedBytes, keptPinned, plan, reasons = [] } = answer;
  return {
    doomed: { ...doomed, selection: { ...doomed.selection, plan } },
    count: Number(deletedCount ?? 0),
    bytes: Number(freedBytes ?? 0),
    pinned: Number(keptPinned ?? 0),
    restorableUntil: untilOf(answer),
    reasons: reasons.map(({ text = '', count, bytes }) => ({
      text,
      count: Number(count ?? 0),
      bytes: Number(bytes ?? 0),
    })),
  };
}

/** Deletes in parts, each of as many as its answer can name. Throws as `callRpc` rejects. */
export async function* runDelete({ doomed }: DeletePlan): AsyncGenerator<Deleted> {
  for (;;) {
    const answer = await callRpc('cleanup', { ...doomed, maxDeletes: MAX_NAMES });
    const { filenames = [], keptChanged, more = false } = answer;
    yield { filenames, restorableUntil: untilOf(answer), keptChanged: Number(keptChanged ?? 0) };
    if (!more || filenames.length === 0) return;
  }
}

function untilOf({ restorableUntil }: ResponseOf<'cleanup'>): number | undefined {
  return restorableUntil === undefined ? undefined : Date.parse(restorableUntil);
}

/** An image, as far as a call names it. */
export type ImageName = Pick<Row, 'id' | 'provider' | 'filename'>;

/** Brings images back, and yields the ids of those that are there, in parts. Throws as `callRpc` rejects. */
export async function* restoreImages(images: readonly ImageName[]): AsyncGenerator<string[]> {
  for (const { provider, filenames } of namesByProvider(images)) {
    const { results = [] } = await callRpc('restore', { provider, filenames });
    // Somebody else may have been first.
    const back = results.filter(({ restored, reason }) => restored || reason === 'NOT_DELETED');
    yield back.map(({ filename }) => `${provider}/${filename}`);
  }
}

/** The names of images in parts that a call takes. */
export function namesByProvider(images: readonly ImageName[]): { provider: string; filenames: string[] }[] {
  return [...Map.groupBy(images, ({ provider }) => provider)].flatMap(([provider, own]) =>
    Array.from({ length: Math.ceil(own.length / MAX_NAMES) }, (_, part) => ({
      provider,
      filenames: own.slice(part * MAX_NAMES, (part + 1) * MAX_NAMES).map(({ filename }) => filename),
    })),
  );
}

/** Deletes all that the trash of a provider has for good. Rejects as `callRpc`. */
export async function purgeTrash(provider: string): Promise<void> {
  let isMore = true;
  while (isMore) isMore = (await callRpc('purge', { provider, all: true })).more ?? false;
}

export interface Trashed {
  row: Row;
  /** In ms since 1970. */
  deleteTime: number;
  purgeTime: number;
}

export interface TrashPage {
  images: Trashed[];
  /** Empty where nothing is left. */
  nextPageToken: string;
}

/** The last deleted first. Rejects as `callRpc`. */
export async function listTrash(provider: string, pageToken: string, limit: number): Promise<TrashPage> {
  const answers = await streamRpc<ListJson>('ListTrash', { provider, pageToken, limit });
  const images = answers.flatMap(({ images = [] }) => images);
  return {
    images: images.map((image) => ({
      row: rowOf(image),
      deleteTime: Date.parse(image.deleteTime ?? ''),
      purgeTime: Date.parse(image.purgeTime ?? ''),
    })),
    nextPageToken: answers.at(-1)?.nextPageToken ?? '',
  };
}
