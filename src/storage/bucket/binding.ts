/** Binds a state folder to the store in its bucket, which it creates on first use, and opens its trash. */

import { setAside } from '../catalog/sqlite/database-files.ts';
import { readText, replaceFile } from '../disk/files.ts';
import { StoreOpenError } from '../domain/errors.ts';
import { needsOf, type StoreFormat, type StoreKind } from '../domain/store-format.ts';
import type { ProviderContext } from '../types.ts';
import { changeNeeds, readOrCreateFormat } from './format.ts';
import { HELP } from './help.ts';
import type { ObjectStore } from './object-store.ts';
import { removeSnapshots } from './snapshot-object.ts';
import type { StateFiles } from './state-files.ts';

/** What a state folder was made for. */
export interface Binding extends Partial<StoreFormat> {
  location?: string;
}

interface BindingOptions {
  create?: boolean | undefined;
  shared: boolean;
  wantsTrash: boolean;
  /** The index that is configured is in Postgres. */
  wantsPostgres: boolean;
}

export interface BoundStore extends StoreKind {
  storeId: string;
  isNew: boolean;
}

/** Requires that the bucket holds the store that the state was made for, if there is state. `path` is that of the binding. */
export async function bindToStore(
  objects: ObjectStore,
  path: string,
  { create, shared, wantsTrash, wantsPostgres }: BindingOptions,
  context: ProviderContext,
): Promise<BoundStore> {
  const bound = await readBinding(path);
  const onCreate = () => announceStore(objects, context);
  const format = await readOrCreateFormat(objects, bound, {
    create,
    needs: needsOf({ hasTrash: wantsTrash, hasPostgres: wantsPostgres }),
    onCreate,
  });
  const { storeId, isNew } = format;
  const hasPostgres = format.needs.includes('postgres');
  checkIndex(objects, { hasPostgres, wantsPostgres }, context);
  const isThere = format.needs.includes('trash');
  const isAsked = wantsTrash || context.formatChange === 'upgrade';
  const hasTrash = isThere || (isAsked && (await addTrash(objects, { storeId, hasPostgres, shared }, context)));
  await noteBinding(path, objects, { storeId, needs: needsOf({ hasTrash, hasPostgres }) }, bound);
  return { storeId, isNew, hasTrash, hasPostgres };
}

/**
 * Raises FORMAT for a trash where no other daemon uses the bucket: a running one of a version that knows no trash would not
 * read FORMAT again. Returns whether it did.
 */
async function addTrash(
  objects: ObjectStore,
  { storeId, hasPostgres, shared }: Pick<BoundStore, 'storeId' | 'hasPostgres'> & { shared: boolean },
  { log, name: provider, formatChange }: ProviderContext,
): Promise<boolean> {
  const { location } = objects;
  if (formatChange !== undefined && formatChange !== 'upgrade') return false;
  if (shared && formatChange === undefined) {
    log.warn({ provider, location }, `deletes are for good: the bucket was made without a trash (${HELP.trash})`);
    return false;
  }
  await changeNeeds(objects, storeId, needsOf({ hasTrash: true, hasPostgres }));
  log.info({ provider, location }, 'the bucket has a trash from now on: older versions refuse it');
  return true;
}

/**
 * Leaves a store without images in its trash to versions that know none: they refuse its FORMAT, and a newer catalog, which
 * they build again from the bucket. Requires that the catalog is closed, and its lock held.
 */
export async function leaveToOlder(
  objects: ObjectStore,
  storeId: string,
  { binding, catalog }: Pick<StateFiles, 'binding' | 'catalog'>,
): Promise<void> {
  await setAside(catalog, `${catalog}.newer`);
  // They would take nothing out of them that is deleted.
  await removeSnapshots(objects);
  await changeNeeds(objects, storeId, []);
  await noteBinding(binding, objects, { storeId, needs: [] }, await readBinding(binding));
}

/** Two kinds of index never share a bucket. Throws a StoreOpenError that says what to do. */
function checkIndex(
  { location }: ObjectStore,
  { hasPostgres, wantsPostgres }: { hasPostgres: boolean; wantsPostgres: boolean },
  { name, formatChange }: ProviderContext,
): void {
  if (hasPostgres && formatChange === 'downgrade') {
    const message = `the index of ${location} is in Postgres: take it back first, with image-storage catalog migrate --back`;
    throw new StoreOpenError('config', message);
  }
  if (hasPostgres === wantsPostgres || formatChange === 'migrate' || formatChange === 'migrateBack') return;
  const message = hasPostgres
    ? `the index of ${location} is in Postgres: set providers.${name}.index to its URL, or take it back with image-storage catalog migrate --back (${HELP.index})`
    : `the index of ${location} is not in Postgres yet: stop all its daemons, then run image-storage catalog migrate (${HELP.index})`;
  throw new StoreOpenError('config', message);
}

/** Moves a store to an index in Postgres, or back. Requires that no other daemon uses it. */
export async function changeIndex(
  objects: ObjectStore,
  { storeId, ...kind }: { storeId: string } & StoreKind,
  { binding }: Pick<StateFiles, 'binding'>,
): Promise<void> {
  await changeNeeds(objects, storeId, needsOf(kind));
  await noteBinding(binding, objects, { storeId, needs: needsOf(kind) }, await readBinding(binding));
}

/** Notes what the state is for, where it says something else. */
async function noteBinding(
  path: string,
  { location }: ObjectStore,
  { storeId, needs }: StoreFormat,
  bound: Binding | undefined,
): Promise<void> {
  const text = JSON.stringify({ storeId, location, ...(needs.length > 0 && { needs }) });
  if (text !== JSON.stringify(bound)) await replaceFile(path, `${text}\n`);
}

function announceStore({ location }: ObjectStore, { name: provider, log, onNewStore }: ProviderContext): void {
  log.info({ provider }, `${location} has no store yet: a new one is made`);
  onNewStore?.(location);
}

/** Returns the store that the state was made for, or undefined. */
export async function readBinding(path: string): Promise<Binding | undefined> {
  const text = await readText(path);
  try {
    return text === undefined ? undefined : (JSON.parse(text) as object);
  } catch {
    return undefined;
  }
}
