/** What follows from the images that a transaction adds and removes: the rollups and the text index. */
import type { ImageRecord } from '../../domain/record.ts';
import type { Settings } from '../generation-settings.ts';
import type { SearchedText } from '../searched-text.ts';
import type { Labelled } from '../sums.ts';
import type { Connection } from './connection.ts';
import { areLabelsCounted, countedFrom, lorasOf, type Position } from './label-counts.ts';
import { Rollups } from './rollups.ts';
import { TextIndex } from './text-index.ts';

/** Collects the changes of one transaction, and writes them once. */
export class Derived {
  readonly #db: Connection;
  readonly #rollups = new Rollups();
  readonly #texts: TextIndex;
  #counted: { from: Position | undefined } | undefined;

  constructor(db: Connection) {
    this.#db = db;
    this.#texts = new TextIndex(db);
  }

  /** `searched`: made in advance. */
  add(seq: number, record: ImageRecord, searched?: SearchedText): void {
    this.#rollups.add(record);
    const settings = this.#texts.add(seq, record, searched);
    const labels = this.#labelsOf(seq, record, settings);
    if (labels !== undefined) this.#rollups.addLabels(labels);
  }

  remove(seq: number, record: ImageRecord): void {
    this.#rollups.remove(record);
    // Before the settings go, which have the LoRAs.
    const labels = this.#labelsOf(seq, record);
    if (labels !== undefined) this.#rollups.removeLabels(labels);
    this.#texts.remove(seq, record);
  }

  addTrash(size: number): void {
    this.#rollups.addTrash(size);
  }

  removeTrash(size: number): void {
    this.#rollups.removeTrash(size);
  }

  /** Requires that the row has the changes. */
  update(seq: number, before: ImageRecord, after: ImageRecord): void {
    this.#rollups.remove(before);
    this.#rollups.add(after);
    const labels = this.#labelsOf(seq, before);
    if (labels !== undefined) {
      this.#rollups.removeLabels(labels);
      this.#rollups.addLabels({ ...labels, tags: after.tags });
    }
    this.#texts.update(seq, after);
  }

  /** Returns undefined where `countOlder` counts them. */
  #labelsOf(seq: number, record: ImageRecord, settings?: Settings): Labelled | undefined {
    // No transaction that has changes moves it.
    this.#counted ??= { from: countedFrom(this.#db) };
    if (!areLabelsCounted(this.#counted.from, record)) return undefined;
    return { size: record.size, tags: record.tags, loras: lorasOf(this.#db, seq, settings) };
  }

  /** Requires that the transaction is open and has made its last change. */
  write(): void {
    this.#rollups.write(this.#db);
    this.#texts.write();
  }
}
