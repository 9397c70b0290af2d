/** Gives the event loop back during long work. */
import { setImmediate } from 'node:timers/promises';

/** The longest that one piece of work holds the event loop. */
export const TURN_MS = 10;

/** A stretch of work on the event loop, to be asked between its steps. */
export class Turn {
  #began: number = performance.now();

  get isOver(): boolean {
    return performance.now() - this.#began >= TURN_MS;
  }

  /** Lets other work run once this turn is over. */
  async giveBack(): Promise<void> {
    if (!this.isOver) return;
    await setImmediate();
    this.#began = performance.now();
  }
}
