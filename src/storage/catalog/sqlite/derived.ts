/** What follows from the images that a transaction adds and removes: the rollups and the text index. */
import type { ImageRecord } from '../../domain/record.ts';
import type { Connection } from './connection.ts';
import { Rollups } from './rollups.ts';
import { areTagsCounted } from './tag-counts.ts';
import { TextIndex } from './text-index.ts';

/** Collects the changes of one transaction, and writes them once. */
export class Derived {
  readonly #db: Connection;
  readonly #rollups = new Rollups();
  readonly #texts: TextIndex;

  constructor(db: Connection) {
    this.#db = db;
    this.#texts = new TextIndex(db);
  }

  add(seq: number, record: ImageRecord): void {
    this.#rollups.add(record);
    if (areTagsCounted(this.#db, record)) this.#rollups.addTags(record);
    this.#texts.add(seq, record);
  }

  remove(seq: number, record: ImageRecord): void {
    this.#rollups.remove(record);
    if (areTagsCounted(this.#db, record)) this.#rollups.removeTags(record);
    this.#texts.remove(seq, record);
  }

  /** Requires that the transaction is open and has made its last change. */
  write(): void {
    this.#rollups.write(this.#db);
    this.#texts.write();
  }
}
