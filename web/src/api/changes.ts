/** Changes images: pins and tags, deletes that can be taken back, the trash. */
import { callRpc, streamRpc } from './call.ts';
import type { ListJson, RequestOf, ResponseOf } from './contract.ts';
import { type Filters, type Row, rowOf } from './images.ts';
import { requestOf } from './stats.ts';

export type Change = Pick<RequestOf<'update'>, 'pinned' | 'addTags' | 'removeTags'>;

/** Rejects as `callRpc`. */
export async function updateImage({ filename, provider }: Row, change: Change): Promise<Row> {
  const { image } = await callRpc('update', { filename, provider, ...change });
  return rowOf(image!);
}

/** What a Cleanup is to delete: all that match, of one provider or of all. */
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
  count: number;
  /** The first 1,000. */
  filenames: string[];
  restorableUntil: number | undefined;
}

/** At most so many names are in one selection. */
export const MAX_NAMES = 1000;

/** Only these images; at most 1,000. */
export function onlyThese(provider: string, filenames: readonly string[]): Doomed {
  return { provider, selection: { only: [...filenames] } };
}

/** All that match, except these; at most 1,000. */
export function allBut(filters: Filters, except: readonly string[]): Doomed {
  const { provider = '', ...selection } = requestOf(filters);
  return { provider, selection: { ...selection, except: [...except] } };
}

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

/** Rejects as `callRpc`. */
export async function runDelete({ doomed }: DeletePlan): Promise<Deleted> {
  const answer = await callRpc('cleanup', doomed);
  const { deletedCount, filenames = [] } = answer;
  return { count: Number(deletedCount ?? 0), filenames, restorableUntil: untilOf(answer) };
}

function untilOf({ restorableUntil }: ResponseOf<'cleanup'>): number | undefined {
  return restorableUntil === undefined ? undefined : Date.parse(restorableUntil);
}

/** Returns the filenames that are back. Rejects as `callRpc`. */
export async function restoreImages(provider: string, filenames: readonly string[]): Promise<string[]> {
  const { results = [] } = await callRpc('restore', { provider, filenames: [...filenames] });
  return results.flatMap(({ filename = '', restored }) => (restored ? [filename] : []));
}

/** Deletes images of the trash for good; without filenames, all of them. Returns how many. Rejects as `callRpc`. */
export async function purgeImages(provider: string, filenames?: readonly string[]): Promise<number> {
  const chosen = filenames === undefined ? { all: true } : { filenames: [...filenames] };
  const { count } = await callRpc('purge', { provider, ...chosen });
  return Number(count ?? 0);
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
