/** The identity of a local store and the version of its layout: the file FORMAT. */
import { nanoid } from 'nanoid';
import { readText, replaceFile } from '../disk/files.ts';
import { StoreOpenError } from '../domain/errors.ts';
import type { Layout } from './layout.ts';

/** The version of the layout on disk. */
const LAYOUT_VERSION = 1;

/** The store's identity, made on first use. `config` when the layout is newer or the file is none of ours. */
export async function readOrCreateFormat(layout: Layout): Promise<{ storeId: string; isNew: boolean }> {
  const found = await readStoreId(layout);
  if (found !== undefined) return { storeId: found, isNew: false };
  const storeId = nanoid();
  await replaceFile(
    layout.format,
    `${JSON.stringify({ format: 'image-storage', version: LAYOUT_VERSION, storeId })}\n`,
  );
  return { storeId, isNew: true };
}

/** Undefined where there is no store yet. `config` when the layout is newer or the file is none of ours. */
export async function readStoreId(layout: Layout): Promise<string | undefined> {
  const text = await readText(layout.format);
  if (text === undefined) return undefined;
  const { version, storeId } = parseFormat(text);
  if (typeof version !== 'number' || typeof storeId !== 'string') {
    throw new StoreOpenError('config', `${layout.format} is damaged; remove it and the next start writes it again`);
  }
  if (version > LAYOUT_VERSION) {
    throw new StoreOpenError(
      'config',
      `the store has layout ${version}, this program knows ${LAYOUT_VERSION}; use a newer one`,
    );
  }
  return storeId;
}

function parseFormat(text: string): { version?: unknown; storeId?: unknown } {
  try {
    return JSON.parse(text) as object;
  } catch {
    return {};
  }
}
