/** The image that is open: which one, where it stands, and the way to its neighbours. */
import { computed, effect, signal } from '@preact/signals';
import { CallError } from '../api/call.ts';
import { describeImage, type Row, rowOf } from '../api/images.ts';
import { ROOT } from '../api/root.ts';
import { countImages } from '../api/stats.ts';
import { focusedIndex, lastOpened } from './focus.ts';
import { rowAt, rowsVersion, shown, total } from './gallery.ts';
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
  const { image } = view.value;
  if (image === '') return undefined;
  return shown.value?.rows.placeOf(idOfOpen());
});

export const openRow = computed((): Row | undefined => {
  const index = openIndex.value;
  const row = index === undefined ? undefined : rowAt(index);
  return row ?? (described.value?.id === idOfOpen() ? described.value : undefined);
});

function idOfOpen(): string {
  const { image, imageProvider, provider } = view.value;
  const known = imageProvider || provider;
  if (known !== '' && known !== '*') return `${known}/${image}`;
  return `${shown.value?.counts.providers[0] ?? described.value?.provider ?? ''}/${image}`;
}

/** An address for an image that restores the view around it, too. */
export function linkTo({ filename, provider }: Row): string {
  return ROOT.href + formatView({ ...view.value, image: filename, imageProvider: providerOf(provider) });
}

/** Empty where it is the one of the filters. */
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

export function openNeighbour(by: number): void {
  const index = openIndex.value;
  if (index === undefined || index + by < 0 || index + by >= total.value) return;
  openAt(index + by);
}

export function closeImage(): void {
  stepBack({ image: '', imageProvider: '', isAlone: false });
}

/** Begins to find what a link has opened. */
export function startOpen(): void {
  effect(() => {
    const { image, imageProvider, provider } = view.value;
    openProblem.value = undefined;
    if (image === '' || openIndex.value !== undefined) return;
    const abort = new AbortController();
    find(image, imageProvider || (provider === '*' ? '' : provider), abort.signal);
    return () => abort.abort();
  });
}

async function find(filename: string, provider: string, signal: AbortSignal): Promise<void> {
  try {
    const row = rowOf(await describeImage(filename, provider, signal));
    if (signal.aborted) return;
    described.value = row;
  } catch (error) {
    if (!signal.aborted && error instanceof CallError) openProblem.value = error;
  }
}

/** Reads the rows around an image whose place is not known: as many are before it as are newer, or older. */
export async function placeOf(row: Row, signal?: AbortSignal): Promise<number | undefined> {
  const at = shown.value;
  if (at === undefined) return undefined;
  const isOldestFirst = at.selector.order === 'oldest';
  const edge = new Date(row.timestamp + (isOldestFirst ? 0 : 1)).toISOString();
  const bound = [isOldestFirst ? 'dateRange.end' : 'dateRange.start', edge] as const;
  const { matching } = await countImages([...filtersOf(at.selector), bound], {}, signal);
  return matching;
}
