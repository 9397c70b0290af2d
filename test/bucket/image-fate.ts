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

/** A deed under way, or one whose answer never came: it may still happen, once. */
export interface OpenDeed {
  deed: Deed;
}

/** One of the courses that things may have taken: what is there, and for each open deed whether it was done, or refused. */
interface Course {
  state: State;
  outcomes: ('open' | 'done' | 'refused')[];
}

/** With more at once, everything counts as possible. */
const MOST_OPEN = 6;
const ANYTHING: readonly State[] = ['live', 'trashed', 'gone'];

export class Fate {
  readonly #trash: TrashRule | undefined;
  #courses: Course[] = [{ state: 'live', outcomes: [] }];
  readonly #open: OpenDeed[] = [];
  #begun = 0;
  #isLost = false;
  /** Before that, nothing is purged by its age. */
  #purgeFrom = Number.POSITIVE_INFINITY;

  /** Without a trash deletes are for good. */
  constructor(trash?: TrashRule) {
    this.#trash = trash;
  }

  get possible(): ReadonlySet<State> {
    this.#follow();
    return new Set(this.#isLost ? ANYTHING : this.#courses.map(({ state }) => state));
  }

  get isLive(): boolean {
    return this.#open.length === 0 && this.isSurely('live');
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
    this.#begun += 1;
    this.#follow();
    const open = { deed };
    this.#open.push(open);
    this.#isLost ||= this.#open.length > MOST_OPEN;
    this.#courses = this.#isLost
      ? []
      : this.#courses.map(({ state, outcomes }) => ({ state, outcomes: [...outcomes, 'open'] }));
    if (deed === 'delete' && this.#trash) {
      this.#purgeFrom = Math.min(this.#purgeFrom, this.#trash.now() + this.#trash.keepMs);
    }
    return open;
  }

  /** Without an end a deed stays open. */
  end(deed: OpenDeed, outcome: 'done' | 'refused'): void {
    this.#close(deed, outcome);
    if (this.#open.length === 0 && this.isSurely('live')) this.#purgeFrom = Number.POSITIVE_INFINITY;
  }

  /** The deed failed, and has changed nothing. */
  drop(deed: OpenDeed): void {
    this.#close(deed, 'open');
  }

  /** Nothing is open any more, and this is what is there. */
  settle(state: State, purgeTime: number = Number.POSITIVE_INFINITY): void {
    this.#open.length = 0;
    this.#isLost = false;
    this.#courses = [{ state, outcomes: [] }];
    this.#purgeFrom = purgeTime;
  }

  #close(deed: OpenDeed, outcome: Course['outcomes'][number]): void {
    this.#follow();
    const at = this.#open.indexOf(deed);
    this.#open.splice(at, 1);
    if (this.#isLost) return;
    const before = [...this.possible];
    this.#courses = this.#courses
      .filter(({ outcomes }) => outcomes[at] === outcome)
      .map(({ state, outcomes }) => ({ state, outcomes: outcomes.toSpliced(at, 1) }));
    expect(this.#courses, `${deed.deed} ${outcome} of what may be ${before}`).not.toEqual([]);
  }

  /** Lets all that is open happen, or not, in any order. */
  #follow(): void {
    const known = new Map(this.#courses.map((course) => [JSON.stringify(course), course]));
    for (const course of known.values()) {
      for (const next of this.#nextOf(course)) known.set(JSON.stringify(next), next);
    }
    this.#courses = [...known.values()];
  }

  *#nextOf({ state, outcomes }: Course): Generator<Course> {
    const isOverdue = this.#trash !== undefined && this.#trash.now() >= this.#purgeFrom;
    if (isOverdue && state === 'trashed') yield { state: 'gone', outcomes };
    for (const [at, { deed }] of this.#open.entries()) {
      if (outcomes[at] !== 'open') continue;
      const result = this.#resultOf(deed, state);
      if (result !== undefined) yield { state: result, outcomes: outcomes.with(at, 'done') };
      // It looks first in one place, then in the other.
      const mayMiss = deed === 'destroy' && this.#open.length > 1;
      if (result === undefined || mayMiss) yield { state, outcomes: outcomes.with(at, 'refused') };
      // Of two restores at once, both may tell that they did it.
      if (deed === 'restore' && state === 'live' && this.#open.length > 1) {
        yield { state, outcomes: outcomes.with(at, 'done') };
      }
    }
  }

  /** Returns what the deed makes of an image, or undefined where it is refused. */
  #resultOf(deed: Deed, state: State): State | undefined {
    if (state === 'gone') return undefined;
    if (deed === 'destroy') return 'gone';
    if (deed === 'delete') return state !== 'live' ? undefined : this.#trash ? 'trashed' : 'gone';
    if (state === 'live') return undefined;
    return deed === 'restore' ? 'live' : 'gone';
  }
}
