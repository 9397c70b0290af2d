/** Checks that the Postgres of a bucket's index offers what an index needs. */
import type { BucketSettings } from '../domain/config.ts';
import type { StoreFormat } from '../domain/store-format.ts';
import { type Check, Shortcoming, step } from './check.ts';

/** Yields nothing where the index is a file. `bound` is the store that the state folder belongs to, if any. */
export async function* examineIndex({ index }: BucketSettings, bound?: Partial<StoreFormat>): AsyncGenerator<Check> {
  if (index === undefined) return;
  const { examineServer } = await import('../catalog/postgres/examination.ts');
  try {
    yield* await examineServer(index, Date.now, bound?.storeId);
  } catch (cause) {
    yield* step('index', async () => {
      const message = `the Postgres of the index cannot be used: ${(cause as Error).message} (index)`;
      throw new Shortcoming(message, { cause });
    });
  }
}
