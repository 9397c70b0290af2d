/** Converts image records to rows of the table `images` and back. */

import { modelSlug } from '../../domain/naming.ts';
import type { ImageRecord } from '../../domain/record.ts';

export type Row = Record<string, string | number | null>;

const COLUMNS: Record<keyof ImageRecord, string> = {
  filename: 'filename',
  key: 'key',
  size: 'size',
  sha256: 'sha256',
  contentType: 'content_type',
  width: 'width',
  height: 'height',
  createTime: 'create_time',
  timestamp: 'timestamp',
  pinned: 'pinned',
  model: 'model',
  category: 'category',
  idempotencyKey: 'idempotency_key',
  fingerprint: 'fingerprint',
  nonce: 'nonce',
  tags: 'tags',
  prompt: 'prompt',
  parametersJson: 'parameters_json',
};

/** The select list that `toRecord` reads. */
export const RECORD_COLUMNS: string = Object.entries(COLUMNS)
  .map(([name, column]) => `${column} AS ${name}`)
  .join(', ');

/** Takes the values of `toRow`, a `deleteTime` and an `unlinkPending`. */
export const INSERT_IMAGE: string = `
  INSERT INTO images (${Object.values(COLUMNS).join(', ')}, model_slug, delete_time, unlink_pending)
  VALUES (${Object.keys(COLUMNS)
    .map((name) => `:${name}`)
    .join(', ')}, :modelSlug, :deleteTime, :unlinkPending)`;

export function toRow(record: ImageRecord): Row {
  const { pinned, tags, nonce = null, ...plain } = record;
  return { ...plain, pinned: Number(pinned), tags: JSON.stringify(tags), nonce, modelSlug: modelSlug(record.model) };
}

/** Converts a row that has RECORD_COLUMNS and perhaps others. */
export function toRecord(row: Row): ImageRecord {
  const record: Row = {};
  for (const name in COLUMNS) record[name] = row[name] ?? null;
  const { pinned, tags, nonce, ...plain } = record;
  return {
    ...plain,
    pinned: pinned === 1,
    tags: JSON.parse(tags as string),
    ...(nonce !== null && { nonce }),
  } as ImageRecord;
}
