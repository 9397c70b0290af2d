/** Opens a store in a bucket: lock, identity, catalog (empty when it is lost), operations that a crash left open. */
import { KeyedQueue } from '../async/keyed-queue.ts';
import type { BucketCatalog, PendingOperation, SharedCatalog } from '../catalog/bucket-catalog.ts';
import { makeFolders } from '../disk/files.ts';
import { toOpenError } from '../disk/folder-problem.ts';
import { type Lock, openLock } from '../disk/lock.ts';
import { type BucketSettings, DEFAULT_LOCK_WAIT_SECONDS } from '../domain/config.ts';
import { StoreOpenError } from '../domain/errors.ts';
import { DOUBT_MS } from '../domain/purge-clock.ts';
import type { ProviderContext } from '../types.ts';
import { bindToStore } from './binding.ts';
import { type OpenedCatalog, openBucketCatalog } from './catalog.ts';
import { BucketCondition, detailsOf } from './condition.ts';
import { fillInTurn, readMark } from './index-mark.ts';
import { Journal } from './journal.ts';
import { metered } from './metered-store.ts';
import { type ObjectStore, ObjectStoreError } from './object-store.ts';
import { resolveOperations } from './recover.ts';
import { type RetryOptions, retrying } from './retrying-store.ts';
import { Spool } from './spool.ts';
import { roomOf, type StateFiles, stateFiles } from './state-files.ts';
import { type BucketStore, withoutIndex } from './store.ts';
import { Synchronizer } from './sync.ts';

const DAY_MS = 24 * 60 * 60 * 1000;
/** What these leave behind must be whole. */
const FILLED_FIRST: readonly (ProviderContext['formatChange'] | undefined)[] = ['downgrade', 'migrate', 'migrateBack'];
/** How long a bucket may take to answer which store it holds. */
const FIRST_ANSWER_MS = 30_000;

export interface BucketOptions extends BucketSettings {
  objects: ObjectStore;
  retry?: RetryOptions;
}

export interface OpenStore extends BucketStore {
  synchronizer: Synchronizer;
  state: StateFiles;
  lock: Lock;
}

/** Opens the store, creating it on first use. Rejects with a StoreOpenError that says what to change. */
export async function openStore(options: BucketOptions, context: ProviderContext): Promise<OpenStore> {
  const files = stateFiles(context.name, options.stateDir);
  let lock: Lock | undefined;
  try {
    await makeFolders(files.folder);
    const { lockWaitSeconds: waitSeconds = DEFAULT_LOCK_WAIT_SECONDS } = options;
    const { signal, onLocked } = context;
    lock = await openLock(files.lock, { waitSeconds, signal, onLocked });
    return await openLocked(options, context, files, lock);
  } catch (error) {
    options.objects.close?.();
    lock?.release();
    const { folder: root, catalog, lock: lockFile, binding, spool } = files;
    const place = { root, setting: 'stateDir' };
    throw await toOpenError(toBucketError(error, options.objects), place, [catalog, lockFile, binding, spool]);
  }
}

