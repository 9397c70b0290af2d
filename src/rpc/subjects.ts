/** What the log names of a save, a get and a delete. */
import type { StorageItem } from '../storage/domain/image.ts';
import type { Subject } from './call.ts';

export function subjectOfSave({ filename, size: bytes, provider }: StorageItem): Subject {
  return { filename, bytes, provider };
}

/** Which bytes were asked for; `limit` 0: to the end. */
export interface AskedPart {
  offset: number;
  limit: number;
  metadataOnly: boolean;
}

export function subjectOfGet({ filename, size, provider }: StorageItem, part: AskedPart): Subject {
  const rest = size - part.offset;
  const bytes = part.metadataOnly ? 0 : part.limit === 0 ? rest : Math.min(part.limit, rest);
  return { filename, bytes, provider };
}

/** `deleted` are those that were there; `provider` is empty for the default one. */
export function subjectOfDelete(deleted: readonly string[], provider: string): Subject {
  const [first] = deleted;
  return {
    ...(deleted.length === 1 ? { filename: first } : { images: deleted.length }),
    ...(provider && { provider }),
  };
}
