/** The retention of one provider: cleanups and policies on request, and what goes by itself. */
import type { ImageIndex } from '../catalog/catalog.ts';
import { folded } from '../domain/errors.ts';
import type { Logger } from '../domain/logger.ts';
import type { Meter } from '../domain/meter.ts';
import type { Policy } from '../domain/policy.ts';
import type { CleanupOptions, CleanupResult, Deletion, PolicyStatistics } from '../domain/requests.ts';
import { type Cleaned, checkCleanup, checkPolicyAlone, cleanUp, policyNotFound } from './cleanup.ts';
import { removeExpired } from './expiry.ts';
import type { TextFile } from './policy-runs.ts';
import { type Rules, rulesOfCleanup, rulesOfPolicy } from './rules.ts';
import { RetentionSchedule } from './schedule.ts';

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
  /** Deletes an image unless it is pinned. */
  remove(filename: string, permanent: boolean): Promise<Deletion>;
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
    const rules = this.#rulesOf(options);
    return async () => {
      const { keptNew: _, ...result } = await this.#clean(await this.#sparing(rules), options);
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

  #rulesOf(options: CleanupOptions): Rules {
    const { now, policies = [] } = this.#store.context;
    if (options.policy === undefined) {
      checkCleanup(options, now());
      return rulesOfCleanup(options, now());
    }
    checkPolicyAlone(options);
    const policy = policies.find(({ name }) => name === options.policy);
    if (policy === undefined) throw policyNotFound();
    return rulesOfPolicy(policy, now());
  }

  async #clean(rules: Rules, options: CleanupOptions): Promise<Cleaned> {
    const { permanent = false, dryRun } = options;
    const catalog = await folded(this.#store.currentCatalog());
    this.#store.checkCountable();
    let purgeTime = permanent ? undefined : await folded(this.#store.nextPurgeTime(rules.now));
    const remove = async (filename: string) => {
      const { deleted, restorableUntil } = await this.#store.remove(filename, permanent);
      // The first to be purged tells until when all can be brought back.
      if (deleted && !dryRun) purgeTime = Math.min(purgeTime ?? 0, restorableUntil?.getTime() ?? 0);
      return deleted;
    };
    const result = await folded(cleanUp(catalog, rules, { ...options, remove }));
    return { ...result, ...(purgeTime && { restorableUntil: new Date(purgeTime) }) };
  }

  async #expire(signal: AbortSignal): Promise<{ count: number; bytes: number }> {
    const [catalog, now] = [await this.#store.completeCatalog(), this.#store.context.now()];
    if ((await catalog.expired(1, now)).length === 0) return { count: 0, bytes: 0 };
    await this.#store.checkClock();
    const remove = async (filename: string) => (await this.#store.remove(filename, false)).deleted;
    return removeExpired(catalog, { now, signal, remove });
  }
}
