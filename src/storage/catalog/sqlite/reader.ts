/** All reads of the SQLite catalog, synchronous, over a connection of its own. */

import type { ImageRecord, StoredRecord, TrashedRecord } from '../../domain/record.ts';
import type { GroupStatistics } from '../../domain/requests.ts';
import type { BucketNotes, DueSweep, KnownRecord, ListedRecord, PendingOperation } from '../bucket-catalog.ts';
import {
  CatalogError,
  type CatalogQuery,
  type CatalogStatistics,
  type CatalogTotals,
  type DueTrash,
  type Expired,
  type Grouping,
  type ImageSize,
  type PageRequest,
  type PendingUnlink,
  type RecordPage,
  type RowState,
  type SizesRequest,
  type Span,
  type Tombstone,
  type TrashPage,
  type UnhashedPage,
  type UnsyncedRecord,
  type UpdatedRecord,
} from '../catalog.ts';
import { BucketRecords } from './bucket-records.ts';
import { Connection } from './connection.ts';
import { wasDeleted } from './deleted-bytes.ts';
import { IN_TRASH } from './migrations/007-trash.ts';
import { damageOf } from './opening.ts';
import { PAUSE } from './pause.ts';
import { type Hit, Walk } from './query.ts';
import { updatedRecords } from './revisions.ts';
import {
  completed,
  cutSettings,
  EXPIRE_TIME,
  GENERATION,
  type PackedPage,
  type PackedSizes,
  packSizes,
  RECORD_COLUMNS,
  REVISION,
  type Row,
  type RowArray,
  THUMB_HASH,
  textBytesOf,
  toPage,
  toRecord,
  toStoredRecord,
} from './rows.ts';
import { StoredImage } from './stored-image.ts';
import { unhashed } from './thumb-hashes.ts';
import { TotalsReader } from './totals.ts';
import { Trash } from './trash.ts';

const ROW_OVERHEAD_BYTES = 1024;
const LISTED_GROUPS = 100;
const LARGEST_FIRST = 'ORDER BY bytes DESC, name';
const NEWEST_FIRST = 'ORDER BY name DESC';

/** The methods follow the contract; a generator returns the result after pauses, during which other calls may run. */
export class CatalogReader {
  readonly #db: Connection;
  readonly #walk: Walk;
  readonly #totals: TotalsReader;
  readonly #bucket: BucketRecords;
  readonly #trash: Trash;

  constructor({ path }: { path: string | URL }) {
    this.#db = new Connection(path, true);
    this.#walk = new Walk(this.#db);
    this.#totals = new TotalsReader(this.#db, this.#walk);
    this.#bucket = new BucketRecords(this.#db);
    this.#trash = new Trash(this.#db);
  }

  open(): void {
    this.#db.open();
  }

  close(): void {
    this.#db.close();
  }

  /** Returns the version of the schema. */
  version(): number {
    return this.#db.value('PRAGMA user_version') as number;
  }

