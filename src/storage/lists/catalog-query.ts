/** Converts a query of callers to the terms of a catalog. */
import type { CatalogQuery } from '../catalog/catalog.ts';
import type { ImageQuery } from '../domain/requests.ts';

export function toCatalogQuery({
  dateRange,
  model,
  category,
  query,
  tags,
  pinned,
  order = 'newest',
}: ImageQuery): CatalogQuery {
  return {
    ...(dateRange?.start && { start: dateRange.start.getTime() }),
    ...(dateRange?.end && { end: dateRange.end.getTime() }),
    model,
    category,
    query,
    tags,
    pinned,
    order,
  };
}
