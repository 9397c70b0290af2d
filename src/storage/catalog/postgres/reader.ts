/** The reads of the index, each in a transaction that sees one moment. */
import { recordKey } from '../../domain/naming.ts';
import type { ImageRecord, StoredRecord, TrashedRecord } from '../../domain/record.ts';
import type { BucketNotes, DueSweep, KnownRecord, ListedRecord, WalkPosition } from '../bucket-catalog.ts';
import type {
  CatalogQuery,
  CatalogStatistics,
  CatalogTotals,
  DueTrash,
  EarlierSave,
  Expired,
  Grouping,
  ImageSize,
  Moment,
  PageRequest,
  RecordPage,
  SizesRequest,
  TrashPage,
  UnhashedImage,
  UnhashedPage,
} from '../catalog.ts';
import { parseGeneration, settingsOf } from '../generation-settings.ts';
import { testOf } from '../search-match.ts';
import { isEverything, isNothing, parseQuery } from '../search-query.ts';
import { filenameIn, placesOf } from './places.ts';
import type { Pool, Transaction } from './pool.ts';
import { SHOWN, STORED, type StoredRow, textBytesOf, toShown, toStored } from './rows.ts';
import { type Slice, slicesWithin, tableOf } from './slices.ts';
import { checkMoment, type IndexState, momentOf, type Standing } from './state.ts';
import { statistics } from './sums.ts';
import { totals } from './totals.ts';
import { type Hit, hits, textsOf } from './walk.ts';

const ROW_OVERHEAD_BYTES = 1024;
const TRASH_BATCH = 100;
const MAX_KEY = '\u{10ffff}';
const MAX_TIMESTAMP = 2 ** 53;
/** What is kept of the texts of a page while it is read. */
const READ_AT_ONCE = 250;
const LAST_DELETE = Number.MAX_SAFE_INTEGER;

/** The methods follow the contracts. */
export class IndexReader {
  readonly #pool: Pool;
  readonly #state: Pick<IndexState, 'checkWhole'>;

  /** While the index lacks images there is no list. */
  constructor(pool: Pool, state: Pick<IndexState, 'checkWhole'>) {
    this.#pool = pool;
    this.#state = state;
  }

