/** Reads a catalog that this process has not opened, beside the daemon that has it or without one. */
import { existsSync, statSync } from 'node:fs';
import { pathToFileURL } from 'node:url';
import type { ImageIndex } from '../catalog.ts';
import { CATALOG_VERSION } from './opening.ts';
import { CatalogReader } from './reader.ts';

/** What is read. */
export type ClosedCatalog = Pick<ImageIndex, 'find' | 'page'>;

/**
 * Runs the work on the catalog. Returns undefined where it cannot be read as it is: it is gone, the next start looks
 * through it, or another version wrote it. Requires that the process has not opened it: closing any descriptor of it
 * would drop SQLite's locks.
 */
export async function readClosed<T>(
  path: string,
  work: (catalog: ClosedCatalog) => Promise<T>,
): Promise<T | undefined> {
  const place = placeOf(path);
  if (place === undefined) return undefined;
  const reader = new CatalogReader({ path: place });
  try {
    reader.open();
    if (reader.version() !== CATALOG_VERSION) return undefined;
    return await work({
      find: async (filename) => reader.find(filename),
      page: async (query, request) => finish(reader.page(query, request)),
    });
  } catch {
    // Whether it is sound is for the next start to say.
    return undefined;
  } finally {
    reader.close();
  }
}

/** Without another process, a reader must leave no file behind. */
function placeOf(path: string): string | URL | undefined {
  if (!existsSync(path)) return undefined;
  if (existsSync(`${path}-shm`)) return path;
  if ((statSync(`${path}-wal`, { throwIfNoEntry: false })?.size ?? 0) > 0) return undefined;
  const url = pathToFileURL(path);
  url.searchParams.set('immutable', '1');
  return url;
}

function finish<T>(steps: Generator<void, T>): T {
  for (;;) {
    const { done, value } = steps.next();
    if (done) return value;
  }
}
