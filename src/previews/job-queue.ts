/** Which image is decoded next: the one that was asked for last; those that nobody waits for only while nobody saves. */
import type { Job } from './job.ts';

/** Of images that nobody waits for; the oldest is left to its first request. */
const MAX_BEHIND = 1_000;
/** The one that has waited longest is answered without a preview. */
const MAX_WANTED = 2_000;

export class JobQueue {
  /** The one last that was asked for last. */
  readonly #wanted = new Map<string, Job>();
  /** In the order of their saves. */
  readonly #behind = new Map<string, Job>();

  get size(): number {
    return this.#wanted.size + this.#behind.size;
  }

  get behind(): number {
    return this.#behind.size;
  }

  find(name: string): Job | undefined {
    return this.#wanted.get(name) ?? this.#behind.get(name);
  }

  /** Adds a job, or makes it the newest again. */
  want(job: Job): void {
    this.remove(job);
    this.#wanted.set(job.name, job);
    if (this.#wanted.size > MAX_WANTED) this.#dropFirst(this.#wanted);
  }

  /** Adds a job that nobody waits for. */
  addBehind(job: Job): void {
    this.#behind.set(job.name, job);
    if (this.#behind.size > MAX_BEHIND) this.#dropFirst(this.#behind);
  }

  /** Returns the next job, and leaves it there. */
  next(isQuiet: boolean): Job | undefined {
    let last: Job | undefined;
    for (const job of this.#wanted.values()) last = job;
    if (last !== undefined || !isQuiet) return last;
    return this.#behind.values().next().value;
  }

  remove({ name }: Job): void {
    this.#wanted.delete(name);
    this.#behind.delete(name);
  }

  /** Settles all: nothing more is made. */
  clear(): void {
    for (const jobs of [this.#wanted, this.#behind]) while (jobs.size > 0) this.#dropFirst(jobs);
  }

  #dropFirst(jobs: Map<string, Job>): void {
    const [first] = jobs.values();
    if (first === undefined) return;
    jobs.delete(first.name);
    first.settle(undefined);
  }
}