  #whole<T>(work: (transaction: Transaction, standing: Standing) => Promise<T>): Promise<T> {
    return this.#pool.read(async (transaction) => work(transaction, await this.#state.checkWhole(transaction)));
  }

  find(filename: string): Promise<StoredRecord | undefined> {
    return this.#pool.readSoon((transaction) => findIn(transaction, filename));
  }

  findByKey(idempotencyKey: string): Promise<EarlierSave | undefined> {
    return this.#pool.readSoon((transaction) => findByKeyIn(transaction, idempotencyKey));
  }

  /** Throws INDEX_UNAVAILABLE where no image has the key, and the index lacks images. */
  checkKey(idempotencyKey: string): Promise<void> {
    return this.#pool.readSoon(async (transaction) => {
      const doubt = await this.#state.checkWhole(transaction).then(
        () => undefined,
        (error) => error as Error,
      );
      if (doubt !== undefined && (await findByKeyIn(transaction, idempotencyKey)) === undefined) throw doubt;
    });
  }

  page(query: CatalogQuery, { after, limit, maxBytes, view }: PageRequest): Promise<RecordPage> {
    return this.#whole(async (transaction) => {
      const isRow = view === 'row';
      const wanted: Hit[] = [];
      let bytes = 0;
      let more = false;
      for await (const hit of hits(transaction, query, { after, limit })) {
        bytes += (isRow ? 0 : hit.textBytes) + ROW_OVERHEAD_BYTES;
        more = wanted.length === limit || (wanted.length > 0 && bytes > maxBytes);
        if (more) break;
        wanted.push(hit);
      }
      const records = await recordsOf(transaction, wanted, isRow);
      return isRow ? cutTo(maxBytes, records, more) : { records, more };
    });
  }

  pageSizes(query: CatalogQuery, { after, limit, group, since }: SizesRequest): Promise<ImageSize[]> {
    return this.#whole(async (transaction, standing) => {
      if (since !== undefined) checkMoment(standing, since);
      const sizes: ImageSize[] = [];
      for await (const hit of hits(transaction, query, { after, limit, group })) {
        const { timestamp, filename, size, pinned, change } = hit;
        sizes.push({
          ...{ timestamp, filename, size, pinned },
          ...(group && { group: hit.group! }),
          ...(since && { isChanged: change > since.sequence }),
        });
        if (sizes.length === limit) break;
      }
      return sizes;
    });
  }

  statistics(): Promise<CatalogStatistics> {
    return this.#whole(async (transaction) => statistics(transaction, await endsOf(transaction)));
  }

  totals(query: CatalogQuery, grouping: Grouping): Promise<CatalogTotals> {
    return this.#whole((transaction) => totals(transaction, query, grouping));
  }

  findTrashed(filename: string): Promise<TrashedRecord | undefined> {
    return this.#pool.readSoon((transaction) => findTrashedIn(transaction, filename));
  }

  trashPage(query: string, { after, limit, maxBytes }: PageRequest): Promise<TrashPage> {
    return this.#whole(async (transaction) => {
      const records: TrashedRecord[] = [];
      let bytes = 0;
      for await (const record of trashHits(transaction, query, after)) {
        bytes += textBytesOf(record) + ROW_OVERHEAD_BYTES;
        if (records.length === limit || (records.length > 0 && bytes > maxBytes)) return { records, more: true };
        records.push(record);
      }
      return { records, more: false };
    });
  }

  dueTrash(limit: number, until: number = LAST_DELETE): Promise<DueTrash[]> {
    const sql = `
      SELECT filename, size, purge_time AS "purgeTime" FROM trash WHERE purge_time <= $1 ORDER BY purge_time LIMIT $2`;
    return this.#rows<DueTrash>(sql, [until, limit]);
  }

  expired(limit: number, until: number): Promise<Expired[]> {
    const sql = `
      SELECT filename, expire_time AS "expireTime" FROM expiries
      WHERE NOT pinned AND expire_time <= $1 ORDER BY expire_time LIMIT $2`;
    return this.#rows<Expired>(sql, [until, limit]);
  }

  async quietUntil(): Promise<number> {
    return Number((await this.notesNamed()).get('quiet_until') ?? 0);
  }

  arrivedSince(filenames: readonly string[], time: number): Promise<string[]> {
    const sql = 'SELECT filename FROM arrivals WHERE filename = ANY($1) AND time > $2';
    return this.#pool.read(async (transaction) => {
      const arrived = await transaction.rows<{ filename: string }>(sql, [filenames, time]);
      const saved = await this.#named(transaction, filenames, 'create_time', time);
      return [...new Set([...saved, ...arrived.map(({ filename }) => filename)])];
    });
  }

  changedSince(filenames: readonly string[], moment: Moment): Promise<string[]> {
    return this.#whole((transaction, standing) => {
      checkMoment(standing, moment);
      return this.#named(transaction, filenames, 'change', moment.sequence);
    });
  }

  /** Returns those of the live images in which the column is above a number. */
  async #named(
    transaction: Transaction,
    filenames: readonly string[],
    column: 'create_time' | 'change',
    above: number,
  ): Promise<string[]> {
    const found: string[] = [];
    for (const [slice, places] of await placesOf(transaction, filenames)) {
      const sql = `
        SELECT filename FROM ${tableOf(slice)}
        WHERE (timestamp, filename) IN (SELECT * FROM unnest($1::bigint[], $2::text[])) AND ${column} > $3`;
      const values = [places.map(({ timestamp }) => timestamp), places.map(({ filename }) => filename), above];
      found.push(...(await transaction.rows<{ filename: string }>(sql, values)).map(({ filename }) => filename));
    }
    return found;
  }

  moment(): Promise<Moment> {
    return this.#whole(async (_, standing) => momentOf(standing));
  }

  unhashed(before: number, limit: number): Promise<UnhashedPage> {
    return this.#pool.read(async (transaction) => {
      const images: (UnhashedImage & { timestamp: number })[] = [];
      const slices = await slicesWithin(transaction, -MAX_TIMESTAMP, Math.min(before, MAX_TIMESTAMP) - 1);
      for (const slice of slices.reverse()) {
        const sql = `
          SELECT timestamp, head FROM ${tableOf(slice)} WHERE thumb_hash IS NULL AND timestamp < $1
          ORDER BY timestamp DESC LIMIT $2`;
        const values = [Math.min(before, MAX_TIMESTAMP), limit - images.length];
        for (const row of await transaction.rows<{ timestamp: number; head: string }>(sql, values)) {
          const { filename, sha256, size, contentType, width, height } = JSON.parse(row.head) as ImageRecord;
          images.push({ timestamp: row.timestamp, filename, sha256, size, contentType, width, height });
        }
        if (images.length === limit) break;
      }
      const last = images.at(-1)?.timestamp;
      const isFull = images.length === limit && last !== undefined;
      // Others of the last timestamp may be left; where all have it, they wait for the next walk.
      const next = isFull ? (images[0]!.timestamp > last ? last + 1 : last) : 0;
      return { images: images.map(({ timestamp: _, ...image }) => image), before: next };
    });
  }

  async known(filename: string): Promise<KnownRecord | undefined> {
    const sql = 'SELECT etag FROM entries WHERE key = $1';
    const [entry] = await this.#pool.readSoon((transaction) =>
      transaction.rows<{ etag: string }>(sql, [recordKey(filename)]),
    );
    return entry && { filename, etag: entry.etag };
  }

  async knownBetween({ after = '', upTo = MAX_KEY, limit }: Parameters<KnownBetween>[0]): Promise<ListedRecord[]> {
    const sql = `
      SELECT key, etag, delete_time IS NOT NULL AS deleted FROM entries
      WHERE key > $1 AND key <= $2 ORDER BY key LIMIT $3`;
    const rows = await this.#rows<{ key: string; etag: string; deleted: boolean }>(sql, [after, upTo, limit]);
    return rows.map(({ key, ...entry }) => ({ filename: filenameIn(key), ...entry }));
  }

  async dueSweeps(now: number, limit: number): Promise<DueSweep[]> {
    const sql = `
      SELECT key, etag, delete_time AS "deleteTime" FROM entries
      WHERE sweep_time <= $1 AND sweep_time IS NOT NULL ORDER BY sweep_time LIMIT $2`;
    const rows = await this.#rows<{ key: string; etag: string; deleteTime: number }>(sql, [now, limit]);
    return rows.map(({ key, ...entry }) => ({ filename: filenameIn(key), ...entry }));
  }

  async notes(): Promise<BucketNotes & { isFilled: boolean }> {
    const notes = await this.notesNamed();
    const compared = notes.get('compared');
    return {
      probed: notes.has('probed'),
      isFilled: notes.has('filled'),
      ...(compared !== undefined && { comparedAt: Number(compared) }),
    };
  }

  async walkPosition(): Promise<WalkPosition | undefined> {
    const walk = (await this.notesNamed()).get('walk');
    return walk === undefined ? undefined : (JSON.parse(walk) as WalkPosition);
  }

  async notesNamed(): Promise<Map<string, string>> {
    const rows = await this.#rows<{ name: string; value: string }>('SELECT name, value FROM notes');
    return new Map(rows.map(({ name, value }) => [name, value]));
  }

  #rows<R>(sql: string, values: readonly unknown[] = []): Promise<R[]> {
    return this.#pool.read((transaction) => transaction.rows<R>(sql, values));
  }
}

