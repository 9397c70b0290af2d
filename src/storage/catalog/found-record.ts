/** What a catalog takes from the object that was found at the key of a record. */
import { revisionOf } from '../domain/changes.ts';
import { imageKey } from '../domain/naming.ts';
import type { ImageRecord } from '../domain/record.ts';
import type { FoundRecord, RecordTombstone } from './bucket-catalog.ts';

/** Returns the place of a record among those of its image, which only grows: its trash follows a revision. */
export function stepOf(found: FoundRecord): number | undefined {
  if (found.kind === 'live') return 2 * revisionOf(found.record);
  return found.kind === 'trashed' ? 2 * revisionOf(found.trashed.record) + 1 : undefined;
}

/** Keeps only the fields that the answer to a repeated save needs. */
export function recordOfDeleted({
  filename,
  idempotencyKey,
  fingerprint,
  createTime,
  timestamp,
  pinned,
}: RecordTombstone): ImageRecord {
  const blank = {
    size: 0,
    sha256: '',
    contentType: '',
    width: 0,
    height: 0,
    prompt: '',
    model: '',
    category: '',
    tags: [],
    parametersJson: '',
  };
  return { ...blank, filename, key: imageKey(filename), idempotencyKey, fingerprint, createTime, timestamp, pinned };
}
