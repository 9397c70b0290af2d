/** What a provider reads from its catalog over all images: lists, the trash, totals. */

import type { ImageIndex } from '../catalog/catalog.ts';
import { folded } from '../domain/errors.ts';
import { generationOf } from '../domain/generation.ts';
import type { StorageItem } from '../domain/image.ts';
import type { ImageRecord, StoredRecord } from '../domain/record.ts';
import type {
  ImageFilter,
  ImageQuery,
  ItemPage,
  ListOptions,
  Resume,
  Totals,
  TotalsOptions,
  TrashOptions,
} from '../domain/requests.ts';
import { toCatalogQuery } from '../lists/catalog-query.ts';
import { itemOf, type Location, trashedItemOf } from '../lists/item.ts';
import { createListing, createTrashListing } from '../lists/listing.ts';
import { checkTotals } from '../lists/totals.ts';
import { allRecords, measureRecords } from '../maintenance/records.ts';
import type { ImageList, PageReader, ProviderContext } from '../types.ts';

export abstract class ListedProvider implements PageReader {
  readonly name: string;
  abstract readonly storageType: string;
  protected readonly context: ProviderContext;

  constructor(context: ProviderContext) {
    this.context = context;
    this.name = context.name;
  }

  /** Returns the catalog, for reads over all images. Rejects with CATALOG_REBUILDING until it is complete. */
  protected abstract completeCatalog(): Promise<ImageIndex>;
  /** Returns the complete catalog, once it includes every save and delete of any process before the call. */
  protected currentCatalog(): Promise<ImageIndex> {
    return this.completeCatalog();
  }
  /** Returns where callers fetch the bytes. */
  protected abstract locate(record: ImageRecord): Location | Promise<Location>;

  list(options: ListOptions = {}): ImageList {
    return createListing(() => [this], options, this.context.now);
  }

  async readPage(query: ImageQuery, after: Resume | undefined, limit: number, maxBytes: number): Promise<ItemPage> {
    const catalog = await folded(this.completeCatalog());
    const request = { ...(after && { after }), limit, maxBytes, view: query.view ?? 'full' };
    const { records, more } = await folded(catalog.page(toCatalogQuery(query), request));
    const located = records.map((record) => this.locate(record));
    // A promise for each image would cost more than the rest of its item.
    const locations = located.every((location) => !(location instanceof Promise))
      ? located
      : await Promise.all(located);
    return { items: records.map((record, at) => itemOf(this, record, locations[at] as Location)), more };
  }

  listTrash(options: TrashOptions = {}): ImageList {
    return createTrashListing(() => [this], options, this.context.now);
  }

  async readTrash(query: string, after: Resume | undefined, limit: number, maxBytes: number): Promise<ItemPage> {
    const catalog = await folded(this.completeCatalog());
    const request = { ...(after && { after }), limit, maxBytes };
    const { records, more } = await folded(catalog.trashPage(query, request));
    const items = records.map(async (record) => trashedItemOf(this, record, await this.locate(record)));
    return { items: await Promise.all(items), more };
  }

  async totals(options: TotalsOptions = {}): Promise<Totals> {
    const { by, startsWith, timeZone, limit, ...filter } = checkTotals(options, new Date(this.context.now()));
    const catalog = await folded(this.completeCatalog());
    const grouping = { by, startsWith, timeZone, limit };
    const { oldest, newest, ...counts } = await folded(catalog.totals(toCatalogQuery(filter), grouping));
    return { ...counts, ...datesOf({ oldest, newest }) };
  }

  async *records(filter: ImageFilter): AsyncGenerator<ImageRecord> {
    yield* allRecords(await folded(this.currentCatalog()), toCatalogQuery({ ...filter, order: 'oldest' }));
  }

  async measure(filter: ImageFilter): Promise<{ images: number; bytes: number }> {
    return folded(measureRecords(await this.completeCatalog(), toCatalogQuery(filter)));
  }

  protected async item(record: ImageRecord): Promise<StorageItem> {
    const generation = generationOf(record);
    const stored: StoredRecord = { ...record, ...(generation && { generation }) };
    return itemOf(this, stored, await this.locate(record));
  }
}

/** Returns the times of the oldest and the newest image as Dates. */
export function datesOf({ oldest, newest }: { oldest?: number | undefined; newest?: number | undefined }) {
  return {
    ...(oldest !== undefined && { oldest: new Date(oldest) }),
    ...(newest !== undefined && { newest: new Date(newest) }),
  };
}
