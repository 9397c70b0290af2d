/** Group commit: what is submitted while one group is being committed becomes the next group. */

const MAX_GROUP = 64;

export interface GroupCommitOptions<Change, Outcome> {
  /**
   * Commits a group as a whole; resolves with the outcome of each change, in their order. What it rejects with is the
   * error of every change of the group. The next group is taken once it has settled.
   */
  commit(group: Change[]): Promise<Outcome[]>;
  /** Runs before each group is taken: what is submitted until it resolves joins the group. */
  gather?(): Promise<unknown>;
}

interface Waiting<Change, Outcome> {
  change: Change;
  resolve: (outcome: Outcome) => void;
  reject: (error: unknown) => void;
}

/** Commits changes in the order of submission, one group of at most 64 at a time. */
export class GroupCommit<Change, Outcome> {
  readonly #options: GroupCommitOptions<Change, Outcome>;
  readonly #waiting: Waiting<Change, Outcome>[] = [];
  #running: Promise<void> | undefined;

  constructor(options: GroupCommitOptions<Change, Outcome>) {
    this.#options = options;
  }

  submit(change: Change): Promise<Outcome> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ change, resolve, reject });
      this.#running ??= this.#run();
    });
  }

  /** Resolves when nothing waits. */
  async idle(): Promise<void> {
    await this.#running;
  }

  async #run(): Promise<void> {
    while (this.#waiting.length > 0) {
      // Without it the first change goes at once, in the turn that submitted it.
      if (this.#options.gather) await this.#options.gather();
      const group = this.#waiting.splice(0, MAX_GROUP);
      try {
        const outcomes = await this.#options.commit(group.map(({ change }) => change));
        for (const [index, { resolve }] of group.entries()) resolve(outcomes[index]!);
      } catch (error) {
        for (const { reject } of group) reject(error);
      }
    }
    this.#running = undefined;
  }
}