async function openLocked(
  { objects: given, retry, shared: isShared = false, create, trash, index: url }: BucketOptions,
  context: ProviderContext,
  files: StateFiles,
  lock: Lock,
): Promise<OpenStore> {
  const bare = metered(given, context.meter);
  const condition = new BucketCondition(context);
  const closing = new AbortController();
  const trying = { ...retry, signal: closing.signal };
  const objects = retrying(bare, {
    ...trying,
    onAnswer: (failure) => condition.noteAnswer(failure),
    onLongWait: (wait) => condition.noteLongWait(wait),
  });
  const giveUp = () => {
    closing.abort();
    bare.close?.();
  };
  const { signal } = context;
  signal?.addEventListener('abort', giveUp);
  if (signal?.aborted) giveUp();
  let catalog: BucketCatalog | undefined;
  let index: SharedCatalog | undefined;
  let synchronizer: Synchronizer | undefined;
  let resolving: BucketStore | undefined;
  try {
    // Not through `condition`: a failure now is reported once, by the caller that opens the store.
    const keepMs = trash?.days ? trash.days * DAY_MS : undefined;
    const wantsPostgres = url !== undefined && context.formatChange !== 'migrateBack';
    const shared = isShared || wantsPostgres;
    const binding = { create, shared: isShared, wantsTrash: keepMs !== undefined, wantsPostgres };
    const bound = bindToStore(retrying(bare, trying), files.binding, binding, context);
    const { storeId, isNew, hasTrash, hasPostgres } = await withinFirstAnswer(bound, giveUp);
    // Before anything is listed: a part of the images is never taken for all.
    const seen = wantsPostgres ? await withinFirstAnswer(readMark(retrying(bare, trying)), giveUp) : undefined;
    const makeRoom = roomOf(files);
    const spool = new Spool(files.spool, { makeRoom });
    await spool.prepare();
    const unsettled = new Map<string, PendingOperation>();
    const late = {
      onState: (error?: Error) => condition.noteIndex(error),
      onUnwritten: (operations: readonly PendingOperation[]) => {
        for (const operation of operations) unsettled.set(operation.nonce, operation);
        // At once: lists lack their images.
        if (resolving !== undefined) resolveOperations(resolving, operations).catch(() => {});
      },
      onBehind: () => {
        // Upkeep tries again what fails now.
        if (synchronizer !== undefined && index !== undefined) fillInTurn(index, synchronizer).catch(() => {});
      },
    };
    const opened: OpenedCatalog = await openBucketCatalog(
      files,
      { storeId, seen, ...(wantsPostgres && { url }), ...late },
      context,
    );
    ({ catalog } = opened);
    ({ index } = opened);
    if (opened.isBuilt) await catalog.setQuietUntil(context.now() + DOUBT_MS);
    const journal = new Journal(catalog, makeRoom);
    const comparing = index === undefined ? journal : new Journal(index.strict, makeRoom);
    const indexParts = { comparing, hasPostgres, ...(index !== undefined && { index }) };
    const { previews } = files;
    const parts = { objects, patience: trying, catalog, journal, condition, context, spool, storeId, shared, previews };
    const queues = { byKey: new KeyedQueue(), byFilename: new KeyedQueue() };
    const trashParts = { hasTrash, ...(hasTrash && keepMs !== undefined && { keepMs }) };
    const saves = () => ({ inFlight: 0, waiting: 0 });
    const operations = { unsettled, settling: new Set<string>() };
    const store = { ...parts, ...trashParts, ...indexParts, ...queues, ...operations, saves, closing };
    if (isNew) {
      await journal.write({ kind: 'probed' });
      context.log.info({ provider: context.name, location: objects.location }, 'a new store was made in the bucket');
    }
    synchronizer = await Synchronizer.over(store);
    resolving = store;
    // Before it answers anybody: others count on nobody but those that they know.
    await withoutIndex(index, async () => index?.answerCall(() => true));
    await resolveOperations(store, await catalog.pendingOperations());
    if (FILLED_FIRST.includes(context.formatChange)) await synchronizer.run();
    signal?.throwIfAborted();
    return { ...store, synchronizer, state: files, lock };
  } catch (error) {
    await catalog?.close(false);
    throw error;
  } finally {
    signal?.removeEventListener('abort', giveUp);
  }
}

/** Waits for the work; calls `giveUp` after 30 s, which ends it. */
async function withinFirstAnswer<T>(work: Promise<T>, giveUp: () => void): Promise<T> {
  const timer = setTimeout(giveUp, FIRST_ANSWER_MS);
  try {
    return await work;
  } finally {
    clearTimeout(timer);
  }
}

function toBucketError(error: unknown, { location }: ObjectStore): unknown {
  if (!(error instanceof ObjectStoreError)) return error;
  const isAuth = error.failure === 'auth';
  const kind = error.failure === 'unavailable' ? 'unavailable' : 'config';
  return new StoreOpenError(kind, `${location}: ${error.message}`, { cause: error, isAuth, details: detailsOf(error) });
}
