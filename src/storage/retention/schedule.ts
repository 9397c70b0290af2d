/**
 * Runs what goes by itself in a provider: its policies, each first as a plan in the log, and images whose time is over.
 * Nothing depends on when, or how often, that is: each run decides by what the catalog has then.
 */
import { formatBytes } from '../domain/byte-size.ts';
import { StorageError } from '../domain/errors.ts';
import type { Logger } from '../domain/logger.ts';
import type { RunOutcome } from '../domain/meter.ts';
import { hashOf, type Policy } from '../domain/policy.ts';
import { PurgeClock } from '../domain/purge-clock.ts';
import type { PolicyStatistics } from '../domain/requests.ts';
import type { Cleaned } from './cleanup.ts';
import { type PolicyRun, PolicyRuns, type TextFile } from './policy-runs.ts';

const TICK_MS = 1_000;
const EXPIRE_EVERY_MS = 60_000;
const TRY_AGAIN_MS = 60_000;
/** A time that lies further ahead was noted under a wrong clock. */
const MAX_AHEAD_MS = 5 * 60_000;
/** How many reasons a line of the log names. */
const LOGGED_REASONS = 10;

export interface ScheduleOptions {
  provider: string;
  policies: readonly Policy[];
  log: Logger;
  now: () => number;
  /** As that of a PurgeClock. */
  elapsed?: (() => number) | undefined;
  file: TextFile;
  /** Called at the end of each run. */
  onRun?: ((policy: string, outcome: RunOutcome, deletedImages: number) => void) | undefined;
  /** Returns until when nothing goes by itself, ms since 1970. */
  quietUntil(): Promise<number>;
  /** Returns whether this process may run the policy now: no other has within the time. */
  claim(policy: string, everyMs: number): Promise<boolean>;
  clean(policy: Policy, options: { dryRun: boolean; signal: AbortSignal }): Promise<Cleaned>;
  /** Removes images whose time is over. */
  expire(signal: AbortSignal): Promise<{ count: number; bytes: number }>;
}

export class RetentionSchedule {
  readonly #options: ScheduleOptions;
  readonly #names: string[];
  readonly #elapsed: () => number;
  readonly #clock: PurgeClock;
  readonly #runs: PolicyRuns;
  readonly #closing = new AbortController();
  #timer: NodeJS.Timeout | undefined;
  #running: Promise<void> = Promise.resolve();
  #nextExpiry = Number.NEGATIVE_INFINITY;
  #pausedUntil = Number.NEGATIVE_INFINITY;
  /** The failure that was logged last. */
  #failure = '';

  constructor(options: ScheduleOptions) {
    const { now, elapsed = () => performance.now(), policies, file } = options;
    this.#options = options;
    this.#elapsed = elapsed;
    this.#names = policies.map(({ name }) => name);
    this.#clock = new PurgeClock({ now, elapsed });
    this.#runs = new PolicyRuns(file);
  }

