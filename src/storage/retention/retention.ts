/** The retention of one provider: cleanups and policies on request, and what goes by itself. */
import type { ImageIndex, Moment } from '../catalog/catalog.ts';
import { folded } from '../domain/errors.ts';
import type { Logger } from '../domain/logger.ts';
import type { Meter } from '../domain/meter.ts';
import type { Policy } from '../domain/policy.ts';
import type { CleanupOptions, CleanupResult, Deletion, PolicyStatistics, Position } from '../domain/requests.ts';
import { type Cleaned, checkCleanup, checkPolicyAlone, cleanUp, policyNotFound } from './cleanup.ts';
import { removeExpired } from './expiry.ts';
import { type CleanupPlan, checkCurrent, decodePlan, encodePlan } from './plan-token.ts';
import type { TextFile } from './policy-runs.ts';
import { type Rules, rulesOfCleanup, rulesOfPolicy } from './rules.ts';
import { RetentionSchedule } from './schedule.ts';
import { selectionOf } from './selection.ts';

/** What retention needs of a provider. */
export interface RetainedStore {
  context: {
    name: string;
    log: Logger;
    now: () => number;
    elapsed?: () => number;
    policies?: readonly Policy[];
    meter?: Meter;
  };
  /** Where the runs of policies are kept. */
  policyRuns(): TextFile;
  completeCatalog(): Promise<ImageIndex>;
  /** The same, once it includes every save and delete of any process before the call. */
  currentCatalog(): Promise<ImageIndex>;
  /** Throws when so many images are missing that nothing may be deleted by counting them. */
  checkCountable(): void;
  /** Returns until when an image could be brought back that is deleted now; undefined: it would be deleted for good. */
  nextPurgeTime(now: number): Promise<number | undefined>;
  /** Deletes an image unless it is pinned, or was learnt or changed after the moment. */
  remove(filename: string, options: { permanent: boolean; unchangedSince?: Moment | undefined }): Promise<Deletion>;
  /** Rejects where the clock of this machine cannot be right. */
  checkClock(): Promise<void>;
  /** Returns whether this process may run a policy now: no other with this store has within the time. */
  claimRun(policy: string, everyMs: number): Promise<boolean>;
}

export class Retention {
  readonly #store: RetainedStore;
  readonly #schedule: RetentionSchedule;

