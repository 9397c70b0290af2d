/** Keeps SQLite's write-ahead log (WAL) short while a catalog is written. */
import { statSync } from 'node:fs';
import type { Connection } from './connection.ts';
import type { Gate } from './gate.ts';
import { checkpoint, isPassing, noteCheckpoint } from './opening.ts';

/** How far the log grows before it is copied into the database. */
const CHECKPOINT_BYTES = 4 * 1024 * 1024;
/** Emptying begins here; until the running slice of a read has ended, the log grows further. */
const MAX_BYTES = 24 * 1024 * 1024;

export class WriteAheadLog {
  readonly #db: Connection;
  readonly #path: string;
  readonly #gate: Gate;
  /** Its size at the last checkpoint. */
  #checkpointedBytes = 0;

  /** `catalogPath`: of the file that `db` has open; `gate`: what the reads of this process pass. */
  constructor(db: Connection, catalogPath: string, gate: Gate) {
    this.#db = db;
    this.#path = `${catalogPath}-wal`;
    this.#gate = gate;
  }

  /**
   * Replaces SQLite's own checkpoints, which cannot reset the log under steady readers and do not report a failed sync.
   * Never waits for a read: a large log is emptied between two slices. `growth`: in bytes, since the last checkpoint.
   */
  limit(growth: number = CHECKPOINT_BYTES): void {
    const bytes = this.#bytes();
    if (bytes < this.#checkpointedBytes + growth) return;
    this.#checkpoint('PASSIVE');
    if (bytes > MAX_BYTES) this.#gate.withoutReads(() => this.#empty());
  }

  #empty(): void {
    if (!this.#db.isOpen || this.#bytes() === 0) return;
    this.#db.withoutWaiting(() => this.#checkpoint('TRUNCATE'));
  }

  #checkpoint(mode: 'PASSIVE' | 'TRUNCATE'): void {
    try {
      if (checkpoint(this.#db, mode)) noteCheckpoint(this.#db);
      this.#checkpointedBytes = this.#bytes();
    } catch (error) {
      // The commit before is safe. A lack of space is retried later; after any other failure no sync may be trusted.
      if (!isPassing(error)) this.#db.doubt(error);
    }
  }

  #bytes(): number {
    return statSync(this.#path, { throwIfNoEntry: false })?.size ?? 0;
  }
}
