/** What may have become of an image, by the answers to all that was done to it: live, in the trash or gone. */
import { expect } from 'vitest';

export type State = 'live' | 'trashed' | 'gone';
/** `destroy`: a delete for good. */
export type Deed = 'delete' | 'destroy' | 'restore' | 'purge';

/** How long the trash keeps an image, and the time. */
export interface TrashRule {
  keepMs: number;
  now: () => number;
}

/** A deed under way, or one whose answer never came: it may still happen. */
interface OpenDeed {
  deed: Deed;
  /** What could be there when it began, itself included. */
  possible: ReadonlySet<State>;
  /** Nothing else was open, and this was the last that began. */
  isAlone: boolean;
  number: number;
}

export class Fate {
  readonly #trash: TrashRule | undefined;
  #possible: ReadonlySet<State> = new Set(['live']);
  readonly #open = new Set<OpenDeed>();
  #begun = 0;
  /** Before that, nothing is purged by its age. */
  #purgeFrom = Number.POSITIVE_INFINITY;

  /** Without a trash deletes are for good. */
  constructor(trash?: TrashRule) {
    this.#trash = trash;
  }

  get possible(): ReadonlySet<State> {
    const deeds: Deed[] = [...this.#open].map(({ deed }) => deed);
    if (this.#trash && this.#trash.now() >= this.#purgeFrom) deeds.push('purge');
    this.#possible = this.#reached(this.#possible, deeds);
    return this.#possible;
  }

  get isLive(): boolean {
    return this.#open.size === 0 && this.isSurely('live');
  }

  isSurely(...states: State[]): boolean {
    return [...this.possible].every((state) => states.includes(state));
  }

  /** Returns a function that tells whether a deed began since. */
  watch(): () => boolean {
    const begun = this.#begun;
    return () => this.#begun !== begun;
  }

  begin(deed: Deed): OpenDeed {
    const isAlone = this.#open.size === 0;
    this.#begun += 1;
    const possible = this.possible;
    const begun: OpenDeed = { deed, possible, isAlone, number: this.#begun };
    this.#open.add(begun);
    if (deed === 'delete' && this.#trash) {
      this.#purgeFrom = Math.min(this.#purgeFrom, this.#trash.now() + this.#trash.keepMs);
    }
    return begun;
  }

  /** Without an end a deed stays open. */
  end(deed: OpenDeed, wasDone: boolean): void {
    const isAlone = deed.isAlone && deed.number === this.#begun;
    const steps = this.#stepsOf(deed.deed).filter(([from]) => deed.possible.has(from));
    if (wasDone) expect(steps.length > 0 || !isAlone, `${deed.deed} of what was ${[...deed.possible]}`).toBe(true);
    this.#possible = this.possible;
    this.#open.delete(deed);
    if (wasDone && (deed.deed === 'purge' || this.#stepsOf(deed.deed).every(([, to]) => to === 'gone'))) {
      this.#possible = new Set(['gone']);
    } else if (isAlone) {
      const left = wasDone
        ? steps.map(([, to]) => to)
        : [...deed.possible].filter((state) => !steps.some(([from]) => from === state));
      expect(left, `${deed.deed} not done of what was ${[...deed.possible]}`).not.toEqual([]);
      this.#possible = new Set(left);
    }
    if (this.isSurely('live')) this.#purgeFrom = Number.POSITIVE_INFINITY;
  }

  /** The deed was refused, and has changed nothing. */
  drop(deed: OpenDeed): void {
    this.#possible = this.possible;
    this.#open.delete(deed);
  }

  /** Nothing is open any more, and this is what is there. */
  settle(state: State, purgeTime = Number.POSITIVE_INFINITY): void {
    this.#open.clear();
    this.#possible = new Set([state]);
    this.#purgeFrom = purgeTime;
  }

  #stepsOf(deed: Deed): [State, State][] {
    if (deed === 'restore') return [['trashed', 'live']];
    if (deed === 'purge') return [['trashed', 'gone']];
    if (deed === 'delete') return [['live', this.#trash ? 'trashed' : 'gone']];
    return [
      ['live', 'gone'],
      ['trashed', 'gone'],
    ];
  }

  #reached(from: ReadonlySet<State>, deeds: Deed[]): ReadonlySet<State> {
    const reached = new Set(from);
    for (let size = 0; size !== reached.size; ) {
      size = reached.size;
      for (const [start, end] of deeds.flatMap((deed) => this.#stepsOf(deed))) if (reached.has(start)) reached.add(end);
    }
    return reached;
  }
}
