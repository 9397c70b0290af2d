/** The index that all daemons of a bucket share: what of the catalog's contract needs no file of one of them. */

import { randomUUID } from 'node:crypto';
import { StoreOpenError } from '../../domain/errors.ts';
import type { IndexCall, IndexLoad } from '../../domain/meter.ts';
import type { BucketCatalog, IndexMark, SharedCatalog } from '../bucket-catalog.ts';
import { CatalogError, type ImageIndex, type Moment, type ThumbHash } from '../catalog.ts';
import { CollectedWords } from './collected-words.ts';
import { wasDeleted } from './deleted-bytes.ts';
import { committed, migrate, setNotes } from './migrate.ts';
import { placesOf } from './places.ts';
import { checkUrl, isUnavailable, Pool, type Transaction } from './pool.ts';
import { IndexReader } from './reader.ts';
import { RollCall } from './roll-call.ts';
import { MAX_IMAGES, relieveSlice, tableOf } from './slices.ts';
import { epochOf, IndexState } from './state.ts';
import { crowdedSlices, foldDeltas } from './sums.ts';
import { applyChanges, type IndexChange } from './writer.ts';

/** Every method rejects with INDEX_UNAVAILABLE while Postgres cannot be used. */
export interface SharedIndex
  extends ImageIndex,
    Pick<BucketCatalog, 'findByKey' | 'isFilled' | 'notes' | 'known' | 'knownBetween' | 'dueSweeps'>,
    Pick<SharedCatalog, 'look' | 'epoch' | 'checkKey' | 'claim' | 'alone' | 'walkPosition' | 'noteWalk'> {
  /** Applies the changes in order, in one transaction. */
  applyAll(changes: readonly IndexChange[]): Promise<void>;
  /** The same of an index that is not whole: what it writes may be lost until it is. */
  fill(changes: readonly IndexChange[]): Promise<void>;
  /** Folds what was appended to sums, and takes images from slices that have too many. */
  tidy(): Promise<void>;
  /** As of a RollCall. */
  answerCall(owes: () => boolean): Promise<void>;
  isCallAnswered(): Promise<boolean>;
  /** Nothing of this daemon is missing. */
  leave(): Promise<void>;
  /** Asks the server for an answer, which it gives within seconds whatever else it is busy with. */
  ping(): Promise<void>;
  /** Of its connections at this moment. */
  readonly load: Omit<IndexLoad, 'rowsWaiting'>;
  end(): Promise<void>;
}

/** Between them, others write. */
const STEPS_AT_ONCE = 10;

export interface SharedIndexOptions {
  url: string;
  storeId: string;
  /** The name of the daemon, over restarts; default: a new one. */
  daemon?: string;
  /** ms since 1970. */
  now: () => number;
  /** How far the index is known to have been: one that is behind lists nothing. */
  seen?: IndexMark | undefined;
  /** Called when the index is found to be behind what was seen of it. */
  onBehind?: () => void;
  /** Called after each transaction. */
  onCall?: ((call: IndexCall) => void) | undefined;
  /** What a slice has at most, about. */
  sliceImages?: number;
}

/** Rejects with a StoreOpenError where the database is unfit. One that cannot be reached may be later. */
export async function openSharedIndex(options: SharedIndexOptions): Promise<SharedIndex> {
  const { url, storeId, now, seen, onBehind = () => {}, onCall } = options;
  checkUrl(url);
  const state = new IndexState(seen, onBehind, now);
  const prepare = async (statements: Transaction) => {
    // Also where the tables were dropped meanwhile.
    await migrate(statements, pool.schema, storeId, now());
    state.note(await committed(statements, () => state.look(statements)));
  };
  const pool: Pool = new Pool(url, storeId, prepare, onCall);
  try {
    await pool.read(async () => {});
  } catch (error) {
    const refused = refusal(error);
    if (isUnavailable(error) && refused === undefined) return indexOver(pool, state, options);
    await pool.end();
    throw refused ?? error;
  }
  return indexOver(pool, state, options);
}

