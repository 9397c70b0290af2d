/** How long reads are spent in slices. */

/** Yielded between two slices, when no read transaction is open and other calls may run. */
export const PAUSE: unique symbol = Symbol('pause');

const SLICE_MS = 10;

/** The time that a read takes before it pauses. */
export class Slice {
  readonly #end: number = performance.now() + SLICE_MS;

  get isOver(): boolean {
    return performance.now() > this.#end;
  }
}
