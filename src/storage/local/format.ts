/** The identity of a local store and the version of its layout: the file FORMAT. */
import { readText, replaceFile } from '../disk/files.ts';
import { newStoreFormat, storeIdIn } from '../domain/store-format.ts';
import type { Layout } from './layout.ts';

/** The store's identity, made on first use. `config` when the layout is newer or the file is none of ours. */
export async function readOrCreateFormat(layout: Layout): Promise<{ storeId: string; isNew: boolean }> {
  const found = await readStoreId(layout);
  if (found !== undefined) return { storeId: found, isNew: false };
  const { storeId, text } = newStoreFormat();
  await replaceFile(layout.format, text);
  return { storeId, isNew: true };
}

/** Undefined where there is no store yet. `config` when the layout is newer or the file is none of ours. */
export async function readStoreId({ format }: Layout): Promise<string | undefined> {
  const text = await readText(format);
  if (text === undefined) return undefined;
  const damaged = `${format} is damaged; remove it and the next start writes it again`;
  return storeIdIn(text, { store: 'the store', damaged });
}
