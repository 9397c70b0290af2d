/** Keeps the latest values by their tokens, for the calls that follow. */

const MAX_KEPT = 20;

export class Recent<T> {
  readonly #values = new Map<string, T>();

  get(token: string | undefined): T | undefined {
    return token === undefined ? undefined : this.#values.get(token);
  }

  set(token: string, value: T): void {
    this.#values.set(token, value);
    for (const old of [...this.#values.keys()].slice(0, -MAX_KEPT)) this.#values.delete(old);
  }

  delete(token: string): void {
    this.#values.delete(token);
  }
}
