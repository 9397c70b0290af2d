/** Converts image records to rows of the table `images` and back. */

import { modelSlug } from '../../domain/naming.ts';
import type { ImageRecord } from '../../domain/record.ts';
import type { ImageSize, RecordPage } from '../catalog.ts';

export type Row = Record<string, string | number | null>;
/** The columns of a row in their order. */
export type RowArray = (string | number | null)[];

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

/** The select list that `recordOf` reads. */
export const RECORD_VALUES: string = Object.values(COLUMNS)
  .map((column) => `images.${column}`)
  .join(', ');
const AT = Object.fromEntries(Object.keys(COLUMNS).map((name, at) => [name, at])) as Record<keyof ImageRecord, number>;

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

/** Converts the first columns of a row that has RECORD_VALUES and perhaps others after them. */
export function recordOf(row: RowArray): ImageRecord {
  const text = (name: keyof ImageRecord) => row[AT[name]] as string;
  const number = (name: keyof ImageRecord) => row[AT[name]] as number;
  const [tags, nonce] = [text('tags'), row[AT.nonce]];
  return {
    filename: text('filename'),
    key: text('key'),
    size: number('size'),
    sha256: text('sha256'),
    contentType: text('contentType'),
    width: number('width'),
    height: number('height'),
    createTime: number('createTime'),
    timestamp: number('timestamp'),
    pinned: number('pinned') === 1,
    model: text('model'),
    category: text('category'),
    idempotencyKey: text('idempotencyKey'),
    fingerprint: text('fingerprint'),
    tags: tags === '[]' ? [] : JSON.parse(tags),
    prompt: text('prompt'),
    parametersJson: text('parametersJson'),
    ...(nonce !== null && { nonce: nonce as string }),
  };
}

/** A page of rows that `recordOf` converts. */
export interface PackedPage {
  rows: RowArray[];
  more: boolean;
}

export function toPage({ rows, more }: PackedPage): RecordPage {
  return { records: rows.map(recordOf), more };
}

/** Sizes by column: they pass between threads in a third of the time that as many objects take. */
export interface PackedSizes {
  timestamps: Float64Array;
  filenames: string[];
  sizes: Float64Array;
  pinned: Uint8Array;
}

export function packSizes(images: readonly ImageSize[]): PackedSizes {
  return {
    timestamps: Float64Array.from(images, ({ timestamp }) => timestamp),
    filenames: images.map(({ filename }) => filename),
    sizes: Float64Array.from(images, ({ size }) => size),
    pinned: Uint8Array.from(images, ({ pinned }) => Number(pinned)),
  };
}

export function unpackSizes({ timestamps, filenames, sizes, pinned }: PackedSizes): ImageSize[] {
  return filenames.map((filename, at) => ({
    timestamp: timestamps[at]!,
    filename,
    size: sizes[at]!,
    pinned: pinned[at] === 1,
  }));
}

/** Returns the bytes of the texts in such a row. */
export function textBytesOf(row: RowArray): number {
  const bytes = (name: keyof ImageRecord) => Buffer.byteLength(row[AT[name]] as string);
  return bytes('prompt') + bytes('model') + bytes('category') + bytes('parametersJson') + bytes('tags');
}
