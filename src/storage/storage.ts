/** The facade: opens all providers of a configuration, and forwards each call to one by name or to all of them. */
import { types } from 'node:util';
import { examineProviders, type ProviderCheck } from './doctor/doctor.ts';
import type { BucketSettings, ProviderConfig, StorageConfig } from './domain/config.ts';
import { parseAge, resolveInstant, resolveRange } from './domain/dates.ts';
import { invalidField, namedError, partlyDone, StorageError, StoreOpenError, toStorageError } from './domain/errors.ts';
import { MAX_GROUPS } from './domain/groups.ts';
import type { Logger } from './domain/logger.ts';
import type { VerifyEvent, VerifyOptions } from './domain/maintenance.ts';
import type { Meter } from './domain/meter.ts';
import { shortId } from './domain/naming.ts';
import type { CleanupOptions, CleanupResult, Instant, PurgeOptions, Totals, TotalsOptions } from './domain/requests.ts';
import { openProvider, providerTypeOf } from './factory.ts';
import { hintsFor } from './lists/hints.ts';
import { createListing, createTrashListing } from './lists/listing.ts';
import { addTotals, checkTotals } from './lists/totals.ts';
import { copyImages } from './maintenance/copy.ts';
import { inTurn } from './maintenance/verify.ts';
import { openOptional, type ProviderHandle } from './providers/optional-provider.ts';
import { checkCleanup, checkPolicyAlone, policyNotFound, sumOf } from './retention/cleanup.ts';
import { decodePlans, encodePlans, type Plans, planOf } from './retention/plan-token.ts';
import { type Settings, withDefaults, withoutAlias } from './settings.ts';
import type { PageReader, ProviderChoice, ProviderContext, Storage, StorageProvider } from './types.ts';

const ALL = '*';

/** The dependencies that a user of the library may inject; each has a default. */
export type StorageDependencies = Partial<
  Pick<ProviderContext, 'log' | 'now' | 'shortId' | 'onFatal' | 'onNewStore' | 'onLocked' | 'closeGraceMs'> & Metered
>;

interface Metered {
  /** Returns what counts the work of the provider of this name. */
  meterOf(provider: string): Meter;
}

/** The dependencies that this project may inject, which include those of its tests. */
export type Surroundings = Partial<Omit<ProviderContext, 'name' | 'publicUrl' | 'limits' | 'meter'> & Metered>;

const SILENT: Logger = { debug() {}, info() {}, warn() {}, error() {} };

/**
 * Opens every provider of the configuration. Rejects with a StoreOpenError, and leaves none open, when a required
 * provider (the default) cannot be opened; the message begins with `providers.<name>` and says which setting to change.
 * A provider that is not required rejects only its own calls until it opens, and opening is retried whatever the
 * failure.
 */
export function createStorage(config: StorageConfig = {}, dependencies: StorageDependencies = {}): Promise<Storage> {
  return openStorage(config, dependencies);
}

/**
 * As `createStorage`, for the daemon's own commands and for tests, with options that no user of the library should set.
 */
export async function openStorage(config: StorageConfig, dependencies: Surroundings = {}): Promise<Storage> {
  const settings = withDefaults(config);
  const duplicates = new DuplicateStores();
  const opening = [...settings.providers].map(([name, provider]) =>
    open(provider, contextOf(name, settings, dependencies), duplicates),
  );
  const results = await Promise.allSettled(opening);
  const handles = new Map<string, ProviderHandle>();
  for (const result of results) if (result.status === 'fulfilled') handles.set(result.value.name, result.value);
  const failed = results.find((result) => result.status === 'rejected');
  if (failed !== undefined) {
    await closeAll(handles);
    throw failed.reason;
  }
  return facade(handles, settings, dependencies.now ?? Date.now);
}

/**
 * Checks on each provider of the configuration, or on one, what a daemon needs. Takes no lock, and may run beside a
 * daemon. Throws PROVIDER_NOT_FOUND, or a StoreOpenError `config`.
 */