  /** Throws a CatalogError `corrupt` where the file is damaged. Takes seconds for a large one. */
  check(): void {
    const damage = damageOf(this.#db);
    if (damage !== undefined) throw new CatalogError('corrupt', damage);
  }

  find(filename: string): StoredRecord | undefined {
    const sql = `
      SELECT ${RECORD_COLUMNS}, ${GENERATION} AS generation, ${REVISION} AS revision, ${EXPIRE_TIME} AS expireTime,
        ${THUMB_HASH} AS thumbHash
      FROM images WHERE filename = ? AND delete_time IS NULL`;
    const row = this.#db.get(sql, filename);
    return row && toStoredRecord(row);
  }

  findByKey(idempotencyKey: string): { record: ImageRecord; deleted: boolean } | undefined {
    const sql = `
      SELECT ${RECORD_COLUMNS}, ${THUMB_HASH} AS thumbHash, delete_time
      FROM images WHERE idempotency_key = ? AND idempotency_key <> ''`;
    const row = this.#db.get(sql, idempotencyKey);
    return row && { record: toRecord(row), deleted: row.delete_time !== null };
  }

  unhashed(before: number, limit: number): UnhashedPage {
    return unhashed(this.#db, before, limit);
  }

  lastSequence(): number {
    return Number(this.#db.value("SELECT seq FROM sqlite_sequence WHERE name = 'images'") ?? 0);
  }

  rowStates(filenames: readonly string[]): RowState[] {
    return filenames.map((filename) => {
      const row = this.#db.get('SELECT delete_time, unlink_pending FROM images WHERE filename = ?', filename);
      if (row === undefined) return 'absent';
      if (row.delete_time === null) return 'live';
      const isPending = row.unlink_pending === 1;
      if (row.delete_time === IN_TRASH) return isPending ? 'trashing' : 'trashed';
      return isPending ? 'unlinking' : 'deleted';
    });
  }

  *page(query: CatalogQuery, request: PageRequest): Generator<void, RecordPage> {
    return toPage(yield* this.packedPage(query, request));
  }

  /** As `page`, in a form that costs little to send. */
  *packedPage(query: CatalogQuery, { after, limit, maxBytes, view }: PageRequest): Generator<void, PackedPage> {
    const wanted = view === 'row' ? 'rows' : 'records';
    const rows: RowArray[] = [];
    let bytes = 0;
    for (const hit of this.#walk.hits(query, after, wanted)) {
      if (hit === PAUSE) {
        yield;
        continue;
      }
      if (rows.length === limit) return { rows, more: true };
      const row = wanted === 'records' ? completed(hit.row!) : this.#shown(hit);
      bytes += textBytesOf(row) + ROW_OVERHEAD_BYTES;
      if (rows.length > 0 && bytes > maxBytes) return { rows, more: true };
      rows.push(row);
    }
    return { rows, more: false };
  }

  #shown({ row, seq }: Hit): RowArray {
    return cutSettings(row!, () => new StoredImage(this.#db, seq).settings.generation);
  }

  *packedSizes(...request: Parameters<CatalogReader['pageSizes']>): Generator<void, PackedSizes> {
    return packSizes(yield* this.pageSizes(...request));
  }

  *pageSizes(query: CatalogQuery, { after, limit, group, since }: SizesRequest): Generator<void, ImageSize[]> {
    const sizes: ImageSize[] = [];
    for (const hit of this.#walk.hits(query, after, group ?? 'sizes')) {
      if (hit === PAUSE) {
        yield;
        continue;
      }
      const { seq, timestamp, filename, size, pinned, row } = hit;
      sizes.push({
        ...{ timestamp, filename, size, pinned },
        ...(group && { group: row![0] as string }),
        ...(since && { isChanged: seq > since.sequence }),
      });
      if (sizes.length === limit) break;
    }
    return sizes;
  }

  totals(query: CatalogQuery, grouping: Grouping): Generator<void, CatalogTotals> {
    return this.#totals.totals(query, grouping);
  }

  statistics(): CatalogStatistics {
    return this.#db.reads(() => this.#statistics());
  }

  #statistics(): CatalogStatistics {
    const [total, trash] = [this.#total('total'), this.#total('trash')];
    const [oldest, newest] = ['ASC', 'DESC'].map((direction) => this.#firstTimestamp(direction));
    return {
      ...total,
      pinnedCount: this.#total('pinned').count,
      trashCount: trash.count,
      trashBytes: trash.bytes,
      ...(oldest !== undefined && { oldest }),
      ...(newest !== undefined && { newest }),
      byModel: this.#groups('model', LARGEST_FIRST, total),
      byCategory: this.#groups('category', LARGEST_FIRST, total),
      byDate: this.#groups('date', NEWEST_FIRST, total),
    };
  }

  #total(kind: 'total' | 'pinned' | 'trash'): { count: number; bytes: number } {
    const row = this.#db.get("SELECT count, bytes FROM rollups WHERE kind = ? AND name = ''", kind);
    return row ? { count: row.count as number, bytes: row.bytes as number } : { count: 0, bytes: 0 };
  }

  #firstTimestamp(direction: string): number | undefined {
    const sql = `SELECT timestamp FROM images WHERE delete_time IS NULL ORDER BY timestamp ${direction} LIMIT 1`;
    return this.#db.value(sql) as number | undefined;
  }

  #groups(kind: string, order: string, total: { count: number; bytes: number }): GroupStatistics[] {
    const sql = `SELECT name, count, bytes FROM rollups WHERE kind = ? ${order} LIMIT ${LISTED_GROUPS}`;
    const groups = this.#db.all(sql, kind).map(toGroup);
    const count = groups.reduce((left, group) => left - group.count, total.count);
    const bytes = groups.reduce((left, group) => left - group.bytes, total.bytes);
    return count > 0 ? [...groups, { name: '', count, bytes, rest: true }] : groups;
  }

  findTrashed(filename: string): TrashedRecord | undefined {
    return this.#trash.find(filename);
  }

  trashPage(query: string, request: PageRequest): Generator<void, TrashPage> {
    return this.#trash.page(query, request);
  }

  dueTrash(limit: number, until?: number): DueTrash[] {
    return this.#trash.due(limit, until);
  }

  expired(limit: number, until: number): Expired[] {
    return this.#trash.expired(limit, until);
  }

  quietUntil(): number {
    return (this.#db.value("SELECT value FROM store WHERE name = 'quiet_until'") ?? 0) as number;
  }

  wasDeleted(sha256: string): boolean {
    return wasDeleted(this.#db, sha256);
  }

  arrivedSince(filenames: readonly string[], time: number): string[] {
    return this.#trash.arrivedSince(filenames, time);
  }

  /** Returns those of the live images whose rows came after this sequence. */
  newerThan(filenames: readonly string[], sequence: number): string[] {
    const sql = 'SELECT seq > ? FROM images WHERE filename = ? AND delete_time IS NULL';
    return filenames.filter((filename) => this.#db.value(sql, sequence, filename) === 1);
  }

  known(filename: string): KnownRecord | undefined {
    return this.#bucket.known(filename);
  }

  knownBetween(range: { after?: string; upTo?: string; limit: number }): ListedRecord[] {
    return this.#bucket.knownBetween(range);
  }

  dueSweeps(now: number, limit: number): DueSweep[] {
    return this.#bucket.dueSweeps(now, limit);
  }

  pendingOperations(): PendingOperation[] {
    return this.#bucket.pendingOperations();
  }

  notes(): BucketNotes {
    return this.#bucket.notes();
  }

  isFilled(): boolean {
    return this.#bucket.isFilled();
  }

  pendingUnlinks(limit: number): PendingUnlink[] {
    const sql = `
      SELECT images.filename, images.model, images.size, sha256, idempotency_key AS idempotencyKey, fingerprint,
        ifnull(trash.delete_time, images.delete_time) AS deleteTime, attempts
      FROM images LEFT JOIN trash USING (seq) WHERE unlink_pending = 1 LIMIT ?`;
    return this.#db.all(sql, limit).map(({ attempts, ...row }) => ({
      ...(row as unknown as Omit<PendingUnlink, 'inTrash' | 'attempts'>),
      inTrash: attempts !== null,
      attempts: (attempts ?? 0) as number,
    }));
  }

  /** Ends before the first row that is too young, so that the sequence may move up to the last one returned. */
  unsyncedRecords(limit: number, young: Span = { from: 0, to: 0 }): UnsyncedRecord[] {
    const sql = `
      SELECT seq AS sequence, filename, create_time AS createTime FROM images
      WHERE seq > (SELECT value FROM store WHERE name = 'records_synced') AND delete_time IS NULL
      ORDER BY seq LIMIT ?`;
    const unsynced: UnsyncedRecord[] = [];
    for (const row of this.#db.iterate(sql, limit)) {
      const { sequence, filename, createTime } = row as { sequence: number; filename: string; createTime: number };
      if (createTime >= young.from && createTime < young.to) break;
      unsynced.push({ sequence, filename });
    }
    return unsynced;
  }

  updatedRecords(limit: number): UpdatedRecord[] {
    return updatedRecords(this.#db, limit);
  }

  /** Returns the deleted images; of a damaged catalog, those that can still be read. */
  tombstones(): Tombstone[] {
    const sql = `SELECT ${RECORD_COLUMNS}, delete_time, unlink_pending FROM images WHERE seq = ?`;
    const tombstones = this.#readableSequences().map((seq) => readable(() => toTombstone(this.#db.get(sql, seq)!)));
    return tombstones.filter((tombstone) => tombstone !== undefined);
  }

  #readableSequences(): number[] {
    const sequences: number[] = [];
    const sql = `SELECT seq FROM images INDEXED BY images_deleted WHERE delete_time < ${IN_TRASH}`;
    readable(() => {
      for (const { seq } of this.#db.iterate(sql)) sequences.push(seq as number);
    });
    return sequences;
  }
}

function readable<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
}

function toTombstone(row: Row): Tombstone {
  return { record: toRecord(row), deleteTime: row.delete_time as number, unlinkPending: row.unlink_pending === 1 };
}

function toGroup({ name, count, bytes }: Row): GroupStatistics {
  return { name, count, bytes, rest: false } as GroupStatistics;
}
