/** Collects what changes of images add to the sums that statistics are read from, and take from them. */

import { utcDay } from '../domain/naming.ts';
import type { ImageRecord } from '../domain/record.ts';

/** kind: total, pinned and trash (name ''), model, category, date, tag, lora. */
export interface NamedSum {
  kind: string;
  name: string;
  count: number;
  bytes: number;
}

/** What of an image the sums depend on. */
export type Summed = Pick<ImageRecord, 'model' | 'category' | 'timestamp' | 'pinned' | 'size'>;

export interface Labelled extends Pick<ImageRecord, 'tags' | 'size'> {
  loras: readonly string[];
}

/** Returns each of the labels once, or the name under which images without any are counted. */
export function namesOf(labels: readonly string[]): Iterable<string> {
  return labels.length === 0 ? [''] : new Set(labels);
}

export class Sums {
  readonly #sums = new Map<string, NamedSum>();

  add(image: Summed): void {
    this.#count(image, 1);
  }

  remove(image: Summed): void {
    this.#count(image, -1);
  }

  addLabels(image: Labelled): void {
    this.#countLabels(image, 1);
  }

  removeLabels(image: Labelled): void {
    this.#countLabels(image, -1);
  }

  addTrash(size: number): void {
    this.to('trash', '', 1, size);
  }

  removeTrash(size: number): void {
    this.to('trash', '', -1, size);
  }

  /** Returns those that changed. */
  changed(): NamedSum[] {
    return [...this.#sums.values()].filter(({ count, bytes }) => count !== 0 || bytes !== 0);
  }

  /** `sign`: whether it is added, or taken away. */
  to(kind: string, name: string, sign: 1 | -1, size: number): void {
    const key = `${kind} ${name}`;
    const sum = this.#sums.get(key) ?? { kind, name, count: 0, bytes: 0 };
    sum.count += sign;
    sum.bytes += sign * size;
    this.#sums.set(key, sum);
  }

  #count({ model, category, timestamp, pinned, size }: Summed, sign: 1 | -1): void {
    this.to('total', '', sign, size);
    if (pinned) this.to('pinned', '', sign, size);
    this.to('model', model, sign, size);
    this.to('category', category, sign, size);
    this.to('date', utcDay(timestamp), sign, size);
  }

  #countLabels({ tags, loras, size }: Labelled, sign: 1 | -1): void {
    for (const tag of namesOf(tags)) this.to('tag', tag, sign, size);
    for (const lora of namesOf(loras)) this.to('lora', lora, sign, size);
  }
}
