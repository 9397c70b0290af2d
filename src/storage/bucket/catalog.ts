/** Opens the catalog of a bucket: a file in the state folder, or an index in Postgres with a file of operations. */
import { existsSync } from 'node:fs';
import { nanoid } from 'nanoid';
import type { BucketCatalog, IndexMark, PendingOperation, SharedCatalog } from '../catalog/bucket-catalog.ts';
import { setAside } from '../catalog/sqlite/database-files.ts';
import { openCatalog } from '../catalog/sqlite/worker-catalog.ts';
import { readText, replaceFile, syncFolder } from '../disk/files.ts';
import { StoreOpenError } from '../domain/errors.ts';
import type { ProviderContext } from '../types.ts';
import { asideOf, type StateFiles } from './state-files.ts';

export interface OpenedCatalog {
  catalog: BucketCatalog;
  /** The same, where all daemons share it. */
  index?: SharedCatalog;
  /** A file was lost or not there, and is empty now. */
  isBuilt: boolean;
}

export interface CatalogChoice {
  storeId: string;
  /** Of a Postgres. */
  url?: string | undefined;
  /** How far it was, as the bucket knows. */
  seen?: IndexMark | undefined;
  /** As in PostgresCatalogOptions. */
  onState: (error?: Error) => void;
  onUnwritten: (operations: readonly PendingOperation[]) => void;
  /** The index is behind the bucket. */
  onBehind: () => void;
}

/** Takes over the operations of the other kind of catalog, which it moves aside. */
export async function openBucketCatalog(
  files: StateFiles,
  choice: CatalogChoice,
  context: ProviderContext,
): Promise<OpenedCatalog> {
  const { storeId, url } = choice;
  if (url === undefined) {
    const opened = await openFile(files.catalog, storeId, files, context);
    await takeOver(files.operations, opened.catalog, storeId, files, context);
    return opened;
  }
  const { catalog: operations } = await openFile(files.operations, storeId, files, context);
  try {
    await takeOver(files.catalog, operations, storeId, files, context);
    const daemon = await daemonOf(files);
    return { ...(await openShared(url, operations, { ...choice, daemon }, context)), isBuilt: false };
  } catch (error) {
    await operations.close(false);
    throw error;
  }
}

async function openShared(
  url: string,
  operations: BucketCatalog,
  { storeId, daemon, seen, onBehind, ...late }: CatalogChoice & { daemon: string },
  { now, meter }: ProviderContext,
): Promise<{ catalog: SharedCatalog; index: SharedCatalog }> {
  const [{ openSharedIndex }, { openPostgresCatalog }] = await Promise.all([
    import('../catalog/postgres/shared-index.ts'),
    import('../catalog/postgres/postgres-catalog.ts'),
  ]);
  const shared = await openSharedIndex({ url, storeId, daemon, now, seen, onBehind, onCall: meter?.indexCalled });
  const index = openPostgresCatalog({ ...late, index: shared, operations });
  meter?.watchIndex(() => index.load);
  return { catalog: index, index };
}

/** Made at first use: two daemons with one name would answer for each other. */
async function daemonOf({ daemon: path }: StateFiles): Promise<string> {
  const known = (await readText(path))?.trim();
  if (known) return known;
  const made = nanoid();
  await replaceFile(path, `${made}\n`);
  return made;
}

async function takeOver(
  path: string,
  catalog: BucketCatalog,
  storeId: string,
  files: StateFiles,
  context: ProviderContext,
): Promise<void> {
  if (!existsSync(path)) return;
  const { catalog: other } = await openFile(path, storeId, files, context);
  try {
    const operations = await other.pendingOperations();
    await catalog.apply(operations.map((operation) => ({ kind: 'begin', operation })));
  } finally {
    await other.close(false);
  }
  await setAside(path, asideOf(path));
  await syncFolder(files.folder);
}

async function openFile(
  path: string,
  storeId: string,
  { folder, catalog }: StateFiles,
  context: ProviderContext,
): Promise<{ catalog: BucketCatalog; isBuilt: boolean }> {
  let isBuilt = false;
  const file = { path, storeId };
  const isIndex = path === catalog;
  const opened = await openCatalog({
    ...file,
    onDeath: context.onFatal,
    rebuild: isIndex && context.rebuildCatalog,
    build: async (builder, why) => {
      isBuilt = true;
      const { name: provider } = context;
      if (isIndex) context.log.info({ provider, why }, 'the catalog is built from the bucket, in the background');
      await setAside(path, `${path}.lost`);
      await (await builder.create(file)).seal();
      await syncFolder(folder);
    },
  });
  if (opened.state === 'lost')
    throw new StoreOpenError('io', `the catalog was created and is not readable: ${opened.why}`);
  return { catalog: opened.catalog, isBuilt };
}
