/** The contract of the catalog of an object store, over SQLite. */
import { describe } from 'vitest';
import { itIsABucketCatalog } from './bucket-catalog-suite.ts';
import { createWith, openInWorkers, temporaryCatalog } from './catalogs.ts';

describe('a catalog in SQLite', () => {
  itIsABucketCatalog(() => {
    const { path, release } = temporaryCatalog();
    createWith(path);
    return { open: () => openInWorkers(path), release };
  });
});
