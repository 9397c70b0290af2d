/** Opens a store in a bucket: lock, identity, catalog (empty when it is lost), operations that a crash left open. */
import { mkdir } from 'node:fs/promises';
import { KeyedQueue } from '../async/keyed-queue.ts';
import type { BucketCatalog } from '../catalog/bucket-catalog.ts';
import { setAside } from '../catalog/sqlite/database-files.ts';
import { openCatalog } from '../catalog/sqlite/worker-catalog.ts';
import { syncFolder } from '../disk/files.ts';
import { toOpenError } from '../disk/folder-problem.ts';
import { type Lock, openLock } from '../disk/lock.ts';
import { type BucketSettings, DEFAULT_LOCK_WAIT_SECONDS } from '../domain/config.ts';
import { StoreOpenError } from '../domain/errors.ts';
import { DOUBT_MS } from '../domain/purge-clock.ts';
import type { ProviderContext } from '../types.ts';
import { bindToStore } from './binding.ts';
import { BucketCondition, detailsOf } from './condition.ts';
import { Journal } from './journal.ts';
import { metered } from './metered-store.ts';
import { type ObjectStore, ObjectStoreError } from './object-store.ts';
import { resolveOperations } from './recover.ts';
import { type RetryOptions, retrying } from './retrying-store.ts';
import { Spool } from './spool.ts';
import { roomOf, type StateFiles, stateFiles } from './state-files.ts';
import type { BucketStore } from './store.ts';
import { Synchronizer } from './sync.ts';

const DAY_MS = 24 * 60 * 60 * 1000;
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
    await mkdir(files.folder, { recursive: true });
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
  { objects: given, retry, shared = false, create, trash }: BucketOptions,
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
  try {
    // Not through `condition`: a failure now is reported once, by the caller that opens the store.
    const keepMs = trash?.days ? trash.days * DAY_MS : undefined;
    const binding = { create, shared, wantsTrash: keepMs !== undefined };
    const bound = bindToStore(retrying(bare, trying), files.binding, binding, context);
    const { storeId, isNew, hasTrash } = await withinFirstAnswer(bound, giveUp);
    const makeRoom = roomOf(files);
    const spool = new Spool(files.spool, { makeRoom });
    await spool.prepare();
    const opened = await openOrCreateCatalog(files, storeId, context);
    ({ catalog } = opened);
    if (opened.isBuilt) await catalog.setQuietUntil(context.now() + DOUBT_MS);
    const journal = new Journal(catalog, makeRoom);
    const { previews } = files;
    const parts = { objects, patience: trying, catalog, journal, condition, context, spool, storeId, shared, previews };
    const queues = { byKey: new KeyedQueue(), byFilename: new KeyedQueue() };
    const trashParts = { hasTrash, ...(hasTrash && keepMs !== undefined && { keepMs }) };
    const store = { ...parts, ...trashParts, ...queues, unsettled: new Map(), closing };
    if (isNew) {
      await journal.write({ kind: 'probed' });
      context.log.info({ provider: context.name, location: objects.location }, 'a new store was made in the bucket');
    }
    const synchronizer = await Synchronizer.over(store);
    await resolveOperations(store, await catalog.pendingOperations());
    if (context.formatChange === 'downgrade') await synchronizer.run();
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

async function openOrCreateCatalog(
  files: StateFiles,
  storeId: string,
  context: ProviderContext,
): Promise<{ catalog: BucketCatalog; isBuilt: boolean }> {
  let isBuilt = false;
  const file = { path: files.catalog, storeId };
  const opened = await openCatalog({
    ...file,
    onDeath: context.onFatal,
    rebuild: context.rebuildCatalog,
    build: async (builder, why) => {
      isBuilt = true;
      context.log.info({ provider: context.name, why }, 'the catalog is built from the bucket, in the background');
      await setAside(files.catalog, `${files.catalog}.lost`);
      await (await builder.create(file)).seal();
      await syncFolder(files.folder);
    },
  });
  if (opened.state === 'lost')
    throw new StoreOpenError('io', `the catalog was created and is not readable: ${opened.why}`);
  return { catalog: opened.catalog, isBuilt };
}

function toBucketError(error: unknown, { location }: ObjectStore): unknown {
  if (!(error instanceof ObjectStoreError)) return error;
  const isAuth = error.failure === 'auth';
  const kind = error.failure === 'unavailable' ? 'unavailable' : 'config';
  return new StoreOpenError(kind, `${location}: ${error.message}`, { cause: error, isAuth, details: detailsOf(error) });
}