export async function* examineStorage(config: StorageConfig, provider?: string): AsyncGenerator<ProviderCheck> {
  const { providers, limits } = withDefaults(config);
  const names = provider === undefined ? [...providers.keys()] : [withoutAlias(provider)];
  yield* examineProviders(
    names.map((name) => {
      const settings = providers.get(name);
      if (settings === undefined) throw new StorageError('PROVIDER_NOT_FOUND', `no provider is named "${name}"`);
      return { name, examine: () => providerTypeOf(settings)!.examine(settings, name, limits.maxImageBytes) };
    }),
  );
}

async function open(
  config: ProviderConfig,
  context: ProviderContext,
  duplicates: DuplicateStores,
): Promise<ProviderHandle> {
  const { name, log } = context;
  if (config.required === false) {
    return openOptional({ name, log, open: (signal) => openNamed(config, { ...context, signal }, duplicates) });
  }
  const provider = await openNamed(config, context, duplicates);
  return {
    name,
    get health() {
      return provider.health;
    },
    opened: () => provider,
    close: () => provider.close(),
  };
}

async function openNamed(
  config: ProviderConfig,
  context: ProviderContext,
  duplicates: DuplicateStores,
): Promise<StorageProvider> {
  try {
    const provider = await openProvider(config, context);
    const { shared } = config as BucketSettings;
    if (shared !== undefined) duplicates.add(provider, shared, context.log);
    return provider;
  } catch (error) {
    if (!(error instanceof StoreOpenError)) throw error;
    const { kind, cause, isAuth, details } = error;
    throw new StoreOpenError(kind, `providers.${context.name}: ${error.message}`, { cause, isAuth, details });
  }
}

/**
 * Detects buckets that hold one store although their settings differ: behind another endpoint, or copied with its
 * FORMAT.
 */
class DuplicateStores {
  readonly #first = new Map<string, { name: string; shared: boolean }>();

  /**
   * Warns when one provider would miss the changes of another. Does not refuse it: a copy is a valid store of its own.
   */
  add({ name, storeId }: StorageProvider, shared: boolean, log: Logger): void {
    const first = this.#first.get(storeId);
    if (first === undefined) this.#first.set(storeId, { name, shared });
    else if (!first.shared || !shared) {
      const message = `holds the same store as ${first.name}, or a copy; if it is the same, set shared: true for both`;
      log.warn({ provider: name }, message);
    }
  }
}

function contextOf(name: string, settings: Settings, { meterOf, ...dependencies }: Surroundings): ProviderContext {
  return {
    name,
    publicUrl: settings.publicUrl,
    limits: settings.limits,
    log: SILENT,
    now: Date.now,
    shortId,
    onFatal: () => undefined,
    failpoint: () => undefined,
    meter: meterOf?.(name),
    policies: settings.policies.filter(({ provider }) => provider === name || provider === ALL),
    ...dependencies,
  };
}

