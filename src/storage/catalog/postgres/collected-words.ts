/**
 * Collects the words of images while an index is filled: Postgres merges those of thousands into a text index in a fraction
 * of the time that it takes for each by itself. Until then a search reads through what was collected, and is right as well.
 */
import type { IndexMark } from '../bucket-catalog.ts';
import type { Pool, Transaction } from './pool.ts';
import { textIndexOf } from './slices.ts';

const MERGED_AT_ONCE = 5_000;
/** Of one slice; an insert that finds more would merge them itself, while others wait for it. */
const MAX_COLLECTED_KIB = 64 * 1024;

export class CollectedWords {
  readonly #pool: Pool;
  #incarnation: string | undefined;
  /** The images of each slice whose words are collected, and not merged yet. */
  readonly #images = new Map<number, number>();

  constructor(pool: Pool) {
    this.#pool = pool;
  }

  /** Notes the images that were added to slices: from the first ones on, their words are collected. */
  async note({ incarnation }: IndexMark, added: ReadonlyMap<number, number>): Promise<void> {
    if (incarnation !== this.#incarnation) this.#images.clear();
    this.#incarnation = incarnation;
    for (const [slice, count] of added) {
      const before = this.#images.get(slice);
      const images = (before ?? 0) + count;
      const isMuch = images >= MERGED_AT_ONCE;
      this.#images.set(slice, isMuch ? 0 : images);
      const index = textIndexOf({ number: slice });
      if (before === undefined) await this.#pool.write((transaction) => collect(transaction, index));
      if (isMuch) await this.#pool.write((transaction) => merge(transaction, index));
    }
  }

  /** Merges what was collected, by whichever daemon, and collects no more. */
  async end(): Promise<void> {
    this.#images.clear();
    const indexes = await this.#pool.write(stopCollecting);
    for (const index of indexes) await this.#pool.write((transaction) => merge(transaction, index));
  }
}

async function collect(transaction: Transaction, index: string): Promise<void> {
  await transaction.rows(`ALTER INDEX ${index} SET (fastupdate = on, gin_pending_list_limit = ${MAX_COLLECTED_KIB})`);
}

async function merge(transaction: Transaction, index: string): Promise<void> {
  await transaction.rows('SELECT gin_clean_pending_list($1::text::regclass)', [index]);
}

/** Returns the text indexes that have collected words. */
async function stopCollecting(transaction: Transaction): Promise<string[]> {
  const sql = `
    SELECT relname::text AS index FROM pg_class
    WHERE relnamespace = current_schema()::regnamespace AND 'fastupdate=on' = ANY(reloptions) ORDER BY relname`;
  const indexes = (await transaction.rows<{ index: string }>(sql)).map(({ index }) => index);
  for (const index of indexes) {
    await transaction.rows(`ALTER INDEX ${index} SET (fastupdate = off)`);
    await transaction.rows(`ALTER INDEX ${index} RESET (gin_pending_list_limit)`);
  }
  return indexes;
}
