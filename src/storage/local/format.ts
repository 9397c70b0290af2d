/** Reads and creates FORMAT, the file with the identity of a local store and the version of its layout. */
import { readText, replaceFile } from '../disk/files.ts';
import { newStoreFormat, storeIdIn } from '../domain/store-format.ts';
import type { Layout } from './layout.ts';

/** Returns the store's id, created on first use. Rejects with `config` when FORMAT is damaged or the layout newer. */
export async function readOrCreateFormat(layout: Layout): Promise<{ storeId: string; isNew: boolean }> {
  const found = await readStoreId(layout);
  if (found !== undefined) return { storeId: found, isNew: false };
  const { storeId, text } = newStoreFormat();
  await replaceFile(layout.format, text);
  return { storeId, isNew: true };
}

/** Returns the store's id, or undefined where there is no store yet. Rejects like `readOrCreateFormat`. */
export async function readStoreId({ format }: Layout): Promise<string | undefined> {
  const text = await readText(format);
  if (text === undefined) return undefined;
  const damaged = `${format} is damaged; remove it and the next start writes it again`;
  return storeIdIn(text, { store: 'the store', damaged });
}
