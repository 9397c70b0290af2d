/** What the view shows: counts its images, reads their rows, and says how that stands. */
import { computed, effect, signal, untracked } from '@preact/signals';
import type { CallError } from '../api/call.ts';
import { listRows, type Row } from '../api/images.ts';
import { type Counts, countImages } from '../api/stats.ts';
import { countToTheEnd } from './counting.ts';
import { focusedIndex } from './focus.ts';
import { createLayout, type Layout } from './layout.ts';
import { boundsOf, Rows } from './rows.ts';
import { type Bounds, filtersOf, type Selector } from './url.ts';
import { selector } from './view.ts';

export interface Shown {
  selector: Selector;
  counts: Counts;
  rows: Rows;
}

const MAX_DAYS = 10_000;
/** About the first screen. */
const FIRST_ROWS = 120;

/** What is on the screen: of the selector before, until that of the new one is counted. */
export const shown = signal<Shown | undefined>(undefined);
/** Grows when there are more rows, or others. */
export const rowsVersion = signal(0);
/** Of what stands between the reader and the images; undefined: nothing. */
export const problem = signal<CallError | undefined>(undefined);
export const isLoading = signal(true);

export const total = computed(() => shown.value?.rows.layout.total ?? 0);

let loading: AbortController | undefined;

/** Undefined: not read yet. Whoever renders it is rendered again when it comes. */
export function rowAt(index: number): Row | undefined {
  rowsVersion.value;
  return shown.value?.rows.at(index);
}

/** The nearest place in a direction that is not known to be empty, and that is wanted; undefined: none. */
export function nextPlace(
  index: number,
  by: 1 | -1,
  isWanted: (place: number) => boolean = () => true,
): number | undefined {
  const rows = shown.value?.rows;
  for (let place = index + by; place >= 0 && place < total.value; place += by) {
    if (!rows?.isEmpty(place) && isWanted(place)) return place;
  }
  return undefined;
}

/** Shows a changed image at once, wherever it is shown. */
export function replaceRow(row: Row): void {
  shown.value?.rows.replace(row);
}

/** Counts and reads again, such as after an error or when there is something new. */
export async function reload(): Promise<void> {
  const asked = selector.peek();
  loading?.abort();
  const abort = new AbortController();
  loading = abort;
  isLoading.value = true;
  try {
    const next = await load(asked, abort.signal);
    if (abort.signal.aborted) return;
    show(next);
    rowsVersion.value += 1;
    problem.value = undefined;
    if (next.counts.isPartial) void countOn(next, abort.signal);
  } catch (error) {
    if (!abort.signal.aborted) problem.value = error as CallError;
  } finally {
    if (!abort.signal.aborted) isLoading.value = false;
  }
}

/** The image that the keyboard is at keeps it, wherever it stands now. */
function show(next: Shown): void {
  const before = shown.peek();
  before?.rows.close();
  const focused = before?.selector === next.selector ? before.rows.at(focusedIndex.peek()) : undefined;
  shown.value = next;
  if (focused !== undefined) focusedIndex.value = next.rows.placeOf(focused.id) ?? -1;
}

async function load(asked: Selector, signal: AbortSignal): Promise<Shown> {
  const filters = filtersOf(asked);
  const oldestFirst = asked.order === 'oldest';
  const beginning = listRows({ filters, oldestFirst, limit: FIRST_ROWS, pageToken: '' }, signal);
  // Awaited below; until then nobody hears that it failed.
  beginning.catch(() => undefined);
  const first = await countDays(asked, {}, signal);
  // The oldest come last in the answer, but first on the screen.
  const counts = oldestFirst ? await countToTheEnd(first, (within) => countDays(asked, within, signal)) : first;
  const page = await beginning;
  const layout = layoutOf(counts, asked, page.rows.length);
  const rows = new Rows({
    layout,
    fetchPage: (run, signal) => {
      const { limit, pageToken, isBackward } = run;
      const filters = filtersOf(asked, boundsOf(run, oldestFirst));
      return listRows({ filters, oldestFirst: oldestFirst !== isBackward, limit, pageToken }, signal);
    },
    onRows: () => {
      rowsVersion.value += 1;
    },
    onError: (error) => {
      problem.value = error as CallError;
    },
  });
  rows.begin(page);
  return { selector: asked, counts, rows };
}

function countDays(asked: Selector, within: Bounds, signal: AbortSignal): Promise<Counts> {
  return countImages(filtersOf(asked, within), { by: 'GROUP_BY_DAY', limit: MAX_DAYS }, signal);
}

/** Where all that match could not be counted at once: the older ones come to the end. */
async function countOn({ selector: asked, counts, rows }: Shown, signal: AbortSignal): Promise<void> {
  try {
    const whole = await countToTheEnd(counts, (within) => countDays(asked, within, signal));
    if (signal.aborted) return;
    rows.grow(layoutOf(whole, asked, 0));
    shown.value = { selector: asked, counts: whole, rows };
  } catch (error) {
    if (!signal.aborted) problem.value = error as CallError;
  }
}

/** An older daemon counts nothing: then there is as much as was read. */
function layoutOf({ groups, matching }: Counts, { order }: Selector, read: number): Layout {
  if (matching === undefined) return createLayout([{ name: '', count: read }]);
  return createLayout(order === 'oldest' ? groups.toReversed() : groups);
}

const RETRY_MS = 5_000;

/** Begins to follow the selector, and to ask again where no answer came. */
export function startGallery(): void {
  effect(() => {
    const { isOffline = false, retryAfterMs = isOffline ? RETRY_MS : undefined } = problem.value ?? {};
    if (retryAfterMs === undefined) return;
    const timer = setTimeout(() => void reload(), retryAfterMs);
    return () => clearTimeout(timer);
  });
  effect(() => {
    selector.value;
    untracked(() => void reload());
  });
}
