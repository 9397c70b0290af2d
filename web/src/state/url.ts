/** What the page shows, as a value, and as the address that restores it. */

export type Density = 'small' | 'medium' | 'large' | 'list';
export type Order = 'newest' | 'oldest';

export interface View {
  /** In the daemon's grammar. */
  query: string;
  /** Empty: the default one; `*`: all. */
  provider: string;
  model: string;
  category: string;
  tags: readonly string[];
  pinned: boolean | undefined;
  /** Days (UTC) as YYYY-MM-DD, both included; empty: without a bound. */
  since: string;
  until: string;
  order: Order;
  /** Undefined: as the settings have it. */
  density: Density | undefined;
  /** The image that is open; empty: none. */
  image: string;
  /** Of the open image, where it is not the one of the filters. */
  imageProvider: string;
  /** Whether the image was asked for by its own page. */
  isAlone: boolean;
  /** Ids of the two images that are side by side, or none. */
  compared: readonly string[];
  /** Which of these is over the grid. */
  isCharts: boolean;
  isTrash: boolean;
  isCleanup: boolean;
}

/** What a reader of the page chooses, and what a link restores: all but what only adds to it. */
export type Selector = Pick<
  View,
  'query' | 'provider' | 'model' | 'category' | 'tags' | 'pinned' | 'since' | 'until' | 'order'
>;

export const EMPTY_VIEW: View = {
  query: '',
  provider: '',
  model: '',
  category: '',
  tags: [],
  pinned: undefined,
  since: '',
  until: '',
  order: 'newest',
  density: undefined,
  image: '',
  imageProvider: '',
  isAlone: false,
  compared: [],
  isCharts: false,
  isTrash: false,
  isCleanup: false,
};

const DENSITIES: readonly string[] = ['small', 'medium', 'large', 'list'] satisfies Density[];
const DAY = /^\d{4}-\d\d-\d\d$/;
const ALONE = /^i\/([^/]+)$/;

/** `path` is below the page's root. What no view has is left out. */
export function parseView(path: string, search: string): View {
  const parameters = new URLSearchParams(search);
  const text = (name: string) => parameters.get(name) ?? '';
  const day = (name: string) => (DAY.test(text(name)) ? text(name) : '');
  const [, alone] = ALONE.exec(path) ?? [];
  const density = text('density');
  return {
    query: text('q'),
    provider: alone === undefined ? text('provider') : '',
    model: text('model'),
    category: text('category'),
    tags: parameters.getAll('tag'),
    pinned: { '1': true, '0': false }[text('pinned')],
    since: day('since'),
    until: day('until'),
    order: text('order') === 'oldest' ? 'oldest' : 'newest',
    density: DENSITIES.includes(density) ? (density as Density) : undefined,
    image: alone === undefined ? text('image') : decoded(alone),
    imageProvider: alone === undefined ? text('in') : text('provider'),
    isAlone: alone !== undefined,
    compared: parameters.getAll('compare').slice(0, 2),
    isCharts: parameters.has('charts'),
    isTrash: parameters.has('trash'),
    isCleanup: parameters.has('cleanup'),
  };
}

/** Returns a path below the page's root, with what the view has. */
export function formatView(view: View): string {
  const parameters = new URLSearchParams();
  const set = (name: string, value: string) => value !== '' && parameters.append(name, value);
  if (view.isAlone) {
    set('provider', view.imageProvider);
    return withQuery(`i/${encodeURIComponent(view.image)}`, parameters);
  }
  set('q', view.query);
  set('provider', view.provider);
  set('model', view.model);
  set('category', view.category);
  for (const tag of view.tags) set('tag', tag);
  if (view.pinned !== undefined) set('pinned', view.pinned ? '1' : '0');
  set('since', view.since);
  set('until', view.until);
  if (view.order !== 'newest') set('order', view.order);
  set('density', view.density ?? '');
  for (const id of view.compared) set('compare', id);
  if (view.isCharts) set('charts', '1');
  if (view.isTrash) set('trash', '1');
  if (view.isCleanup) set('cleanup', '1');
  set('image', view.image);
  if (view.image !== '' && view.imageProvider !== view.provider) set('in', view.imageProvider);
  return withQuery('', parameters);
}

function withQuery(path: string, parameters: URLSearchParams): string {
  return parameters.size === 0 ? path : `${path}?${parameters}`;
}

/** As it is where it is not encoded. */
export function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** ms since 1970: from `start`, to before `end`. */
export interface Bounds {
  start?: number;
  end?: number;
}

/** The filters of a List or Stats, by the contract's names; with bounds, only of what is within them, too. */
export function filtersOf(view: Selector, bounds: Bounds = {}): [name: string, value: string][] {
  const filters: [string, string][] = [];
  const set = (name: string, value: string) => value !== '' && filters.push([name, value]);
  set('provider', view.provider);
  set('query', view.query.trim());
  set('model', view.model);
  set('category', view.category);
  for (const tag of view.tags) set('tags', tag);
  if (view.pinned !== undefined) set('pinned', `${view.pinned}`);
  const start = Math.max(Date.parse(view.since) || -Infinity, bounds.start ?? -Infinity);
  const end = Math.min(Date.parse(view.until) + DAY_MS || Infinity, bounds.end ?? Infinity);
  if (Number.isFinite(start)) set('dateRange.start', new Date(start).toISOString());
  if (Number.isFinite(end)) set('dateRange.end', new Date(end).toISOString());
  return filters;
}

const DAY_MS = 24 * 60 * 60 * 1000;
