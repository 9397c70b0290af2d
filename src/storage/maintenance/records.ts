/** Reads all records of a catalog page by page, so that memory stays constant and each read is short. */
import type { CatalogQuery, ImageIndex } from '../catalog/catalog.ts';
import { bareRecord, type ImageRecord, type TrashedRecord } from '../domain/record.ts';
import type { Position } from '../domain/requests.ts';

const PAGE = { limit: 500, maxBytes: 1024 * 1024 };
const SIZES_AT_ONCE = 5_000;

/** Yields the records in the order of the query. Images committed meanwhile may be missing. */
export async function* allRecords(catalog: Pick<ImageIndex, 'page'>, query: CatalogQuery): AsyncGenerator<ImageRecord> {
  let after: Position | undefined;
  for (let more = true; more; ) {
    const page = await catalog.page(query, { ...(after && { after }), ...PAGE });
    for (const record of page.records) yield bareRecord(record);
    const last = page.records.at(-1);
    more = page.more && last !== undefined;
    after = last && { timestamp: last.timestamp, filename: last.filename };
  }
}

/** Returns the count and the bytes of all matching images. */
export async function measureRecords(
  catalog: Pick<ImageIndex, 'pageSizes'>,
  query: CatalogQuery,
): Promise<{ images: number; bytes: number }> {
  const total = { images: 0, bytes: 0 };
  let after: Position | undefined;
  for (;;) {
    const sizes = await catalog.pageSizes(query, { ...(after && { after }), limit: SIZES_AT_ONCE });
    total.images += sizes.length;
    total.bytes += sizes.reduce((sum, { size }) => sum + size, 0);
    const last = sizes.at(-1);
    if (last === undefined || sizes.length < SIZES_AT_ONCE) return total;
    after = { timestamp: last.timestamp, filename: last.filename };
  }
}

/** Yields all images in the trash, the last deleted first. */
export async function* allTrashed(catalog: Pick<ImageIndex, 'trashPage'>): AsyncGenerator<TrashedRecord> {
  let after: Position | undefined;
  for (;;) {
    const { records, more } = await catalog.trashPage('', { ...PAGE, ...(after && { after }) });
    yield* records;
    const last = records.at(-1);
    if (!more || last === undefined) return;
    after = { timestamp: last.deleteTime, filename: last.filename };
  }
}
