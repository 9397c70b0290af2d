/** Lists over one provider or several: merges their pages in one order and makes page tokens. */
import { OneByOne } from '../async/one-by-one.ts';
import { resolveRange } from '../domain/dates.ts';
import { invalidField } from '../domain/errors.ts';
import { checkFilter } from '../domain/filter.ts';
import type { StorageItem } from '../domain/image.ts';
import type {
  ImageQuery,
  Instant,
  ItemPage,
  ListOptions,
  Page,
  Position,
  Resume,
  TrashOptions,
} from '../domain/requests.ts';
import { checkCount } from '../domain/validation.ts';
import type { ImageList, PageReader, StorageProvider } from '../types.ts';
import { decodeToken, encodeToken, type PlaceInOrder, scopeOf } from './page-token.ts';

const DEFAULT_PAGE_SIZE = 100;
const MAX_PAGE_SIZE = 1000;
/** Leaves room for framing below the 1 MiB that a batch may have. */
const MAX_PAGE_BYTES = 1000 * 1024;
/** What an item takes besides its text: numbers, hash, times, and the tags and lengths of 64 labels. */
const ITEM_OVERHEAD_BYTES = 512;

/** Of all lists of the process: calls that are soon done do not wait for several pages. */
const turns = new OneByOne();

type Options = ListOptions<Instant> & { place?: 'trash' };
type TrashReader = Pick<StorageProvider, 'name' | 'readTrash'>;

/** Returns the list over these providers. Reads nothing before it is awaited or iterated; ages count from then. */
export function createListing(providers: () => readonly PageReader[], options: Options, now: () => number): ImageList {
  const pages = () => readPages(providers, options, now);
  return {
    pages,
    async *[Symbol.asyncIterator]() {
      for await (const page of pages()) yield* page.items;
    },
    // biome-ignore lint/suspicious/noThenProperty: `await storage.list()` is part of the contract
    then(resolve, reject) {
      return all(pages()).then(resolve, reject);
    },
  };
}

/** Returns the list of the trash of these providers, the last deleted first. */
export function createTrashListing(
  providers: () => readonly TrashReader[],
  { query = '', ...options }: TrashOptions,
  now: () => number,
): ImageList {
  const readers = () =>
    providers().map((provider): PageReader => {
      const readPage: PageReader['readPage'] = (_, ...request) => provider.readTrash(query, ...request);
      return { name: provider.name, readPage };
    });
  return createListing(readers, { ...options, query, place: 'trash' }, now);
}

async function all(pages: AsyncIterable<Page>): Promise<StorageItem[]> {
  const items: StorageItem[] = [];
  for await (const page of pages) for (const item of page.items) items.push(item);
  return items;
}

async function* readPages(
  open: () => readonly PageReader[],
  options: Options,
  now: () => number,
): AsyncGenerator<Page> {
  const query = checkedQuery(options, new Date(now()));
  const providers = open();
  const scope = scopeOf(
    options,
    providers.map(({ name }) => name),
  );
  const place = options.pageToken ? decodeToken(options.pageToken, scope) : undefined;
  const pageSize = options.pageSize || DEFAULT_PAGE_SIZE;
  const heads = providers.map((provider) => {
    const after = place && resumeOf(provider.name, place, options);
    return new Head(provider, query, pageSize, after);
  });
  for (let left = options.limit || Number.POSITIVE_INFINITY, isFirst = true; left > 0; isFirst = false) {
    await turns.next(isFirst);
    const items = await nextItems(heads, Math.min(pageSize, left), options);
    const last = items.at(-1);
    if (last === undefined) return;
    left -= items.length;
    const isLast = heads.every((head) => head.isAtEnd);
    if (left > 0 && !isLast) for (const head of heads) head.readAhead();
    yield { items, nextPageToken: isLast ? '' : encodeToken(placeOf(last), scope) };
    if (isLast) return;
  }
}

async function nextItems(heads: Head[], count: number, options: Options): Promise<StorageItem[]> {
  const items: StorageItem[] = [];
  for (let bytes = 0; items.length < count; ) {
    // Awaits only between pages: a promise per item would be most of the cost of a list.
    if (heads.some((head) => head.isUnread)) await fill(heads);
    const first = firstOf(heads, options);
    if (first === undefined) break;
    bytes += itemBytes(first.item!);
    if (items.length > 0 && bytes > MAX_PAGE_BYTES) break;
    items.push(first.item!);
    first.take();
  }
  return items;
}

