/** Tells which live images an open index has learnt or changed since a moment. */
import { randomUUID } from 'node:crypto';
import type { Change, ChangeOutcome, ImageSize, Moment } from './catalog.ts';

/** Some two megabytes. */
const MAX_REMEMBERED = 20_000;

/**
 * New rows are told by their sequence, which every row of a new, copied, adopted or found image has; the names of those that
 * were changed where they are, by an update or a restore, are kept in memory, the last 20,000. An index that is opened
 * again remembers nothing.
 */
export class RecentChanges {
  readonly #index = randomUUID();
  readonly #changedAt = new Map<string, number>();
  #changes = 0;
  /** Of earlier moments it is not known any more what was changed since. */
  #rememberedFrom = 0;

  /** `sequence`: the highest one that a row had. */
  momentAt(sequence: number): Moment {
    return { index: this.#index, sequence, changes: this.#changes };
  }

  remembers({ index, changes }: Moment): boolean {
    return index === this.#index && changes >= this.#rememberedFrom;
  }

  /** Requires that the changes are committed. */
  note(changes: readonly Change[], outcomes: readonly ChangeOutcome[]): void {
    for (const [at, { kind, ...change }] of changes.entries()) {
      if ((kind === 'update' || kind === 'restore') && outcomes[at]!.done)
        this.#noteOne(change as { filename: string });
    }
  }

  #noteOne({ filename }: { filename: string }): void {
    this.#changes += 1;
    // Behind the others: the first in the map is the one that was changed the longest ago.
    this.#changedAt.delete(filename);
    this.#changedAt.set(filename, this.#changes);
    if (this.#changedAt.size <= MAX_REMEMBERED) return;
    const [first, change] = this.#changedAt.entries().next().value!;
    this.#changedAt.delete(first);
    this.#rememberedFrom = change;
  }

  /** Notes that any number of images may have been changed. */
  noteMany(): void {
    this.#changes += 1;
    this.#changedAt.clear();
    this.#rememberedFrom = this.#changes;
  }

  isChangedSince(filename: string, { changes }: Moment): boolean {
    return (this.#changedAt.get(filename) ?? 0) > changes;
  }

  /** Marks those that were changed, beside those whose rows are new. */
  mark(images: ImageSize[], since: Moment | undefined): ImageSize[] {
    if (since === undefined) return images;
    return images.map((image) => ({
      ...image,
      isChanged: image.isChanged === true || this.isChangedSince(image.filename, since),
    }));
  }
}
