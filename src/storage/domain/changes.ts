/** What an Update changes of a record: its pin, tags and category. */
import type { ImageRecord } from './record.ts';

/** Tags of an image. */
export const MAX_TAGS = 64;

/** Changes that passed the checks; unset or empty changes nothing. */
export interface CheckedChanges {
  pinned?: boolean | undefined;
  addTags: readonly string[];
  removeTags: readonly string[];
  category?: string | undefined;
}

/** How often the image was updated. */
export function revisionOf({ revision = 0 }: Pick<ImageRecord, 'revision'>): number {
  return revision;
}

/**
 * Returns the record with the changes and a revision above its own and `above`; the same object where they change nothing,
 * and undefined where it would have too many tags.
 */
export function withChanges(record: ImageRecord, changes: CheckedChanges, above = 0): ImageRecord | undefined {
  const { pinned = record.pinned, category = record.category, addTags, removeTags } = changes;
  const tags = [...new Set([...record.tags.filter((tag) => !removeTags.includes(tag)), ...addTags])];
  const isSame = pinned === record.pinned && category === record.category && isEqual(tags, record.tags);
  if (isSame) return record;
  if (tags.length > MAX_TAGS && tags.length > record.tags.length) return undefined;
  return { ...record, pinned, category, tags, revision: Math.max(revisionOf(record), above) + 1 };
}

function isEqual(tags: readonly string[], others: readonly string[]): boolean {
  return tags.length === others.length && tags.every((tag, at) => tag === others[at]);
}
