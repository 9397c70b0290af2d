/** What FORMAT says: the identity of a store and the version of its layout. */
import { nanoid } from 'nanoid';
import { StoreOpenError } from './errors.ts';

const LAYOUT_VERSION = 1;
/** That of a store with needs: a program that knows no needs refuses it. */
const VERSION_WITH_NEEDS = 2;

/** What a program must know to use a store; `trash`: records of images in the trash · `postgres`: an index that is shared. */
export type Need = 'trash' | 'postgres';
const KNOWN_NEEDS: readonly unknown[] = ['trash', 'postgres'] satisfies Need[];

/** What a store may have that not every program knows. */
export interface StoreKind {
  /** Images may be in its trash: every daemon knows of it. */
  hasTrash: boolean;
  /** Its index is in Postgres: every daemon uses that one. */
  hasPostgres: boolean;
}

/** Returns the needs of a store. */
export function needsOf({ hasTrash, hasPostgres }: StoreKind): readonly Need[] {
  return [...(hasTrash ? (['trash'] as const) : []), ...(hasPostgres ? (['postgres'] as const) : [])];
}

export interface StoreFormat {
  storeId: string;
  needs: readonly Need[];
}

/** `store` names the store in messages, `damaged` is the message where the text is no FORMAT. */
interface Words {
  store: string;
  damaged: string;
}

/** Returns the FORMAT of a new store, or of one whose id is known. */
export function newStoreFormat(storeId: string = nanoid()): { storeId: string; text: string } {
  return { storeId, text: formatOf(storeId) };
}

/** Returns the FORMAT of the store with this id. */
export function formatOf(storeId: string, needs: readonly Need[] = []): string {
  const version = needs.length === 0 ? LAYOUT_VERSION : VERSION_WITH_NEEDS;
  const format = { format: 'image-storage', version, storeId, ...(needs.length > 0 && { needs }) };
  return `${JSON.stringify(format)}\n`;
}

/**
 * Returns the id of the store whose FORMAT has this text. Throws a StoreOpenError `config` when the layout is newer, or the
 * text is no FORMAT.
 */
export function storeIdIn(text: string, words: Words): string {
  return checked(parse(text), words, LAYOUT_VERSION).storeId;
}

/** The same of a store that may have needs. Throws a StoreOpenError `config` also for a need that is not known here. */
export function storeFormatIn(text: string, words: Words): StoreFormat {
  const parsed = parse(text);
  const needs: unknown[] = Array.isArray(parsed.needs) ? parsed.needs : [];
  const { storeId } = checked(parsed, words, needs.length > 0 ? VERSION_WITH_NEEDS : LAYOUT_VERSION);
  const unknown = needs.filter((need) => !KNOWN_NEEDS.includes(need));
  if (unknown.length === 0) return { storeId, needs: needs as Need[] };
  const named = unknown.map(String).join(', ');
  throw new StoreOpenError(
    'config',
    `${words.store} needs ${named}, which this program does not know; use a newer one`,
  );
}

interface Parsed {
  version?: unknown;
  storeId?: unknown;
  needs?: unknown;
}

function checked({ version, storeId }: Parsed, { store, damaged }: Words, known: number): { storeId: string } {
  if (typeof version !== 'number' || typeof storeId !== 'string') throw new StoreOpenError('config', damaged);
  if (version <= known) return { storeId };
  throw new StoreOpenError('config', `${store} has layout ${version}, this program knows ${known}; use a newer one`);
}

function parse(text: string): Parsed {
  try {
    return (JSON.parse(text) as Parsed | null) ?? {};
  } catch {
    return {};
  }
}
