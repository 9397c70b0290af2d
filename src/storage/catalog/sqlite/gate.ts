/** Keeps the reads of one thread and the checkpoints of another apart, without either waiting long for the other. */

const STATE = 0;
const OPEN = 0;
const READING = 1;
const CLOSED = 2;
const WANTED = 1;

/** The longest that a read waits for a checkpoint that was asked for and does not begin. */
const PATIENCE_MS = 100;

export class Gate {
  /** To be given to the other thread. */
  readonly memory: SharedArrayBuffer;
  readonly #cells: Int32Array;
  #isWaiting = false;

  constructor(memory: SharedArrayBuffer = new SharedArrayBuffer(2 * Int32Array.BYTES_PER_ELEMENT)) {
    this.memory = memory;
    this.#cells = new Int32Array(memory);
  }

  /** Runs a slice of a read, after a checkpoint that waits or runs. */
  read<T>(slice: () => T): T {
    this.#enter();
    try {
      return slice();
    } finally {
      this.#set(STATE, OPEN);
    }
  }

  #enter(): void {
    if (Atomics.wait(this.#cells, WANTED, 1, PATIENCE_MS) === 'timed-out') this.#set(WANTED, 0);
    while (Atomics.compareExchange(this.#cells, STATE, OPEN, READING) !== OPEN) {
      Atomics.wait(this.#cells, STATE, CLOSED);
    }
  }

  /** Runs the work while no read runs: now, or once the running slice has ended. Does nothing while one waits so. */
  withoutReads(work: () => void): void {
    if (this.#isWaiting) return;
    if (Atomics.compareExchange(this.#cells, STATE, OPEN, CLOSED) !== OPEN) {
      this.#ask(work);
      return;
    }
    try {
      work();
    } finally {
      this.#set(WANTED, 0);
      this.#set(STATE, OPEN);
    }
  }

  #ask(work: () => void): void {
    Atomics.store(this.#cells, WANTED, 1);
    const waited = Atomics.waitAsync(this.#cells, STATE, READING);
    this.#isWaiting = true;
    Promise.resolve(waited.value).then(() => {
      this.#isWaiting = false;
      this.withoutReads(work);
    });
  }

  /** Opens the gate after the reading thread has died. */
  reset(): void {
    this.#set(WANTED, 0);
    this.#set(STATE, OPEN);
  }

  #set(cell: number, value: number): void {
    Atomics.store(this.#cells, cell, value);
    Atomics.notify(this.#cells, cell);
  }
}
