/** Opens a local store: lock, identity, catalog (rebuilt when it is lost), recovery. */
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { KeyedQueue } from '../async/keyed-queue.ts';
import { type OpenCatalogOptions, type OpenedCatalog, openCatalog } from '../catalog/sqlite/worker-catalog.ts';
import { checkLinks, checkLocal } from '../disk/file-system.ts';
import { Folders, hasCode, ifPresent, inodeOf, readText, replaceFile, syncFolder } from '../disk/files.ts';
import { type Lock, openLock } from '../disk/lock.ts';
import { writePlain } from '../disk/plain-files.ts';
import { DEFAULT_LOCK_WAIT_SECONDS, type LocalConfig } from '../domain/config.ts';
import { StoreOpenError } from '../domain/errors.ts';
import type { Logger } from '../domain/logger.ts';
import type { ProviderContext } from '../types.ts';
import { AuditLog } from './audit-log.ts';
import { Committer } from './committer.ts';
import { LocalCondition } from './condition.ts';
import { finishUnlinks } from './delete.ts';
import { readOrCreateFormat } from './format.ts';
import { Layout } from './layout.ts';
import { rebuildCatalog } from './rebuild.ts';
import { restoreRecords, settleStaging } from './recover.ts';
import { Reserve } from './reserve.ts';
import type { LocalStore } from './store.ts';
import { checkStoreFiles, notPlain } from './store-files.ts';

export interface OpenStore extends LocalStore {
  lock: Lock;
}

/** Opens the store, creating it on first use. Rejects with a StoreOpenError that says what to change. */
export async function openStore(config: LocalConfig, context: ProviderContext): Promise<OpenStore> {
  const layout = new Layout(config.basePath);
  const folders = new Folders(layout.basePath);
  let lock: Lock | undefined;
  try {
    await makeStoreFolders(layout, folders);
    await checkStoreFiles(layout);
    lock = await openLock(layout.lock, config.lockWaitSeconds ?? DEFAULT_LOCK_WAIT_SECONDS, context.signal);
    context.failpoint('locked');
    return await openLocked(layout, folders, lock, context);
  } catch (error) {
    lock?.release();
    throw toOpenError(error, layout.basePath);
  }
}

async function openLocked(layout: Layout, folders: Folders, lock: Lock, context: ProviderContext): Promise<OpenStore> {
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
  const { storeId, isNew } = await reserve.lend(() => readOrCreateFormat(layout));
  context.failpoint('format-read');
  await reserve.lend(() => checkFileSystem(layout, context.log));
  const opened = await reserve.lend(() =>
    openOrRebuild(layout, storeId, isNew, context, { onDeath: onFatal, onCorrupt }),
  );
  const { catalog } = opened;
  reserve.serve(catalog);
  const queues = { byFilename: new KeyedQueue(), byKey: new KeyedQueue() };
  try {
    const recovering = { layout, catalog, folders, log: context.log, failpoint: context.failpoint };
    await reserve.lend(async () => {
      if (!opened.clean) await restoreRecords(recovering);
      await settleStaging(recovering);
      await finishUnlinks({ layout, catalog, context, ...queues });
    });
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
    });
    const audit = new AuditLog(layout.auditLog);
    const parts = { layout, context, catalog, committer, folders, audit, condition: opening, reserve, lock };
    return { storeId, ...parts, ...queues, unlinksPending: false };
  } catch (error) {
    await catalog.close(false);
    throw error;
  }
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
  storeId: string,
  isNew: boolean,
  context: ProviderContext,
  handlers: Pick<OpenCatalogOptions, 'onDeath' | 'onCorrupt'>,
): Promise<OpenedCatalog & { state: 'open' }> {
  const opened = await openCatalog({
    path: layout.catalog,
    storeId,
    suspect: !(await isAsClosed(layout)),
    ...handlers,
    ...(context.synchronous && { synchronous: context.synchronous }),
    rebuild: context.rebuildCatalog || (await inodeOf(layout.rebuild)) !== undefined,
    build: async (builder, why) => {
      if (context.rebuildCatalog) await checkRecords(layout);
      if (!isNew) context.log.warn({ provider: context.name, why }, 'building the catalog from the records');
      await rebuildCatalog(builder, { ...context, layout, storeId });
    },
  });
  if (opened.state === 'lost')
    throw new StoreOpenError('io', `the catalog was built and is not readable: ${opened.why}`);
  return opened;
}

/** Rejects where there are images but no records: a rebuild would leave a store whose images nobody finds. */
async function checkRecords({ images, records }: Layout): Promise<void> {
  const isEmpty = async (folder: string) => ((await ifPresent(readdir(folder))) ?? []).length === 0;
  if (!(await isEmpty(records)) || (await isEmpty(images))) return;
  throw new StoreOpenError('config', `${images} has images and ${records} has no records: mount or restore them first`);
}

/** Notes the size and mtime of the catalog at a clean stop. */
export async function markClosed(layout: Layout): Promise<void> {
  await writePlain(layout.clean, await stampOf(layout));
}

async function isAsClosed(layout: Layout): Promise<boolean> {
  return (await readText(layout.clean)) === (await stampOf(layout));
}

async function stampOf(layout: Layout): Promise<string> {
  const stats = await ifPresent(stat(layout.catalog, { bigint: true }));
  return stats === undefined ? 'missing' : `${stats.size} ${stats.mtimeNs}\n`;
}

function toOpenError(thrown: unknown, basePath: string): StoreOpenError {
  const error = notPlain(thrown);
  if (error instanceof StoreOpenError) return error;
  const options = { cause: error };
  if (hasCode(error, 'EACCES', 'EPERM', 'EROFS')) {
    return new StoreOpenError('permission', `${basePath} cannot be written by this user`, options);
  }
  if (hasCode(error, 'ENOTDIR', 'EEXIST')) return new StoreOpenError('config', `${basePath} is not a folder`, options);
  if (hasCode(error, 'ENOSPC', 'EDQUOT')) return new StoreOpenError('io', `the disk of ${basePath} is full`, options);
  const why = error instanceof Error ? error.message : String(error);
  return new StoreOpenError('io', `${basePath} cannot be opened: ${why}`, options);
}

async function makeStoreFolders(layout: Layout, folders: Folders): Promise<void> {
  for (const folder of [layout.staging, layout.logs, layout.records, layout.images]) await folders.ensure(folder);
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
  await checkLinks(layout.basePath, join(layout.staging, '.link-test'), join(layout.images, '.link-test'));
}
