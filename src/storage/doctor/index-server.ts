/** Checks that the Postgres of a bucket's index offers what an index needs. */
import type { BucketSettings } from '../domain/config.ts';
import { type Check, Shortcoming, step } from './check.ts';

/** Yields nothing where the index is a file. */
export async function* examineIndex({ index }: BucketSettings): AsyncGenerator<Check> {
  if (index === undefined) return;
  yield* step('index', async () => {
    const { examineServer } = await import('../catalog/postgres/examination.ts');
    const facts = await examineServer(index, Date.now).catch((cause) => {
      const message = `the Postgres of the index cannot be used: ${(cause as Error).message}; correct the index setting`;
      throw new Shortcoming(message, { cause });
    });
    if (facts.shortcomings.length > 0) throw new Shortcoming(facts.shortcomings.join('; '));
    return `Postgres ${facts.version} takes an index; a statement takes ${facts.latencyMs.toFixed(1)} ms`;
  });
}
