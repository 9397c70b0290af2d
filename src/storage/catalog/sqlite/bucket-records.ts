/** The tables that only object stores use, over one connection: keys of records, and pending operations. */
import { recordKey } from '../../domain/naming.ts';
import {
  type BucketNotes,
  type DueSweep,
  type FoundRecord,
  type KnownRecord,
  type ListedRecord,
  MISSING_ETAG,
  type PendingOperation,
} from '../bucket-catalog.ts';
import type { Connection } from './connection.ts';
import type { Row } from './rows.ts';

const ARRIVALS_KEPT_MS = 48 * 60 * 60 * 1000;
const MAX_KEY = '\u{10ffff}';

export class BucketRecords {
  readonly #db: Connection;

  constructor(db: Connection) {
    this.#db = db;
  }

  known(filename: string): KnownRecord | undefined {
    const etag = this.#db.value('SELECT etag FROM bucket_records WHERE key = ?', recordKey(filename));
    return etag === undefined ? undefined : { filename, etag: etag as string };
  }

  knownBetween({
    after = '',
    upTo = MAX_KEY,
    limit,
  }: {
    after?: string;
    upTo?: string;
    limit: number;
  }): ListedRecord[] {
    const sql = 'SELECT key, etag, delete_time FROM bucket_records WHERE key > ? AND key <= ? ORDER BY key LIMIT ?';
    return this.#db.all(sql, after, upTo, limit).map((row) => ({ ...toKnown(row), deleted: row.delete_time !== null }));
  }

  dueSweeps(now: number, limit: number): DueSweep[] {
    const sql = `
      SELECT key, etag, delete_time AS deleteTime FROM bucket_records
      WHERE sweep_time <= ? AND sweep_time IS NOT NULL ORDER BY sweep_time LIMIT ?`;
    return this.#db.all(sql, now, limit).map((row) => ({ ...toKnown(row), deleteTime: row.deleteTime as number }));
  }

  pendingOperations(): PendingOperation[] {
    const sql = `
      SELECT nonce, kind, filename, idempotency_key AS idempotencyKey, fingerprint, last_delete, keep_ms
      FROM pending_operations`;
    return this.#db.all(sql).map(({ last_delete: lastDelete, keep_ms: keepMs, ...operation }) => ({
      ...(operation as unknown as PendingOperation),
      ...(lastDelete !== null && { lastDelete: lastDelete as string }),
      ...(keepMs !== null && { keepMs: keepMs as number }),
    }));
  }

  isFilled(): boolean {
    return this.#db.value("SELECT 1 FROM store WHERE name = 'filled'") === 1;
  }

  begin(operation: PendingOperation): void {
    const { lastDelete = null, keepMs = null, ...rest } = operation;
    const sql = `
      INSERT OR REPLACE INTO pending_operations
      VALUES (:nonce, :kind, :filename, :idempotencyKey, :fingerprint, :lastDelete, :keepMs)`;
    this.#db.runNamed(sql, { ...rest, lastDelete, keepMs });
  }

  end(nonce: string): void {
    this.#db.run('DELETE FROM pending_operations WHERE nonce = ?', nonce);
  }

  notes(): BucketNotes {
    const noteOf = (name: string) => this.#db.value('SELECT value FROM store WHERE name = ?', name);
    const comparedAt = noteOf('compared') as number | undefined;
    return { probed: noteOf('probed') === 1, ...(comparedAt !== undefined && { comparedAt }) };
  }

  setFilled(comparedAt?: number): void {
    this.#setNote('filled', 1);
    if (comparedAt === undefined) return;
    this.#setNote('compared', comparedAt);
    this.#db.run('DELETE FROM arrivals WHERE time < ?', comparedAt - ARRIVALS_KEPT_MS);
  }

  setProbed(): void {
    this.#setNote('probed', 1);
  }

  #setNote(name: string, value: number): void {
    this.#db.run('INSERT OR REPLACE INTO store (name, value) VALUES (?, ?)', name, value);
  }

  setMissing(filename: string, over: string): void {
    const sql = 'UPDATE bucket_records SET etag = ? WHERE key = ? AND etag = ? AND delete_time IS NULL';
    this.#db.run(sql, MISSING_ETAG, recordKey(filename), over);
  }

  setSweepTime(filename: string, sweepTime: number): void {
    const sql = 'UPDATE bucket_records SET sweep_time = ? WHERE key = ? AND delete_time IS NOT NULL';
    this.#db.run(sql, sweepTime, recordKey(filename));
  }

  /** Notes the object that was found at the key of a record. */
  note(filename: string, found: FoundRecord, sweepTime: number): void {
    const key = recordKey(filename);
    if (found.kind === 'absent') {
      this.#db.run('DELETE FROM bucket_records WHERE key = ?', key);
      return;
    }
    const times = found.kind === 'tombstone' ? [found.tombstone.deleteTime, sweepTime] : [null, null];
    this.#db.run('INSERT OR REPLACE INTO bucket_records VALUES (?, ?, ?, ?)', key, found.etag, ...times);
  }
}

function toKnown({ key, etag }: Row): KnownRecord {
  const name = (key as string).slice((key as string).lastIndexOf('/') + 1);
  return { filename: name.slice(0, -'.json'.length), etag: etag as string };
}