async function fill(heads: Head[]): Promise<void> {
  for (const head of heads) if (head.isUnread) await head.read();
}

function firstOf(heads: Head[], options: Options): Head | undefined {
  let best: Head | undefined;
  for (const head of heads) {
    if (head.item !== undefined && (best === undefined || precedes(head.item, best.item!, options))) best = head;
  }
  return best;
}

/** Reads the images of one provider page by page, the next one ahead; `item` is the next unread one. */
class Head {
  #items: StorageItem[] = [];
  #next = 0;
  #after: Resume | undefined;
  #more = true;
  #ahead: Promise<ItemPage> | undefined;
  readonly #provider: PageReader;
  readonly #query: ImageQuery;
  readonly #pageSize: number;

  constructor(provider: PageReader, query: ImageQuery, pageSize: number, after: Resume | undefined) {
    this.#provider = provider;
    this.#query = query;
    this.#pageSize = pageSize;
    this.#after = after;
  }

  /** The next item; undefined at the end, and while `isUnread`. */
  get item(): StorageItem | undefined {
    return this.#items[this.#next];
  }

  get isUnread(): boolean {
    return this.item === undefined && this.#more;
  }

  get isAtEnd(): boolean {
    return this.item === undefined && !this.#more;
  }

  take(): void {
    this.#next += 1;
  }

  /** Begins to read the next page where the last one is used up. */
  readAhead(): void {
    if (!this.isUnread || this.#ahead !== undefined) return;
    this.#ahead = this.#provider.readPage(this.#query, this.#after, this.#pageSize, MAX_PAGE_BYTES);
    // Whoever reads it meets its failure; a list that is left does not.
    this.#ahead.catch(() => {});
  }

  async read(): Promise<void> {
    this.readAhead();
    const { items, more } = await this.#ahead!;
    this.#ahead = undefined;
    this.#items = items;
    this.#next = 0;
    this.#more = more;
    const last = items.at(-1);
    if (last !== undefined) this.#after = positionOf(last);
  }
}

function positionOf(item: StorageItem): Position {
  // The trash lists by the time of the delete.
  const { deleteTime = item.metadata.timestamp } = item;
  return { timestamp: deleteTime.getTime(), filename: item.filename };
}

/** Orders by (timestamp, filename, provider), descending for newest first. */
function precedes(a: StorageItem, b: StorageItem, options: Options): boolean {
  const [x, y] = [positionOf(a), positionOf(b)];
  const order = x.timestamp - y.timestamp || compare(x.filename, y.filename) || compare(a.provider, b.provider);
  return options.order === 'oldest' ? order < 0 : order > 0;
}

function compare(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}

function itemBytes({ url, path = '', key, filename, provider, metadata }: StorageItem): number {
  const { prompt, model, category, parametersJson, tags } = metadata;
  const texts = [url, path, key, filename, provider, prompt, model, category, parametersJson, ...tags];
  return texts.reduce((sum, text) => sum + Buffer.byteLength(text), ITEM_OVERHEAD_BYTES);
}

function placeOf(item: StorageItem): PlaceInOrder {
  const { timestamp, filename } = positionOf(item);
  return [timestamp, filename, item.provider];
}

function resumeOf(provider: string, [timestamp, filename, lastProvider]: PlaceInOrder, options: Options): Resume {
  const behind = options.order === 'oldest' ? provider > lastProvider : provider < lastProvider;
  return { timestamp, filename, inclusive: behind };
}

/** Returns the options with their dates resolved. Throws FIELD_INVALID, which names the field. */
function checkedQuery(options: Options, now: Date): ImageQuery {
  checkFilter(options);
  const dateRange = options.dateRange === undefined ? undefined : resolveRange(options.dateRange, now);
  if (!['newest', 'oldest', undefined].includes(options.order)) throw invalidField('order', 'must be newest or oldest');
  if (!['full', 'row', undefined].includes(options.view)) throw invalidField('view', 'must be full or row');
  checkCount('limit', options.limit ?? 0);
  if (checkCount('batch_size', options.pageSize ?? 0) > MAX_PAGE_SIZE) {
    throw invalidField('batch_size', `at most ${MAX_PAGE_SIZE}`);
  }
  return { ...options, dateRange };
}
