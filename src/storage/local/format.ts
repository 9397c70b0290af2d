/** Reads and creates FORMAT, the file with the identity of a local store and the version of its layout. */
import { readMainFile } from '../catalog/sqlite/main-file.ts';
import { inodeOf, readText, replaceFile } from '../disk/files.ts';
import { StoreOpenError } from '../domain/errors.ts';
import type { Logger } from '../domain/logger.ts';
import { newStoreFormat, storeIdIn } from '../domain/store-format.ts';
import type { Layout } from './layout.ts';
import { lacksRecords, namesIn } from './record-files.ts';

/**
 * Returns the store's id, created on first use, or taken from the catalog when only FORMAT is gone. Rejects with `config`
 * when FORMAT is damaged or the layout newer. Requires that the process has not opened the catalog.
 */
export async function readOrCreateFormat(layout: Layout, log: Logger): Promise<{ storeId: string; isNew: boolean }> {
  const found = await readStoreId(layout);
  if (found !== undefined) return { storeId: found, isNew: false };
  const known = readMainFile(layout.catalog)?.storeId;
  const isNew = !(await hasStore(layout));
  if (!isNew) {
    const source = known === undefined ? 'with a new id' : 'from the catalog';
    log.warn({ path: layout.format }, `FORMAT is gone; it is written again ${source}`);
  }
  const { storeId, text } = newStoreFormat(known);
  await replaceFile(layout.format, text);
  return { storeId, isNew };
}

/** Returns whether the folder holds a store: the next start makes FORMAT and the catalog again, as far as it has records. */
export async function hasStore({ format, catalog, records }: Layout): Promise<boolean> {
  for (const file of [format, catalog]) if ((await inodeOf(file)) !== undefined) return true;
  return (await namesIn(records)).length > 0;
}

/** Rejects with `config` where there is no store. Writes nothing. */
export async function requireStore(layout: Layout): Promise<void> {
  if (!(await hasStore(layout))) throw new StoreOpenError('config', await noStore(layout));
}

/** Returns the message for a folder without a store where none may be made. */
export async function noStore(layout: Layout): Promise<string> {
  const { basePath, images, metadata } = layout;
  if (!(await lacksRecords(layout))) {
    return `there is no store in ${basePath}, and none may be made: is its disk mounted?`;
  }
  return `${images} has images, and ${metadata} no store, and none may be made: mount it or put it back; else start the daemon without create: false, and \`image-storage verify --repair\` adopts them`;
}

/** Returns the store's id, or undefined where there is no store yet. Rejects like `readOrCreateFormat`. */
export async function readStoreId({ format }: Layout): Promise<string | undefined> {
  const text = await readText(format);
  if (text === undefined) return undefined;
  const damaged = `${format} is damaged; remove it and the next start writes it again`;
  return storeIdIn(text, { store: 'the store', damaged });
}