type KnownBetween = (range: { after?: string; upTo?: string; limit: number }) => unknown;

async function findByKeyIn(transaction: Transaction, idempotencyKey: string): Promise<EarlierSave | undefined> {
  const sql = `
    SELECT key, state, record FROM entries WHERE idempotency_key = $1 AND idempotency_key <> ''`;
  const [entry] = await transaction.rows<{ key: string; state: string; record: string | null }>(sql, [idempotencyKey]);
  if (entry === undefined) return undefined;
  if (entry.record !== null) return { record: JSON.parse(entry.record) as ImageRecord, deleted: true };
  const filename = filenameIn(entry.key);
  const deleted = entry.state !== 'live';
  const found = deleted ? await findTrashedIn(transaction, filename) : await findIn(transaction, filename);
  if (found === undefined) return undefined;
  const { generation: _, deleteTime: __, purgeTime: ___, ...record } = found as TrashedRecord;
  return { record, deleted };
}

async function findIn(transaction: Transaction, filename: string): Promise<StoredRecord | undefined> {
  for (const [slice, places] of await placesOf(transaction, [filename])) {
    const row = (await textsOf(transaction, slice, places, STORED)).get(filename);
    return row && toStored(row);
  }
  return undefined;
}

async function findTrashedIn(transaction: Transaction, filename: string): Promise<TrashedRecord | undefined> {
  const [row] = await transaction.rows<TrashRow>(`SELECT ${TRASHED} FROM trash WHERE filename = $1`, [filename]);
  return row && toTrashed(row);
}