  /** Uses nothing of the store before the next turn of the event loop. */
  constructor(store: RetainedStore) {
    this.#store = store;
    const { name: provider, policies = [], log, now, elapsed, meter } = store.context;
    this.#schedule = new RetentionSchedule({
      ...{ provider, policies, log, now, elapsed },
      onRun: meter?.policyRan,
      file: { read: () => store.policyRuns().read(), write: (text) => store.policyRuns().write(text) },
      quietUntil: () => folded(store.completeCatalog().then((catalog) => catalog.quietUntil())),
      async claim(policy, everyMs) {
        await folded(store.checkClock());
        return folded(store.claimRun(policy, everyMs));
      },
      clean: (policy, options) => this.#clean(rulesOfPolicy(policy, now()), options),
      expire: (signal) => folded(this.#expire(signal)),
    });
    this.#schedule.start();
  }

  stop(): Promise<void> {
    return this.#schedule.stop();
  }

  statistics(): Promise<PolicyStatistics[]> {
    return this.#schedule.statistics();
  }

  /** Returns the cleanup of these options, ready to run. Throws CLEANUP_WITHOUT_CRITERION, FIELD_INVALID or POLICY_NOT_FOUND. */
  cleanup(options: CleanupOptions): () => Promise<CleanupResult> {
    const plan = planIn(options);
    const rules = this.#rulesOf(options, plan?.now ?? this.#store.context.now());
    return async () => {
      const isPlan = options.dryRun === true && options.policy === undefined;
      const cleaned = await this.#clean(await this.#sparing(rules), options, { plan, isPlan });
      const { keptNew: _, last: __, ...result } = cleaned;
      return result;
    };
  }

  /** A policy spares all while the catalog may have forgotten what came lately. */
  async #sparing(rules: Rules): Promise<Rules> {
    if (rules.newSince === undefined) return rules;
    const catalog = await folded(this.#store.completeCatalog());
    const isInDoubt = rules.now < (await folded(catalog.quietUntil()));
    return isInDoubt ? { ...rules, newSince: Number.NEGATIVE_INFINITY } : rules;
  }

  #rulesOf(options: CleanupOptions, now: number): Rules {
    const { policies = [] } = this.#store.context;
    if (options.policy === undefined) {
      checkCleanup(options, now);
      return rulesOfCleanup(options, now);
    }
    checkPolicyAlone(options);
    const policy = policies.find(({ name }) => name === options.policy);
    if (policy === undefined) throw policyNotFound();
    return rulesOfPolicy(policy, now);
  }

  /** With a `plan` nothing goes that did not then. `isPlan`: what goes now is to be the plan of another call. */
  async #clean(
    rules: Rules,
    options: CleanupOptions,
    { plan: earlier, isPlan = false }: { plan?: CleanupPlan | undefined; isPlan?: boolean } = {},
  ): Promise<Cleaned> {
    const { permanent = false, dryRun } = options;
    const catalog = await folded(this.#store.currentCatalog());
    this.#store.checkCountable();
    if (earlier !== undefined) checkCurrent(earlier, catalog.remembers(earlier.moment), this.#elapsed);
    const plan = earlier ?? (isPlan ? await folded(this.#planNow(catalog, rules)) : undefined);
    const since = plan?.moment;
    let purgeTime = permanent ? undefined : await folded(this.#store.nextPurgeTime(this.#store.context.now()));
    const remove = async (filename: string) => {
      const { deleted, restorableUntil } = await this.#store.remove(filename, { permanent, unchangedSince: since });
      // The first to be purged tells until when all can be brought back.
      if (deleted && !dryRun) purgeTime = Math.min(purgeTime ?? 0, restorableUntil?.getTime() ?? 0);
      return deleted;
    };
    const bounded = { ...rules, since, last: earlier?.last };
    const result = await folded(cleanUp(catalog, bounded, { ...options, remove }));
    return {
      ...result,
      ...(isPlan && { plan: encodePlan(endedBy(plan!, result), selectionOf(options)) }),
      ...(purgeTime && { restorableUntil: new Date(purgeTime) }),
    };
  }

  async #planNow(catalog: ImageIndex, { now }: Rules): Promise<CleanupPlan> {
    return { moment: await catalog.moment(), now, madeAt: this.#elapsed };
  }

  get #elapsed(): number {
    const { elapsed = () => performance.now() } = this.#store.context;
    return elapsed();
  }

  async #expire(signal: AbortSignal): Promise<{ count: number; bytes: number }> {
    const [catalog, now] = [await this.#store.completeCatalog(), this.#store.context.now()];
    if ((await catalog.expired(1, now)).length === 0) return { count: 0, bytes: 0 };
    await this.#store.checkClock();
    const remove = async (filename: string) => (await this.#store.remove(filename, { permanent: false })).deleted;
    return removeExpired(catalog, { now, signal, remove });
  }
}

/** Throws FIELD_INVALID for a plan of another selection. */
function planIn(options: CleanupOptions): CleanupPlan | undefined {
  const plan = options.selection?.plan;
  return plan === undefined ? undefined : decodePlan(plan, selectionOf(options));
}

/** Before every image. */
const OLDEST: Position = { timestamp: Number.MIN_SAFE_INTEGER, filename: '' };

/** A plan that ended at the most deletes ends there, also where these are none. */
function endedBy({ last: _, ...plan }: CleanupPlan, { more, last = OLDEST }: Cleaned): CleanupPlan {
  return more ? { ...plan, last } : plan;
}
