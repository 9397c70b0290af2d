/** Tells whether the index is the one that was seen before, and as far: a restored or emptied one is behind its bucket. */
import { randomUUID } from 'node:crypto';
import { StorageError } from '../../domain/errors.ts';
import { DOUBT_MS } from '../../domain/purge-clock.ts';
import type { IndexMark } from '../bucket-catalog.ts';
import type { Moment } from '../catalog.ts';
import { setNotes } from './migrate.ts';
import { type Transaction, unavailable } from './pool.ts';

const STANDING = "SELECT name, value FROM notes WHERE name IN ('incarnation', 'epoch', 'change', 'filled')";
/** A row, not a sequence: that runs ahead after a crash of the server, and back where a transaction is. */
const NEXT = `
  UPDATE notes SET value = (value::bigint + 1)::text WHERE name = 'change'
  RETURNING value::bigint AS change, (SELECT value FROM notes WHERE name = 'incarnation') AS incarnation`;

/** Where an index stands, as a transaction sees it. */
export interface Standing extends IndexMark {
  epoch: string;
  isFilled: boolean;
}

/** What a look has found; to be noted once its transaction is committed. */
export interface Looked {
  standing: Standing;
  isBehind: boolean;
}

export class IndexState {
  #seen: IndexMark | undefined;
  #epoch: string | undefined;
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
  async look(transaction: Transaction): Promise<Looked> {
    const expected = this.#seen;
    let standing = await standingOf(transaction);
    if (!isBehind(standing, expected)) return { standing, isBehind: false };
    // One daemon at a time: others of the same bucket find it done.
    await transaction.rows("SELECT value FROM notes WHERE name = 'change' FOR UPDATE");
    standing = await standingOf(transaction);
    if (!isBehind(standing, expected)) return { standing, isBehind: false };
    return { standing: await this.#doubt(transaction, standing, expected!), isBehind: true };
  }

  /** Notes what was found, in a transaction that is committed by now. */
  note({ standing, isBehind }: Looked): void {
    const { incarnation, change, epoch } = standing;
    if (isBehind && incarnation !== this.#seen?.incarnation) this.#seen = { incarnation, change };
    this.raise(standing);
    this.#epoch = epoch;
    if (isBehind) this.#onBehind();
  }

  /** Notes how far the index was seen, by a commit or a read of ours. */
  raise({ incarnation, change }: IndexMark): void {
    this.#seen ??= { incarnation, change };
    // Of another index, the next look tells.
    if (incarnation !== this.#seen.incarnation || change <= this.#seen.change) return;
    this.#seen = { incarnation, change };
  }

  /** Throws INDEX_UNAVAILABLE where the index does not have all images. Requires that it is the first to read. */
  async checkWhole(transaction: Transaction): Promise<Standing> {
    const expected = this.#seen;
    const standing = await standingOf(transaction);
    if (!standing.isFilled || isBehind(standing, expected)) {
      throw unavailable(undefined, 'the index is being filled from the bucket; try again later');
    }
    this.raise(standing);
    return standing;
  }

  remembers({ index }: Moment): boolean {
    return this.#seen !== undefined && index === nameOf({ ...this.#seen, epoch: this.#epoch });
  }

  async #doubt(transaction: Transaction, standing: Standing, expected: IndexMark): Promise<Standing> {
    await transaction.rows("DELETE FROM notes WHERE name IN ('filled', 'walk')");
    const isSame = standing.incarnation === expected.incarnation;
    // An empty one that is being filled has nothing to doubt, and no plans.
    if (!isSame && !standing.isFilled) return standing;
    const epoch = randomUUID();
    // Other daemons need not find out the same, and no plan takes a change for an older one.
    const change = isSame ? expected.change + 1 : standing.change;
    // What the index knew of trash and times may be old: nothing goes by itself for a while.
    await setNotes(transaction, { epoch, change: `${change}`, quiet_until: `${this.#now() + DOUBT_MS}` });
    return { ...standing, epoch, change, isFilled: false };
  }
}

/** Returns the number of the changes of a transaction. Those of others wait for its end: numbers are in the order of commits. */
export async function nextChange(transaction: Transaction): Promise<IndexMark> {
  const [mark] = await transaction.rows<{ incarnation: string; change: number }>(NEXT);
  return mark!;
}

export function momentOf(standing: Standing): Moment {
  return { index: nameOf(standing), sequence: standing.change, changes: 0 };
}

/** Throws PLAN_EXPIRED where the index was restored since the moment: what it lacks has no change that would tell. */
export function checkMoment(standing: Standing, { index }: Moment): void {
  if (index === nameOf(standing)) return;
  const message = 'the plan has expired: the index was filled again since; plan again';
  throw new StorageError('PLAN_EXPIRED', message, { field: 'selection.plan' });
}

export async function epochOf(statements: Transaction): Promise<string> {
  const [note] = await statements.rows<{ value: string }>("SELECT value FROM notes WHERE name = 'epoch'");
  return note?.value ?? '';
}

async function standingOf(statements: Transaction): Promise<Standing> {
  const rows = await statements.rows<{ name: string; value: string }>(STANDING);
  const notes = new Map(rows.map(({ name, value }) => [name, value]));
  return {
    incarnation: notes.get('incarnation') ?? randomUUID(),
    epoch: notes.get('epoch') ?? '',
    change: Number(notes.get('change') ?? 0),
    isFilled: notes.has('filled'),
  };
}

function nameOf({ incarnation, epoch }: { incarnation: string; epoch: string | undefined }): string {
  return `${incarnation} ${epoch}`;
}

function isBehind(mark: IndexMark, expected: IndexMark | undefined): boolean {
  if (expected === undefined) return false;
  return mark.incarnation !== expected.incarnation || mark.change < expected.change;
}
