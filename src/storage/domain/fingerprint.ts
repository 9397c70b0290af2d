/** The fingerprint of a save: decides whether two saves with one idempotency key are the same. */
import { createHash } from 'node:crypto';
import { revisionOf } from './changes.ts';
import { StorageError } from './errors.ts';
import type { ImageRecord } from './record.ts';
import type { CheckedMetadata } from './validation.ts';

/**
 * Returns the fingerprint, lower-case hex: sha256 over the bytes' sha256, then prompt, model, timestamp (decimal ms,
 * empty when not sent), category, parameters_json and each tag as sent. Each is preceded by its length in bytes, and
 * the tags by their number, as 32-bit big-endian integers.
 */
export function fingerprint(sha256: string, metadata: CheckedMetadata): string {
  const hash = createHash('sha256');
  const number = (value: number) => {
    const bytes = Buffer.alloc(4);
    bytes.writeUInt32BE(value);
    hash.update(bytes);
  };
  const field = (bytes: Buffer) => {
    number(bytes.length);
    hash.update(bytes);
  };
  field(Buffer.from(sha256, 'hex'));
  const { prompt, model, timestamp, category, parametersJson, tags } = metadata;
  for (const text of [prompt, model, timestamp?.toString() ?? '', category, parametersJson]) field(Buffer.from(text));
  number(tags.length);
  for (const tag of tags) field(Buffer.from(tag));
  return hash.digest('hex');
}

/** Whether two records are of the same save: the same bytes, with the same metadata as sent. */
export function isSameSave(
  one: Pick<ImageRecord, 'sha256' | 'fingerprint'>,
  other: Pick<ImageRecord, 'sha256' | 'fingerprint'>,
): boolean {
  return one.sha256 === other.sha256 && one.fingerprint === other.fingerprint;
}

/** Whether what a record file tells is of the row's save, and not older than the row. */
export function isCurrent(found: ImageRecord, row: ImageRecord): boolean {
  return isSameSave(found, row) && revisionOf(found) >= revisionOf(row);
}

/** Throws IDEMPOTENCY_KEY_REUSED unless the save repeats the first one with its idempotency key, and is answered by that. */
export function checkReplay(first: Pick<ImageRecord, 'fingerprint'>, again: Pick<ImageRecord, 'fingerprint'>): void {
  if (first.fingerprint === again.fingerprint) return;
  throw new StorageError('IDEMPOTENCY_KEY_REUSED', 'this key was used for another image', { field: 'idempotency_key' });
}
