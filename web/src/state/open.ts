/** The image that is open: which one, where it stands, and the way to its neighbours. */
import { computed, effect, signal } from '@preact/signals';
import { CallError } from '../api/call.ts';
import { describeImage, type Row, rowOf } from '../api/images.ts';
import { ROOT } from '../api/root.ts';
import { countImages } from '../api/stats.ts';
import { focusedIndex, lastOpened } from './focus.ts';
import { nextPlace, rowAt, rowsVersion, type Shown, shown } from './gallery.ts';
import { DAY_MS, dayNameOf, startOf } from './layout.ts';
import { filtersOf, formatView } from './url.ts';
import { changeView, stepBack, view } from './view.ts';

/** Read by itself, where the image was opened by a link. */
const described = signal<Row | undefined>(undefined);
/** There is no such image, or the daemon does not say. */
export const openProblem = signal<CallError | undefined>(undefined);

export const isOpen = computed(() => view.value.image !== '');

/** The place of the open image among the rows; undefined: not known, or not among them. */
export const openIndex = computed((): number | undefined => {
  rowsVersion.value;
  return isOpen.value ? shown.value?.rows.placeOf(idOfOpen()) : undefined;
});

export const openRow = computed((): Row | undefined => {
  const index = openIndex.value;
  const row = index === undefined ? undefined : rowAt(index);
  return row ?? (described.value?.id === idOfOpen() ? described.value : undefined);
});

/** Takes a changed image, where it is the one that was read by itself. */
export function replaceOpen(row: Row): void {
  if (described.peek()?.id === row.id) described.value = row;
}

function idOfOpen(): string {
  const { image, imageProvider, provider } = view.value;
  const known = imageProvider || provider;
  const own = described.value?.filename === image ? described.value.provider : shown.value?.counts.providers[0];
  return `${known === '' || known === '*' ? (own ?? '') : known}/${image}`;
}

/** An address for an image that restores the view around it, too. */
export function linkTo({ filename, provider }: Row): string {
  return ROOT.href + formatView({ ...view.value, image: filename, imageProvider: providerOf(provider) });
}

/** Where it is not clear by the filters. */
function providerOf(provider: string): string {
  return view.value.provider === '*' ? provider : view.value.provider;
}

/** Opens the image at a place; a further one replaces the step, so that Back leads to the grid. */
export function openAt(index: number): void {
  const row = rowAt(index);
  if (row === undefined) return;
  focusedIndex.value = index;
  lastOpened.value = row.id;
  const change = { image: row.filename, imageProvider: providerOf(row.provider), isAlone: false };
  changeView(change, isOpen.value ? 'replace' : 'push');
}

/** Opens an image of which nothing else is known, such as one that was just saved. */
export function openNamed({ filename, provider }: Pick<Row, 'filename' | 'provider'>): void {
  changeView({ image: filename, imageProvider: providerOf(provider), isAlone: false });
}

export function openNeighbour(by: 1 | -1): void {
  const index = openIndex.value;
  const next = index === undefined ? undefined : nextPlace(index, by);
  if (next !== undefined) openAt(next);
}

export function closeImage(): void {
  stepBack({ image: '', imageProvider: '', isAlone: false });
}

/** Begins to find what a link has opened. */
export function startOpen(): void {
  const isUnknown = computed(() => isOpen.value && openRow.value === undefined);
  effect(() => {
    openProblem.value = undefined;
    if (!isUnknown.value) return;
    const abort = new AbortController();
    void describe(abort.signal);
    return () => abort.abort();
  });
  const isUnplaced = computed(() => isOpen.value && openIndex.value === undefined);
  effect(() => {
    const row = isUnplaced.value ? openRow.value : undefined;
    const among = shown.value;
    if (row === undefined || among === undefined) return;
    const abort = new AbortController();
    void goTo(row, among, abort.signal);
    return () => abort.abort();
  });
}

async function describe(signal: AbortSignal): Promise<void> {
  const { image, imageProvider, provider } = view.peek();
  try {
    const named = imageProvider || (provider === '*' ? '' : provider);
    const row = rowOf(await describeImage(image, named, signal));
    if (!signal.aborted) described.value = row;
  } catch (error) {
    if (!signal.aborted && error instanceof CallError) openProblem.value = error;
  }
}

/** The grid follows the focus, and reads the rows around it: then the image is found among them. */
async function goTo(row: Row, among: Shown, signal: AbortSignal): Promise<void> {
  const place = await placeAmong(row, among, signal).catch(() => undefined);
  if (signal.aborted || place === undefined || place >= among.rows.layout.total) return;
  focusedIndex.value = place;
  lastOpened.value = row.id;
}

/** As many of its day stand before an image as are newer, or older. Of the same time, it may be any. */
async function placeAmong(row: Row, { selector, rows }: Shown, signal: AbortSignal): Promise<number | undefined> {
  const day = rows.layout.days.find(({ name }) => name === dayNameOf(row.timestamp));
  if (day === undefined) return undefined;
  const start = startOf(day);
  const bounds =
    selector.order === 'oldest' ? { start, end: row.timestamp } : { start: row.timestamp + 1, end: start + DAY_MS };
  return day.first + ((await countImages(filtersOf(selector, bounds), {}, signal)).matching ?? 0);
}
