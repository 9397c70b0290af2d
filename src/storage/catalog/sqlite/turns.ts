/** Runs calls that pause: one slice a turn of the event loop, so that short calls run between, and each in its turn. */
import { setImmediate } from 'node:timers/promises';

interface Paused {
  steps: Generator<unknown, unknown>;
  resolve: (result: unknown) => void;
  reject: (error: unknown) => void;
}

export class Turns {
  /** Called before their first slice, which is the last for most. */
  readonly #fresh: Paused[] = [];
  readonly #begun: Paused[] = [];
  /** Runs one slice. */
  readonly #within: <T>(slice: () => T) => T;
  #isRunning = false;

  constructor(within: <T>(slice: () => T) => T) {
    this.#within = within;
  }

  /** Returns the result of the steps. */
  finish(steps: Generator<unknown, unknown>): Promise<unknown> {
    return new Promise((resolve, reject) => {
      this.#fresh.push({ steps, resolve, reject });
      if (!this.#isRunning) this.#run();
    });
  }

  /** Alternates between those that have begun and those that have not: neither keeps the other waiting. */
  async #run(): Promise<void> {
    this.#isRunning = true;
    for (let turn = 0; this.#fresh.length + this.#begun.length > 0; turn += 1) {
      const [first, second] = turn % 2 === 0 ? [this.#fresh, this.#begun] : [this.#begun, this.#fresh];
      this.#step((first.shift() ?? second.shift())!);
      await setImmediate();
    }
    this.#isRunning = false;
  }

  #step(paused: Paused): void {
    try {
      const step = this.#within(() => paused.steps.next());
      if (step.done) paused.resolve(step.value);
      else this.#begun.push(paused);
    } catch (error) {
      paused.reject(error);
    }
  }
}