/** Reads the records of hits in their order. */
async function recordsOf(transaction: Transaction, wanted: readonly Hit[], isRow: boolean): Promise<StoredRecord[]> {
  const records: StoredRecord[] = [];
  for (let at = 0; at < wanted.length; at += READ_AT_ONCE) {
    const group = wanted.slice(at, at + READ_AT_ONCE);
    const texts = new Map<string, StoredRow>();
    for (const [slice, found] of Map.groupBy(group, (hit) => hit.slice)) {
      const read = await textsOf(transaction, slice, found, isRow ? SHOWN : STORED);
      for (const [filename, row] of read) texts.set(filename, row);
    }
    records.push(...group.map(({ filename }) => (isRow ? toShown : toStored)(texts.get(filename)!)));
  }
  return records;
}

/** Rows are cut when they are read: only then is it known what they take. */
function cutTo(maxBytes: number, records: StoredRecord[], more: boolean): RecordPage {
  let bytes = 0;
  const end = records.findIndex((record, at) => {
    bytes += textBytesOf(record) + ROW_OVERHEAD_BYTES;
    return at > 0 && bytes > maxBytes;
  });
  return end === -1 ? { records, more } : { records: records.slice(0, end), more: true };
}

async function endsOf(transaction: Transaction): Promise<{ oldest?: number; newest?: number }> {
  const slices = await slicesWithin(transaction, -MAX_TIMESTAMP, MAX_TIMESTAMP);
  const [oldest, newest] = [
    await endOf(transaction, slices, 'ASC'),
    await endOf(transaction, slices.reverse(), 'DESC'),
  ];
  return { ...(oldest !== undefined && { oldest }), ...(newest !== undefined && { newest }) };
}

async function endOf(transaction: Transaction, slices: readonly Slice[], order: string): Promise<number | undefined> {
  for (const slice of slices) {
    const sql = `SELECT timestamp FROM ${tableOf(slice)} ORDER BY timestamp ${order} LIMIT 1`;
    const [row] = await transaction.rows<{ timestamp: number }>(sql);
    if (row !== undefined) return row.timestamp;
  }
  return undefined;
}

const TRASHED = `${STORED}, filename, delete_time, purge_time`;

interface TrashRow extends StoredRow {
  filename: string;
  delete_time: number;
  purge_time: number;
}

function toTrashed(row: TrashRow): TrashedRecord {
  return { ...toStored(row), deleteTime: row.delete_time, purgeTime: row.purge_time };
}

/** Yields the images in the trash that match, the last deleted first. */
async function* trashHits(
  transaction: Transaction,
  query: string,
  after: PageRequest['after'],
): AsyncGenerator<TrashedRecord, void> {
  const condition = parseQuery(query);
  if (isNothing(condition)) return;
  const test = isEverything(condition) ? undefined : testOf(condition);
  let { timestamp, filename, inclusive = false } = after ?? { timestamp: LAST_DELETE, filename: '' };
  for (;;) {
    const sql = `
      SELECT ${TRASHED} FROM trash WHERE (delete_time, filename) ${inclusive ? '<=' : '<'} ($1, $2)
      ORDER BY delete_time DESC, filename DESC LIMIT ${TRASH_BATCH}`;
    const rows = await transaction.rows<TrashRow>(sql, [timestamp, filename]);
    for (const row of rows) {
      const record = toTrashed(row);
      const generation = row.generation === '' ? undefined : parseGeneration(row.generation);
      const settings = { generation, hasWorkflow: test !== undefined && settingsOf(record).hasWorkflow };
      if (test === undefined || test({ ...record, settings })) yield record;
    }
    if (rows.length < TRASH_BATCH) return;
    const last = rows.at(-1)!;
    [timestamp, filename, inclusive] = [last.delete_time, last.filename, false];
  }
}