  start(): void {
    this.#timer = setTimeout(() => {
      this.#running = this.tick().finally(() => {
        if (!this.#closing.signal.aborted) this.start();
      });
    }, TICK_MS).unref();
  }

  /** Ends what runs, between two groups of images. */
  async stop(): Promise<void> {
    this.#closing.abort();
    clearTimeout(this.#timer);
    await this.#running;
  }

  statistics(): Promise<PolicyStatistics[]> {
    return Promise.all(this.#names.map((name) => this.#runs.statistics(name)));
  }

  /** Does what is due. Never rejects. */
  async tick(): Promise<void> {
    const isLongOpen = this.#clock.mayPurge();
    if (this.#elapsed() < this.#pausedUntil) return;
    try {
      await this.#work(isLongOpen);
    } catch (error) {
      this.#pausedUntil = this.#elapsed() + TRY_AGAIN_MS;
      this.#warn(error);
    }
  }

  async #work(isLongOpen: boolean): Promise<void> {
    const { now, policies, quietUntil } = this.#options;
    const mayRun = async () => isLongOpen && now() >= (await quietUntil());
    const works = policies.map((policy) => () => this.#runIfDue(policy, mayRun));
    await eachInTurn([...works, () => this.#expireIfDue(mayRun)]);
    this.#failure = '';
  }

  async #runIfDue(policy: Policy, mayRun: () => Promise<boolean>): Promise<void> {
    const now = this.#options.now();
    const run = await this.#runs.get(policy.name);
    const isAhead = run !== undefined && run.lastRun > now + MAX_AHEAD_MS;
    if (run?.hash !== hashOf(policy) || (run.announced && isAhead)) await this.#announce(policy, now);
    else if ((isAhead || now >= run.nextRun) && (await mayRun())) await this.#run(policy, run, now);
  }

  async #announce(policy: Policy, now: number): Promise<void> {
    const result = await this.#clean(policy, true);
    this.#options.onRun?.(policy.name, 'planned', 0);
    const nextRun = now + policy.delayMs;
    await this.#note(policy, { ...amountsOf(result), lastRun: now, nextRun, announced: true });
    const from = new Date(nextRun).toISOString();
    this.#log(
      policy,
      result,
      `the policy ${policy.name} would delete ${inWords(result)} now, and runs from ${from} on`,
    );
  }

  async #run(policy: Policy, last: PolicyRun, now: number): Promise<void> {
    const { everyMs, name } = policy;
    const nextRun = now + everyMs;
    // What another has deleted is not counted here.
    if (!(await this.#options.claim(name, everyMs))) return this.#note(policy, { ...last, announced: false, nextRun });
    // Before it runs: one that takes long, and is ended, does not run again at once.
    await this.#note(policy, { count: 0, bytes: 0, lastRun: now, nextRun, announced: false });
    try {
      const result = await this.#clean(policy, false);
      this.#options.onRun?.(name, 'done', result.deletedCount);
      await this.#note(policy, { ...amountsOf(result), lastRun: now, nextRun, announced: false });
      this.#log(policy, result, `the policy ${name} deleted ${inWords(result)}`);
    } catch (error) {
      this.#options.onRun?.(name, 'failed', 0);
      await this.#note(policy, {
        ...last,
        lastRun: now,
        nextRun: Math.min(nextRun, now + TRY_AGAIN_MS),
        announced: false,
      });
      throw error;
    }
  }

  #clean(policy: Policy, dryRun: boolean): Promise<Cleaned> {
    return this.#options.clean(policy, { dryRun, signal: this.#closing.signal });
  }

  async #expireIfDue(mayRun: () => Promise<boolean>): Promise<void> {
    if (this.#elapsed() < this.#nextExpiry || !(await mayRun())) return;
    const { log, provider, expire } = this.#options;
    const { count, bytes } = await expire(this.#closing.signal);
    this.#nextExpiry = this.#elapsed() + EXPIRE_EVERY_MS;
    if (count > 0) log.info({ provider, count, bytes }, 'images whose time was over were deleted');
  }

  /** Also where there is no space for the note, which what runs makes: without it the policy is announced again. */
  async #note(policy: Policy, run: Omit<PolicyRun, 'hash'>): Promise<void> {
    try {
      await this.#runs.set(policy.name, { ...run, hash: hashOf(policy) }, this.#names);
    } catch (error) {
      const { log, provider } = this.#options;
      log.warn({ err: error, provider, policy: policy.name }, 'the run of a policy could not be noted');
    }
  }

  #log({ name }: Policy, { keptPinned, keptNew, reasons, ...result }: Cleaned, message: string): void {
    const { log, provider } = this.#options;
    const facts = { provider, policy: name, ...amountsOf(result), keptPinned, keptNew };
    const isNews = result.dryRun || result.deletedCount > 0;
    log[isNews ? 'info' : 'debug']({ ...facts, reasons: reasons.slice(0, LOGGED_REASONS) }, message);
  }

  /** Logs a failure once, whatever the number of attempts. */
  #warn(error: unknown): void {
    const failure = error instanceof Error ? error.message : String(error);
    const { log, provider } = this.#options;
    const isExpected = error instanceof StorageError && error.reason === 'CATALOG_REBUILDING';
    if (failure === this.#failure || isExpected || this.#closing.signal.aborted) return;
    log.warn({ err: error, provider }, 'what goes by itself could not be deleted; it is tried again');
    this.#failure = failure;
  }
}

/** Rejects with the first failure, once all were tried. */
async function eachInTurn(works: (() => Promise<void>)[]): Promise<void> {
  const failures: unknown[] = [];
  for (const work of works) await work().catch((error) => failures.push(error));
  if (failures.length > 0) throw failures[0];
}

function amountsOf({ deletedCount, freedBytes }: Pick<Cleaned, 'deletedCount' | 'freedBytes'>) {
  return { count: deletedCount, bytes: freedBytes };
}

function inWords({ deletedCount, freedBytes }: Cleaned): string {
  const images = deletedCount === 1 ? 'image' : 'images';
  return `${deletedCount.toLocaleString('en')} ${images} of ${formatBytes(freedBytes)}`;
}
