/** Tells whether the index is the one that was seen before, and as far: a restored or emptied one is behind its bucket. */
import { randomUUID } from 'node:crypto';
import { DOUBT_MS } from '../../domain/purge-clock.ts';
import type { IndexMark } from '../bucket-catalog.ts';
import { setNotes } from './migrate.ts';
import { type Transaction, unavailable } from './pool.ts';

const WHOLE = "SELECT name, value FROM notes WHERE name IN ('incarnation', 'filled')";
const LAST = 'SELECT CASE WHEN is_called THEN last_value ELSE 0 END AS change FROM change_numbers';

export class IndexState {
  #seen: IndexMark | undefined;
  readonly #onBehind: () => void;
  readonly #now: () => number;

  /** `seen`: how far the index is known to have been. */
  constructor(seen: IndexMark | undefined, onBehind: () => void, now: () => number) {
    this.#seen = seen;
    this.#onBehind = onBehind;
    this.#now = now;
  }

  get seen(): IndexMark | undefined {
    return this.#seen;
  }

  /** Looks at the index over a new connection, or from time to time. Marks it as not whole where it is behind. */
  async look(statements: Transaction, expected: IndexMark | undefined = this.#seen): Promise<void> {
    const mark = await markOf(statements);
    this.#seen = mark;
    if (expected === undefined || !isBehind(mark, expected)) return;
    const filled = await statements.rows("DELETE FROM notes WHERE name = 'filled' RETURNING name");
    if (filled.length > 0) {
      // What the index knew of trash and times may be old: nothing goes by itself for a while.
      await setNotes(statements, { epoch: randomUUID(), quiet_until: `${this.#now() + DOUBT_MS}` });
    }
    if (mark.incarnation === expected.incarnation) {
      // Other daemons need not find out the same, and no plan takes a change for an older one.
      await statements.rows("SELECT setval('change_numbers', $1)", [expected.change + 1]);
      this.#seen = { ...mark, change: expected.change + 1 };
    }
    this.#onBehind();
  }

  /** Throws INDEX_UNAVAILABLE where the index does not have all images. */
  async checkWhole(transaction: Transaction): Promise<void> {
    const notes = await transaction.rows<{ name: string }>(WHOLE);
    if (notes.some(({ name }) => name === 'filled')) return;
    throw unavailable(undefined, 'the index is being filled from the bucket; try again later');
  }
}

export async function epochOf(statements: Transaction): Promise<string> {
  const [note] = await statements.rows<{ value: string }>("SELECT value FROM notes WHERE name = 'epoch'");
  return note?.value ?? '';
}

export async function markOf(statements: Transaction): Promise<IndexMark> {
  const notes = await statements.rows<{ name: string; value: string }>(WHOLE);
  const [last] = await statements.rows<{ change: number }>(LAST);
  const incarnation = notes.find(({ name }) => name === 'incarnation')?.value ?? randomUUID();
  return { incarnation, change: last!.change };
}

function isBehind(mark: IndexMark, expected: IndexMark): boolean {
  return mark.incarnation !== expected.incarnation || mark.change < expected.change;
}
