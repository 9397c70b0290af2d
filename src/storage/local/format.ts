/** Reads and creates FORMAT, the file with the identity of a local store and the version of its layout. */
import { readMainFile } from '../catalog/sqlite/main-file.ts';
import { inodeOf, readText, replaceFile } from '../disk/files.ts';
import { StoreOpenError } from '../domain/errors.ts';
import type { Logger } from '../domain/logger.ts';
import { newStoreFormat, storeIdIn } from '../domain/store-format.ts';
import type { Layout } from './layout.ts';

/**
 * Returns the store's id, created on first use, or taken from the catalog when only FORMAT is gone. Rejects with `config`
 * when FORMAT is damaged or the layout newer. Requires that the process has not opened the catalog.
 */
export async function readOrCreateFormat(layout: Layout, log: Logger): Promise<{ storeId: string; isNew: boolean }> {
  const found = await readStoreId(layout);
  if (found !== undefined) return { storeId: found, isNew: false };
  const known = readMainFile(layout.catalog)?.storeId;
  if (known !== undefined) log.warn({ path: layout.format }, 'FORMAT is gone; it is written again from the catalog');
  const { storeId, text } = newStoreFormat(known);
  await replaceFile(layout.format, text);
  return { storeId, isNew: known === undefined };
}

/** Rejects with `config` where there is no store. Writes nothing. */
export async function requireStore(layout: Layout): Promise<void> {
  for (const file of [layout.format, layout.catalog]) if ((await inodeOf(file)) !== undefined) return;
  throw new StoreOpenError('config', noStore(layout));
}

/** Returns the message for a folder without a store where none may be made. */
export function noStore({ basePath }: Layout): string {
  return `there is no store in ${basePath}, and create: false forbids a new one: is its disk mounted?`;
}

/** Returns the store's id, or undefined where there is no store yet. Rejects like `readOrCreateFormat`. */
export async function readStoreId({ format }: Layout): Promise<string | undefined> {
  const text = await readText(format);
  if (text === undefined) return undefined;
  const damaged = `${format} is damaged; remove it and the next start writes it again`;
  return storeIdIn(text, { store: 'the store', damaged });
}
