/** What FORMAT says: the identity of a store and the version of its layout. */
import { nanoid } from 'nanoid';
import { StoreOpenError } from './errors.ts';

const LAYOUT_VERSION = 1;

/** The FORMAT of a new store. */
export function newStoreFormat(): { storeId: string; text: string } {
  const storeId = nanoid();
  return { storeId, text: formatOf(storeId) };
}

/** Returns the FORMAT of the store with this id. */
export function formatOf(storeId: string): string {
  return `${JSON.stringify({ format: 'image-storage', version: LAYOUT_VERSION, storeId })}\n`;
}

/**
 * The id of the store whose FORMAT has this text. Throws a StoreOpenError `config` when the layout is newer, and with
 * the message `damaged` when the text is no FORMAT. `store` names the store in messages.
 */
export function storeIdIn(text: string, { store, damaged }: { store: string; damaged: string }): string {
  const { version, storeId } = parse(text);
  if (typeof version !== 'number' || typeof storeId !== 'string') throw new StoreOpenError('config', damaged);
  if (version > LAYOUT_VERSION) {
    throw new StoreOpenError(
      'config',
      `${store} has layout ${version}, this program knows ${LAYOUT_VERSION}; use a newer one`,
    );
  }
  return storeId;
}

function parse(text: string): { version?: unknown; storeId?: unknown } {
  try {
    return (JSON.parse(text) as object | null) ?? {};
  } catch {
    return {};
  }
}
