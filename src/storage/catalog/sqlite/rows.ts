/** Converts image records to rows of the table `images` and back. */

import type { Generation } from '../../domain/image.ts';
import { modelSlug } from '../../domain/naming.ts';
import type { ImageRecord, StoredRecord } from '../../domain/record.ts';
import { ROW_CHARACTERS, rowOfGeneration } from '../../domain/row.ts';
import type { ImageSize, RecordPage } from '../catalog.ts';
import { generationText, parseGeneration, settingsOf } from '../generation-settings.ts';

export type Row = Record<string, string | number | null>;
/** The columns of a row in their order. */
export type RowArray = (string | number | null)[];

/** Those of the table `images`, which every version has. */
const COLUMNS: Record<Exclude<keyof ImageRecord, 'revision' | 'expireTime' | 'restoredFrom'>, string> = {
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

/** Null where the settings of an image are not read yet. */
export const GENERATION = '(SELECT generation FROM settings WHERE settings.seq = images.seq)';
/** Null where the image was never updated. */
export const REVISION = '(SELECT revision FROM revisions WHERE revisions.seq = images.seq)';
/** Null where the image never goes by itself. */
export const EXPIRE_TIME = '(SELECT expire_time FROM expiries WHERE expiries.seq = images.seq)';
/** Null where none was made yet. */
export const THUMB_HASH = '(SELECT thumb_hash FROM thumb_hashes WHERE thumb_hashes.seq = images.seq)';
/** `substr` counts code points. */
const CUT: Readonly<Record<string, string>> = {
  prompt: `substr(images.prompt, 1, ${ROW_CHARACTERS})`,
  parameters_json: "''",
};

/** The select list that `recordOf` reads. */
export const RECORD_VALUES: string = valuesOf((column) => `images.${column}`);
/** The same of what a row of a list shows: SQLite does not load the long column that is not named. */
export const ROW_VALUES: string = valuesOf((column) => CUT[column] ?? `images.${column}`);
const NAMES = Object.keys(COLUMNS) as (keyof typeof COLUMNS)[];
const GENERATION_AT = NAMES.length;
const REVISION_AT = GENERATION_AT + 1;
const EXPIRE_TIME_AT = REVISION_AT + 1;
const THUMB_HASH_AT = EXPIRE_TIME_AT + 1;
const AT = Object.fromEntries(NAMES.map((name, at) => [name, at])) as Record<keyof typeof COLUMNS, number>;

/** Takes the values of `toValues`, a `delete_time` and an `unlink_pending`; by their place: names take longer to bind. */
export const INSERT_IMAGE: string = `
  INSERT INTO images (${Object.values(COLUMNS).join(', ')}, model_slug, delete_time, unlink_pending)
  VALUES (${'?, '.repeat(NAMES.length)}?, ?, ?)`;

export function toValues(record: StoredRecord): RowArray {
  const values = NAMES.map((name) => record[name] ?? null) as RowArray;
  values[AT.pinned] = Number(record.pinned);
  values[AT.tags] = JSON.stringify(record.tags);
  values.push(modelSlug(record.model));
  return values;
}

/** Converts a row that has RECORD_COLUMNS, and perhaps a `revision`, an `expireTime`, a `thumbHash` and others. */
export function toRecord(row: Row): StoredRecord {
  const record: Row = {};
  for (const name in COLUMNS) record[name] = row[name] ?? null;
  const { pinned, tags, nonce, ...plain } = record;
  return {
    ...plain,
    pinned: pinned === 1,
    tags: JSON.parse(tags as string),
    ...(nonce !== null && { nonce }),
    ...(row.revision && { revision: row.revision }),
    ...(row.expireTime && { expireTime: row.expireTime }),
    ...(typeof row.thumbHash === 'string' && { thumbHash: row.thumbHash }),
  } as StoredRecord;
}

/** As `toRecord`, of a row that has a `generation`, too. */
export function toStoredRecord(row: Row): StoredRecord {
  const record = toRecord(row);
  const generation =
    row.generation === null ? settingsOf(record).generation : parseGeneration(row.generation as string);
  return { ...record, ...(generation && { generation }) };
}

/** Reads the settings of a row that has RECORD_VALUES, where they are not read yet. */
export function completed(row: RowArray): RowArray {
  row[GENERATION_AT] ??= generationText(
    settingsOf({ prompt: row[AT.prompt] as string, parametersJson: row[AT.parametersJson] as string }).generation,
  );
  return row;
}

/**
 * Cuts the settings of a row that has ROW_VALUES; `read` is asked for those that are not read yet, since the columns that
 * they derive from are not in the row.
 */
export function cutSettings(row: RowArray, read: () => Generation | undefined): RowArray {
  const text = row[GENERATION_AT] as string | null;
  // Shorter text has nothing to cut.
  if (text === null || text.length > ROW_CHARACTERS) {
    row[GENERATION_AT] = generationText(rowOfGeneration(text === null ? read() : parseGeneration(text)));
  }
  return row;
}

/** Converts the first columns of a completed row that has RECORD_VALUES and perhaps others after them. */
function recordOf(row: RowArray): StoredRecord {
  const text = (name: keyof typeof COLUMNS) => row[AT[name]] as string;
  const number = (name: keyof typeof COLUMNS) => row[AT[name]] as number;
  const [tags, nonce, generation] = [text('tags'), row[AT.nonce], row[GENERATION_AT]];
  const [revision, expireTime, thumbHash] = [row[REVISION_AT], row[EXPIRE_TIME_AT], row[THUMB_HASH_AT]];
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
    ...(revision !== null && { revision: revision as number }),
    ...(expireTime !== null && { expireTime: expireTime as number }),
    ...(generation !== '' && { generation: parseGeneration(generation as string)! }),
    ...(thumbHash !== null && { thumbHash: thumbHash as string }),
  };
}