function facade(
  handles: Map<string, ProviderHandle>,
  { defaultProvider, policies }: Settings,
  now: () => number,
): Storage {
  const one = (name = '', field = 'provider'): StorageProvider => {
    if (name === ALL) throw invalidField(field, 'one provider is meant here, not all of them');
    const handle = handles.get(name === '' ? defaultProvider : withoutAlias(name));
    if (handle === undefined) {
      const which = field === 'provider' ? '' : `${field}: `;
      throw new StorageError('PROVIDER_NOT_FOUND', `${which}no provider of that name`, { field });
    }
    return opened(handle, namedError);
  };
  const all = (): StorageProvider[] => [...handles.values()].map((handle) => opened(handle, namedAmongAll));
  const readers = (choice?: string): PageReader[] => (choice === ALL ? all().map(naming) : [one(choice)]);
  const totals = async ({ provider: choice, ...options }: TotalsOptions<Instant> & ProviderChoice): Promise<Totals> => {
    const checked = checkTotals(options, new Date(now()));
    if (choice !== ALL) return one(choice).totals(checked);
    const whole = { ...checked, limit: MAX_GROUPS };
    return addTotals(await Promise.all(all().map((each) => named(each.name, each.totals(whole)))), checked);
  };
  const cleanUpBy = ({ provider = '', ...options }: CleanupOptions & ProviderChoice): Promise<CleanupResult> => {
    if (provider !== '') throw invalidField('provider', 'must be empty beside a policy, which names its own');
    checkPolicyAlone(options);
    const policy = policies.find(({ name }) => name === options.policy);
    if (policy === undefined) throw policyNotFound();
    return policy.provider === ALL ? cleanUpEach(all(), options, { at: now() }) : one(policy.provider).cleanup(options);
  };
  return {
    save: async (source, metadata, options) => one(options?.provider).save(source, metadata, options),
    get: async (filename, options) => one(options?.provider).get(filename, options),
    update: async (filename, changes, options) => one(options?.provider).update(filename, changes),
    delete: async (filename, options) => one(options?.provider).delete(filename, options),
    remove: async (filename, options) => one(options?.provider).remove(filename, options),
    restore: async (filename, options) => one(options?.provider).restore(filename),
    listTrash: (options = {}) =>
      createTrashListing(() => (options.provider === ALL ? all().map(naming) : [one(options.provider)]), options, now),
    purge: async ({ provider, ...options }) => one(provider).purge(options as PurgeOptions),
    list: (options = {}) => createListing(() => readers(options.provider), options, now),
    async cleanup(given) {
      const plans = given.selection?.plan && decodePlans(given.selection.plan);
      // What was resolved when the plan was made is so again.
      const at = plans?.now ?? now();
      const { provider, ...options } = resolvedCleanup(given, new Date(at));
      if (options.policy !== undefined) return cleanUpBy({ provider, ...options });
      if (provider !== ALL) return cleanUpOne(one(provider), options, { at, plans });
      checkCleanup(options, at);
      return cleanUpEach(all(), options, { at, plans });
    },
    async getStatistics(choice) {
      if (choice !== ALL) return [await one(choice).getStatistics()];
      return Promise.all(all().map((provider) => named(provider.name, provider.getStatistics())));
    },
    totals: (options = {}) => totals(options),
    hints: ({ provider, ...filter }) =>
      hintsFor(filter, {
        any: async (part) => (await createListing(() => readers(provider), { ...part, limit: 1 }, now)).length > 0,
        totals: (options) => totals({ ...options, provider }),
      }),
    verify(options = {}) {
      if (options.provider !== ALL) return one(options.provider).verify(options);
      return inTurn(all().map((provider) => verifyNamed(provider, options)));
    },
    copy: ({ from, to, ...options }) => copyImages(one(from, 'from'), one(to, 'to'), options),
    previewed: (provider) => one(provider),
    storeId: (choice) => one(choice?.provider).storeId,
    health: () => Object.fromEntries([...handles].map(([name, handle]) => [name, handle.health])),
    close: () => closeAll(handles),
  };
}

/** Returns the open provider. Throws the reason why it is not open, converted by `told`. */
function opened(handle: ProviderHandle, told: (provider: string, cause: unknown) => unknown): StorageProvider {
  try {
    return handle.opened();
  } catch (cause) {
    throw told(handle.name, cause);
  }
}

/** Returns the age that the instant was given as; undefined where it was another form. */
function ageOf(instant: Instant | undefined): number | undefined {
  if (typeof instant === 'string') return parseAge(instant)?.ageMs;
  return instant === undefined || types.isDate(instant) ? undefined : instant.ageMs;
}

/** Returns the options with their dates resolved. Throws FIELD_INVALID, which names the field. */
function resolvedCleanup(
  { olderThan, selection, ...rest }: CleanupOptions<Instant> & ProviderChoice,
  now: Date,
): CleanupOptions & ProviderChoice {
  const cutoff = (field: string, given: Instant | undefined) =>
    given === undefined ? {} : { olderThan: resolveInstant(field, given, now), olderThanAgeMs: ageOf(given) };
  if (selection === undefined) return { ...rest, ...cutoff('older_than', olderThan) };
  const { olderThan: ofSelection, dateRange, ...filters } = selection;
  return {
    ...rest,
    ...cutoff('older_than', olderThan),
    selection: {
      ...filters,
      ...(dateRange && { dateRange: resolveRange(dateRange, now, 'selection.date_range') }),
      ...cutoff('selection.older_than', ofSelection),
    },
  };
}

/** What a cleanup is to keep to. */
interface Planning {
  /** When dates and ages were resolved, ms since 1970. */
  at: number;
  plans?: Plans | undefined;
}

