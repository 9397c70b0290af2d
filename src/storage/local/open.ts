/** Opens a local store: lock, identity, catalog (rebuilt when it is lost), recovery. */
import { stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { KeyedQueue } from '../async/keyed-queue.ts';
import type { LocalCatalog } from '../catalog/catalog.ts';
import { readMainFile } from '../catalog/sqlite/main-file.ts';
import { type OpenCatalogOptions, type OpenedState, openCatalog } from '../catalog/sqlite/worker-catalog.ts';
import { checkLinks, checkLocal } from '../disk/file-system.ts';
import { Folders, hasCode, ifPresent, inodeOf, readText, replaceFile, syncFolder } from '../disk/files.ts';
import { toOpenError } from '../disk/folder-problem.ts';
import { type Lock, openLock } from '../disk/lock.ts';
import { writePlain } from '../disk/plain-files.ts';
import { DEFAULT_LOCAL_TRASH_DAYS, DEFAULT_LOCK_WAIT_SECONDS, type LocalConfig } from '../domain/config.ts';
import { StoreOpenError } from '../domain/errors.ts';
import type { Logger } from '../domain/logger.ts';
import { DOUBT_MS } from '../domain/purge-clock.ts';
import type { ProviderContext } from '../types.ts';
import { AuditLog, lastDeletes } from './audit-log.ts';
import { catchUp, reportStrays } from './catch-up.ts';
import { Committer } from './committer.ts';
import { LocalCondition } from './condition.ts';
import { finishUnlinks, noteCutOff } from './delete.ts';
import { readOrCreateFormat, requireStore } from './format.ts';
import { isNewest, type Progress, readProgress, wasOpenedSince, writeProgress } from './generation.ts';
import { Layout } from './layout.ts';
import { rebuildCatalog } from './rebuild.ts';
import { lacksRecords } from './record-files.ts';
import { restoreRecords, restoreUpdated, settleStaging, stagedUploads } from './recover.ts';
import { Recovery } from './recovery.ts';
import { Reserve } from './reserve.ts';
import type { LocalStore } from './store.ts';
import { checkStoreFiles, notPlain } from './store-files.ts';

/** Looking through so large a catalog takes a few tenths of a second. */
const CHECKED_AT_START_BYTES = 64 * 1024 * 1024;
const DAY_MS = 24 * 60 * 60 * 1000;

export interface OpenStore extends LocalStore {
  lock: Lock;
}

/** Opens the store, creating it on first use. Rejects with a StoreOpenError that says what to change. */
export async function openStore(config: LocalConfig, context: ProviderContext): Promise<OpenStore> {
  const layout = new Layout(config.basePath);
  const folders = new Folders(layout.basePath, modeOf(config));
  let lock: Lock | undefined;
  try {
    if (config.create === false) await requireStore(layout);
    await makeStoreFolders(layout, folders);
    await checkStoreFiles(layout);
    const { lockWaitSeconds: waitSeconds = DEFAULT_LOCK_WAIT_SECONDS } = config;
    const { signal, onLocked } = context;
    lock = await openLock(layout.lock, { waitSeconds, signal, onLocked });
    context.failpoint('locked');
    return await openLocked(layout, folders, lock, config, context);
  } catch (error) {
    lock?.release();
    throw await toOpenError(notPlain(error), { root: layout.basePath, setting: 'basePath' }, layout.files);
  }
}

async function openLocked(
  layout: Layout,
  folders: Folders,
  lock: Lock,
  config: LocalConfig,
  context: ProviderContext,
): Promise<OpenStore> {
  const trashDays = config.trash?.days ?? DEFAULT_LOCAL_TRASH_DAYS;
  // Also where deletes are for good by now: what is in the trash is not lost for a lost catalog.
  const keepMs = Math.max(trashDays, DEFAULT_LOCAL_TRASH_DAYS) * DAY_MS;
  let condition: LocalCondition | undefined;
  const onFatal = (error: Error) => {
    condition?.stop(error);
    context.onFatal(error);
  };
  const onCorrupt = async (error: Error) => {
    await replaceFile(layout.rebuild, '').catch((cause) => {
      context.log.error(
        { err: cause, provider: context.name },
        'the next start cannot be asked to rebuild the catalog',
      );
    });
    onFatal(error);
  };
  const reserve = new Reserve(layout, context.limits);
  const { storeId, isNew } = await reserve.lend(() => readOrCreateFormat(layout, context.log));
  const known = await readProgress(layout);
  const isNoted = !(await wasOpenedSince(layout));
  const asClosed = await isAsClosed(layout);
  context.failpoint('format-read');
  await reserve.lend(() => checkFileSystem(layout, context.log));
  const opened = await reserve.lend(() =>
    openOrRebuild(layout, { storeId, isNew, asClosed, keepMs }, context, { onDeath: onFatal, onCorrupt }),
  );
  const { catalog } = opened;
  reserve.serve(catalog);
  const queues = { byFilename: new KeyedQueue(), byKey: new KeyedQueue() };
  try {
    const isBehind = !opened.isBuilt && !(isNoted && (await isCurrent(opened, layout, known, asClosed)));
    if (isBehind) {
      if (!(await opened.whenChecked)) throw new StoreOpenError('io', 'the catalog is damaged; start again');
      await reserve.lend(() => catchUp({ layout, catalog, context, keepMs }));
    }
    if (isBehind || (opened.isBuilt && !isNew))
      await reserve.lend(() => catalog.setQuietUntil(context.now() + DOUBT_MS));
    const audit = new AuditLog(layout.auditLog);
    const parts = { layout, context, catalog, folders, audit, reserve, ...queues };
    const recovery = await recoveryOf(opened, parts, (error) => {
      condition?.stop(error);
    });
    const isRecoveredLater = !opened.checked && !isBehind;
    if (!isRecoveredLater) await recovery.run();
    if (isBehind || opened.isBuilt || (await lacksRecords(layout))) await reportStrays({ layout, catalog, context });
    const generation = await reserve.lend(() => beginGeneration(layout, catalog, known, context));
    if (isNew) announceStore(layout, context);
    await takeReserve(reserve, context);
    context.failpoint('recovered');
    const [identity, images] = [(await inodeOf(layout.format))!, (await inodeOf(layout.images))!];
    const opening = new LocalCondition(layout, context, { identity, images });
    condition = opening;
    const committer = new Committer({
      catalog,
      check: () => opening.checkWritable(),
      syncFolder,
      fold: (error) => opening.fold(error),
      failpoint: context.failpoint,
      onCommitted: context.meter?.committed,
    });
    if (isRecoveredLater) recovery.runAfter(opened.whenChecked);
    const state = { unlinksPending: false, moved: new Set<string>(), keepMs };
    return { storeId, generation, ...parts, committer, condition: opening, recovery, lock, ...state };
  } catch (error) {
    await catalog.close(false);
    throw error;
  }
}

/** Returns the recovery of what the last stop left, which leaves out what comes later. */
async function recoveryOf(
  { clean }: OpenedState,
  parts: Pick<LocalStore, 'layout' | 'context' | 'catalog' | 'folders' | 'byFilename' | 'audit' | 'reserve'>,
  onFailure: (error: Error) => void,
): Promise<Recovery> {
  const { layout, context, catalog, reserve } = parts;
  const [staged, upTo] = [await stagedUploads(layout), await catalog.lastSequence()];
  const recover = async () => {
    if (!clean) await noteCutOff(parts);
    await reserve.lendAcrossTurns(async () => {
      if (!clean) {
        await restoreRecords(parts, upTo);
        await restoreUpdated(parts);
      }
      await settleStaging(parts, staged);
      await finishUnlinks(parts);
    });
  };
  return new Recovery({ recover, onFailure, log: context.log, provider: context.name });
}

/** Returns whether the catalog is the newest of its folder, and has the last deletes of the audit log. */
async function isCurrent(opened: OpenedState, layout: Layout, known: Progress, asClosed: boolean): Promise<boolean> {
  const { catalog } = opened;
  if (!isNewest({ ...opened, sequence: await catalog.lastSequence() }, known, asClosed)) return false;
  return !(await catalog.rowStates(await lastDeletes(layout.auditLog))).includes('live');
}

/** Raises the generation of a catalog that is the newest of its folder, there and in the folder. Returns it. */
async function beginGeneration(
  layout: Layout,
  catalog: LocalCatalog,
  known: Progress,
  { name: provider, log, failpoint }: ProviderContext,
): Promise<number> {
  const generation = await catalog.raiseGeneration(known.generation);
  failpoint('generation-raised');
  try {
    await writeProgress(layout, { generation, sequence: await catalog.lastSequence() });
  } catch (error) {
    if (!hasCode(error, 'ENOSPC', 'EDQUOT')) throw error;
    log.warn({ err: error, provider }, 'the generation of the catalog could not be noted');
  }
  return generation;
}

/** Says that the store is new: below the mount point of a disk that is not mounted it hides the one that is missed. */
function announceStore({ basePath }: Layout, { name: provider, log, onNewStore }: ProviderContext): void {
  log.info({ provider, basePath }, `a new store was made in ${basePath}; if it had one, is its disk mounted?`);
  onNewStore?.(basePath);
}

/** Takes the reserve, as far as there is room. A start never fails for it. */
async function takeReserve(reserve: Reserve, { log, name: provider }: ProviderContext): Promise<void> {
  try {
    if (await reserve.take()) return;
    log.warn(
      { provider },
      'the disk is full: what becomes free goes to the reserve first, and saves are refused until then',
    );
  } catch (error) {
    log.warn({ err: error, provider }, 'no reserve could be taken');
  }
}

async function openOrRebuild(
  layout: Layout,
  { storeId, isNew, asClosed, keepMs }: { storeId: string; isNew: boolean; asClosed: boolean; keepMs: number },
  context: ProviderContext,
  handlers: Pick<OpenCatalogOptions, 'onDeath' | 'onCorrupt'>,
): Promise<OpenedState & { isBuilt: boolean }> {
  let isBuilt = false;
  const opened = await openCatalog({
    path: layout.catalog,
    storeId,
    suspect: !asClosed,
    ...handlers,
    ...(context.synchronous && { synchronous: context.synchronous }),
    checkLaterAbove: context.checkLaterAbove ?? CHECKED_AT_START_BYTES,
    rebuild: context.rebuildCatalog || (await inodeOf(layout.rebuild)) !== undefined,
    build: async (builder, why) => {
      if (context.rebuildCatalog) await checkRecords(layout);
      if (!isNew) context.log.warn({ provider: context.name, why }, 'building the catalog from the records');
      await rebuildCatalog(builder, { ...context, layout, storeId, keepMs });
      isBuilt = true;
    },
  });
  if (opened.state === 'lost')
    throw new StoreOpenError('io', `the catalog was built and is not readable: ${opened.why}`);
  return { ...opened, isBuilt };
}

/** Rejects where there are images but no records: a rebuild would leave a store whose images nobody finds. */
async function checkRecords(layout: Layout): Promise<void> {
  if (!(await lacksRecords(layout))) return;
  const { images, records } = layout;
  throw new StoreOpenError('config', `${images} has images and ${records} has no records: mount or restore them first`);
}

/** Notes the generation, size and mtime of the catalog at a clean stop. Requires that the catalog is closed. */
export async function markClosed(layout: Layout): Promise<void> {
  await writePlain(layout.clean, await stampOf(layout));
  const closed = readMainFile(layout.catalog);
  if (closed !== undefined) await writeProgress(layout, closed);
}

async function isAsClosed(layout: Layout): Promise<boolean> {
  return (await readText(layout.clean)) === (await stampOf(layout));
}

async function stampOf(layout: Layout): Promise<string> {
  const stats = await ifPresent(stat(layout.catalog, { bigint: true }));
  return stats === undefined ? 'missing' : `${stats.size} ${stats.mtimeNs}\n`;
}

async function makeStoreFolders(layout: Layout, folders: Folders): Promise<void> {
  const { staging, logs, records, images, trashedRecords, trashedImages } = layout;
  for (const folder of [staging, logs, records, images, trashedRecords, trashedImages]) await folders.ensure(folder);
  // Those that exist, too: whoever may not enter them reads neither old files nor the catalog.
  const entered = [layout.metadata, records, dirname(images), images];
  for (const folder of [...entered, layout.trash, trashedRecords, dirname(trashedImages), trashedImages]) {
    await folders.setFolderMode(folder);
  }
}

function modeOf({ fileMode }: LocalConfig): number | undefined {
  return fileMode === undefined ? undefined : Number.parseInt(fileMode, 8);
}

/** Refuses network file systems, and folders of images and metadata that allow no hard links between them. */
async function checkFileSystem(layout: Layout, log: Logger): Promise<void> {
  // Not the base path: `images` and `metadata` may be links to another disk.
  if ((await checkLocal(layout.metadata)) === 'fuse') {
    log.warn(
      { basePath: layout.basePath },
      'the store is on FUSE or virtiofs: a power cut is as safe as that makes fsync',
    );
  }
  for (const folder of [layout.staging, layout.trashedImages, layout.trashedRecords]) {
    await checkLinks(layout.basePath, join(folder, '.link-test'), join(layout.images, '.link-test'));
  }
}
