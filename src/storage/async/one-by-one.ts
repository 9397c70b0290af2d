/** Lets many callers go on one by one: one a turn of the event loop, so that other work runs between them. */

export class OneByOne {
  /** Those who have not gone on before: most are soon done. */
  readonly #fresh: (() => void)[] = [];
  readonly #begun: (() => void)[] = [];
  #turn = 0;
  #isServing = false;

  /** Resolves when it is this caller's turn. Fresh callers and others alternate, each in the order of their calls. */
  next(isFresh: boolean): Promise<void> {
    return new Promise((resolve) => {
      (isFresh ? this.#fresh : this.#begun).push(resolve);
      if (!this.#isServing) setImmediate(() => this.#serve());
      this.#isServing = true;
    });
  }

  #serve(): void {
    const [first, second] = this.#turn % 2 === 0 ? [this.#fresh, this.#begun] : [this.#begun, this.#fresh];
    this.#turn += 1;
    const caller = first.shift() ?? second.shift();
    this.#isServing = caller !== undefined;
    if (caller === undefined) return;
    caller();
    setImmediate(() => this.#serve());
  }
}