async function cleanUpOne(
  provider: StorageProvider,
  options: CleanupOptions,
  { at, plans }: Planning,
): Promise<CleanupResult> {
  const { plan, ...result } = await provider.cleanup(planned(options, plans, provider.name));
  return { ...result, ...joinedPlan(at, [[provider.name, plan]]) };
}

async function cleanUpEach(
  providers: StorageProvider[],
  options: CleanupOptions,
  { at, plans }: Planning,
): Promise<CleanupResult> {
  await Promise.all(providers.map((provider) => named(provider.name, checkServing(provider))));
  const asked = providers.map((provider) => planned(options, plans, provider.name));
  // Each says whether its plan is current before anything goes.
  const isHeld = plans !== undefined && !options.dryRun;
  const trial = (provider: StorageProvider, at: number) =>
    provider.cleanup({ ...asked[at], dryRun: true, maxDeletes: 0 });
  if (isHeld) await Promise.all(providers.map((provider, at) => namedPlan(provider.name, trial(provider, at))));
  const results: CleanupResult[] = [];
  try {
    for (const [index, provider] of providers.entries())
      results.push(await named(provider.name, provider.cleanup(asked[index]!)));
    const parts = providers.map(({ name }, index): [string, Uint8Array | undefined] => [name, results[index]!.plan]);
    return { ...results.reduce(sumOf), ...joinedPlan(at, parts) };
  } catch (error) {
    throw results.some(({ deletedCount, dryRun }) => deletedCount > 0 && !dryRun) ? partlyDone(error) : error;
  }
}

/** Returns the options with the plan of one provider. */
function planned(options: CleanupOptions, plans: Plans | undefined, provider: string): CleanupOptions {
  const { selection } = options;
  if (plans === undefined || selection === undefined) return options;
  return { ...options, selection: { ...selection, plan: planOf(plans, provider) } };
}

/** Returns the plan over these providers, where each has one. */
function joinedPlan(
  at: number,
  parts: [provider: string, plan: Uint8Array | undefined][],
): Pick<CleanupResult, 'plan'> {
  if (parts.some(([, plan]) => plan === undefined)) return {};
  const byProvider = parts.map(([provider, plan]) => [provider, Buffer.from(plan!).toString()]);
  return { plan: encodePlans({ now: at, byProvider: Object.fromEntries(byProvider) }) };
}

/** Rejects unless the provider serves and its catalog is complete. */
async function checkServing(provider: StorageProvider): Promise<void> {
  const { health } = provider;
  if (!health.serving) throw new StorageError('BACKEND_UNAVAILABLE', health.why);
  await provider.getStatistics();
}

function naming(provider: StorageProvider): PageReader & Pick<StorageProvider, 'readTrash'> {
  const { name } = provider;
  return {
    name,
    readPage: (...request) => named(name, provider.readPage(...request)),
    readTrash: (...request) => named(name, provider.readTrash(...request)),
  };
}

async function named<T>(provider: string, work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (cause) {
    throw namedAmongAll(provider, cause);
  }
}

async function* verifyNamed(provider: StorageProvider, options: VerifyOptions): AsyncGenerator<VerifyEvent> {
  try {
    yield* provider.verify(options);
  } catch (cause) {
    throw namedAmongAll(provider.name, cause);
  }
}

/** As `named`, but a plan that has expired is so whatever its provider. */
async function namedPlan<T>(provider: string, work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (cause) {
    throw toStorageError(cause).reason === 'PLAN_EXPIRED'
      ? namedError(provider, cause)
      : namedAmongAll(provider, cause);
  }
}

/**
 * Returns the failure of one of several providers as `unavailable`, with the provider's name; a cancellation as it is.
 */
function namedAmongAll(provider: string, cause: unknown): unknown {
  const error = namedError(provider, cause);
  if (error.code === 'cancelled') return cause;
  if (error.code === 'unavailable') return error;
  return new StorageError('BACKEND_UNAVAILABLE', error.message, error);
}

async function closeAll(handles: Map<string, ProviderHandle>): Promise<void> {
  await Promise.all([...handles.values()].map((handle) => handle.close()));
}
