/** The rollups that statistics are read from: collects what a transaction adds and removes, and writes it once. */

import { utcDay } from '../../domain/naming.ts';
import type { ImageRecord } from '../../domain/record.ts';
import type { Connection } from './connection.ts';

interface Sum {
  kind: string;
  name: string;
  count: number;
  bytes: number;
}

export interface Labelled extends Pick<ImageRecord, 'tags' | 'size'> {
  loras: readonly string[];
}

/** Returns each of the labels once, or the name under which images without any are counted. */
export function namesOf(labels: readonly string[]): Iterable<string> {
  return labels.length === 0 ? [''] : new Set(labels);
}

export class Rollups {
  readonly #sums = new Map<string, Sum>();

  add(record: ImageRecord): void {
    this.#count(record, 1);
  }

  remove(record: ImageRecord): void {
    this.#count(record, -1);
  }

  addLabels(image: Labelled): void {
    this.#countLabels(image, 1);
  }

  removeLabels(image: Labelled): void {
    this.#countLabels(image, -1);
  }

  addTrash(size: number): void {
    this.#to('trash', '', 1, size);
  }

  removeTrash(size: number): void {
    this.#to('trash', '', -1, size);
  }

  /** Writes the sums. Requires that the transaction is open and has made its last change. */
  write(db: Connection): void {
    for (const { kind, name, count, bytes } of this.#sums.values()) {
      if (count === 0 && bytes === 0) continue;
      db.run(
        `INSERT INTO rollups (kind, name, count, bytes) VALUES (?, ?, ?, ?)
         ON CONFLICT DO UPDATE SET count = count + excluded.count, bytes = bytes + excluded.bytes`,
        kind,
        name,
        count,
        bytes,
      );
      if (count < 0) db.run('DELETE FROM rollups WHERE kind = ? AND name = ? AND count = 0', kind, name);
    }
  }

  #count({ model, category, timestamp, pinned, size }: ImageRecord, sign: 1 | -1): void {
    this.#to('total', '', sign, size);
    if (pinned) this.#to('pinned', '', sign, size);
    this.#to('model', model, sign, size);
    this.#to('category', category, sign, size);
    this.#to('date', utcDay(timestamp), sign, size);
  }

  #countLabels({ tags, loras, size }: Labelled, sign: 1 | -1): void {
    for (const tag of namesOf(tags)) this.#to('tag', tag, sign, size);
    for (const lora of namesOf(loras)) this.#to('lora', lora, sign, size);
  }

  #to(kind: string, name: string, sign: 1 | -1, size: number): void {
    const key = `${kind} ${name}`;
    const sum = this.#sums.get(key) ?? { kind, name, count: 0, bytes: 0 };
    sum.count += sign;
    sum.bytes += sign * size;
    this.#sums.set(key, sum);
  }
}