function indexOver(
  pool: Pool,
  state: IndexState,
  { daemon = randomUUID(), sliceImages = MAX_IMAGES }: SharedIndexOptions,
): SharedIndex {
  const rollCall = new RollCall(pool, daemon);
  const reader = new IndexReader(pool, state);
  const words = new CollectedWords(pool);
  return {
    find: (filename) => reader.find(filename),
    findByKey: (key) => reader.findByKey(key),
    checkKey: (key) => reader.checkKey(key),
    page: (query, request) => reader.page(query, request),
    pageSizes: (query, request) => reader.pageSizes(query, request),
    statistics: () => reader.statistics(),
    totals: (query, grouping) => reader.totals(query, grouping),
    findTrashed: (filename) => reader.findTrashed(filename),
    trashPage: (query, request) => reader.trashPage(query, request),
    dueTrash: (limit, until) => reader.dueTrash(limit, until),
    expired: (limit, until) => reader.expired(limit, until),
    wasDeleted: (sha256) => pool.read((transaction) => wasDeleted(transaction, sha256)),
    quietUntil: () => reader.quietUntil(),
    setQuietUntil: (time) => pool.write((transaction) => raiseQuiet(transaction, time)),
    arrivedSince: (filenames, time) => reader.arrivedSince(filenames, time),
    changedSince: (filenames, moment) => reader.changedSince(filenames, moment),
    moment: () => reader.moment(),
    remembers: (moment: Moment) => state.remembers(moment),
    unhashed: (before, limit) => reader.unhashed(before, limit),
    setThumbHashes: (hashes) => pool.write((transaction) => setThumbHashes(transaction, hashes)),
    known: (filename) => reader.known(filename),
    knownBetween: (range) => reader.knownBetween(range),
    dueSweeps: (now, limit) => reader.dueSweeps(now, limit),
    isFilled: async () => (await reader.notes()).isFilled,
    async notes() {
      const { isFilled: _, ...notes } = await reader.notes();
      return notes;
    },
    async look() {
      const looked = await pool.write((transaction) => state.look(transaction));
      state.note(looked);
      return { mark: state.seen!, isFilled: looked.standing.isFilled };
    },
    epoch: () => pool.read(epochOf),
    claim: (work, everyMs, now) => pool.write((transaction) => claim(transaction, `claimed ${work}`, everyMs, now)),
    alone: (work, run) => pool.locked(work, run),
    walkPosition: () => reader.walkPosition(),
    noteWalk: (position) => pool.write((transaction) => setNotes(transaction, { walk: JSON.stringify(position) })),
    async applyAll(changes) {
      if (changes.some(({ kind }) => kind === 'filled')) await words.end();
      const { mark } = await applyChanges(pool, changes);
      if (mark !== undefined) state.raise(mark);
    },
    async fill(changes) {
      const { mark, added } = await applyChanges(pool, changes, (work) => pool.writeLater(work));
      if (mark === undefined) return;
      state.raise(mark);
      await words.note(mark, added);
    },
    async tidy() {
      while (await foldDeltas(pool));
      for (let step = 0; step < STEPS_AT_ONCE; step += 1) {
        const [number] = await crowdedSlices(pool, sliceImages);
        if (number === undefined || !(await relieveSlice(pool, number, sliceImages))) return;
      }
    },
    answerCall: (owes) => rollCall.answer(owes),
    isCallAnswered: () => rollCall.isAnswered(),
    leave: () => rollCall.leave(),
    ping: () => pool.ping(),
    get load() {
      return pool.load;
    },
    end: () => pool.end(),
  };
}

/** Returns why the server refuses us, where waiting does not help. */
function refusal(error: unknown): StoreOpenError | undefined {
  const cause = isUnavailable(error) || error instanceof CatalogError ? error.cause : undefined;
  const { code = '', message } = { ...(cause as { code?: string }), message: (cause as Error | undefined)?.message };
  if (!REFUSALS.test(code)) return undefined;
  return new StoreOpenError(
    'config',
    `the Postgres of the index refuses the daemon: ${message}; correct the index setting`,
    {
      cause: error,
    },
  );
}

/** No such role, password or database; no right to create a schema. */
const REFUSALS = /^(28|3D|42501)/;

/** A clock that was set back holds nobody off. */
async function claim(transaction: Transaction, name: string, everyMs: number, now: number): Promise<boolean> {
  const sql = `
    INSERT INTO notes AS note VALUES ($1, $2::bigint::text)
    ON CONFLICT (name) DO UPDATE SET value = excluded.value
    WHERE note.value::bigint <= $2::bigint - $3 OR note.value::bigint > $2::bigint
    RETURNING name`;
  return (await transaction.rows(sql, [name, now, everyMs])).length > 0;
}

async function raiseQuiet(transaction: Transaction, time: number): Promise<void> {
  const [note] = await transaction.rows<{ value: string }>(
    "SELECT value FROM notes WHERE name = 'quiet_until' FOR UPDATE",
  );
  if (Number(note?.value ?? 0) < time) await setNotes(transaction, { quiet_until: `${time}` });
}

/** One that was made stays: another may be of a preview. */
async function setThumbHashes(transaction: Transaction, hashes: readonly ThumbHash[]): Promise<void> {
  const byName = new Map<string, string>();
  for (const { filename, thumbHash } of hashes) if (!byName.get(filename)) byName.set(filename, thumbHash);
  const names = [...byName.keys()].sort();
  const values = names.map((filename) => byName.get(filename)!);
  const sql = (table: string) => `
    UPDATE ${table} AS image SET thumb_hash = made.hash FROM unnest($1::text[], $2::text[]) AS made(name, hash)
    WHERE image.filename = made.name AND coalesce(image.thumb_hash, '') = ''`;
  for (const [slice, places] of await placesOf(transaction, names)) {
    const times = places.map(({ timestamp }) => timestamp);
    await transaction.rows(`${sql(tableOf(slice))} AND image.timestamp = ANY($3)`, [names, values, times]);
  }
  await transaction.rows(sql('trash'), [names, values]);
}