/** A page of completed rows. */
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
  /** Empty where none were asked for. */
  groups: string[];
  /** Likewise. */
  changed: Uint8Array;
}

export function packSizes(images: readonly ImageSize[]): PackedSizes {
  return {
    timestamps: Float64Array.from(images, ({ timestamp }) => timestamp),
    filenames: images.map(({ filename }) => filename),
    sizes: Float64Array.from(images, ({ size }) => size),
    pinned: Uint8Array.from(images, ({ pinned }) => Number(pinned)),
    groups: images.flatMap(({ group }) => group ?? []),
    changed: Uint8Array.from(images.flatMap(({ isChanged }) => (isChanged === undefined ? [] : Number(isChanged)))),
  };
}

export function unpackSizes({ timestamps, filenames, sizes, pinned, groups, changed }: PackedSizes): ImageSize[] {
  return filenames.map((filename, at) => ({
    timestamp: timestamps[at]!,
    filename,
    size: sizes[at]!,
    pinned: pinned[at] === 1,
    ...(groups.length > 0 && { group: groups[at]! }),
    ...(changed.length > 0 && { isChanged: changed[at] === 1 }),
  }));
}

const TEXTS_AT = [AT.prompt, AT.model, AT.category, AT.parametersJson, AT.tags, GENERATION_AT];

/** Returns the bytes of the texts in such a row. */
export function textBytesOf(row: RowArray): number {
  return TEXTS_AT.reduce((bytes, at) => bytes + Buffer.byteLength(row[at] as string), 0);
}

function valuesOf(select: (column: string) => string): string {
  const columns = Object.values(COLUMNS).map(select);
  return [
    ...columns,
    `${GENERATION} AS generation`,
    `${REVISION} AS revision`,
    `${EXPIRE_TIME} AS expire_time`,
    `${THUMB_HASH} AS thumb_hash`,
  ].join(', ');
}
