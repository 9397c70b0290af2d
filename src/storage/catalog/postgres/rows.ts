/** Converts image records to rows of slices and of the trash, and back. */
import { imageKey, modelSlug } from '../../domain/naming.ts';
import type { ImageRecord, StoredRecord } from '../../domain/record.ts';
import { ROW_CHARACTERS, rowOfGeneration } from '../../domain/row.ts';
import { generationText, parseGeneration, type Settings } from '../generation-settings.ts';
import { wordsOf } from '../search-fields.ts';
import { lexemesOf } from './words.ts';

/** The texts of an image, as rows of slices and of the trash have them. */
export interface Texts {
  /** JSON of all fields without a column of their own. */
  head: string;
  prompt: string;
  /** JSON, or empty. */
  generation: string;
  parameters: string;
  text_bytes: number;
}

/** Of a slice; JSON becomes one. */
export interface SliceRow extends Texts {
  timestamp: number;
  filename: string;
  size: number;
  create_time: number;
  pinned: boolean;
  is_cut: boolean;
  model_slug: string;
  model: string;
  category: string;
  sha256: string;
  steps: string | null;
  cfg: string | null;
  pixels: string;
  tags: string[];
  loras: string[];
  thumb_hash: string | null;
  words: string;
}

/** The select list that `toStored` reads. */
export const STORED = 'head, prompt, generation, parameters, thumb_hash';
/** The same of what a row of a list shows. */
export const SHOWN = `head, left(prompt, ${ROW_CHARACTERS}) AS prompt, generation, '' AS parameters, thumb_hash`;

export interface StoredRow extends Omit<Texts, 'text_bytes'> {
  thumb_hash: string | null;
}

export function textsOf(record: ImageRecord, settings: Settings): Texts {
  const { prompt, parametersJson, model, category, tags } = record;
  const generation = generationText(settings.generation);
  const texts = [prompt, model, category, parametersJson, JSON.stringify(tags), generation];
  return {
    head: headOf(record),
    prompt: storable(prompt),
    generation: storable(generation),
    parameters: storable(parametersJson),
    text_bytes: texts.reduce((bytes, text) => bytes + Buffer.byteLength(text), 0),
  };
}

export function sliceRowOf(record: StoredRecord, settings: Settings): SliceRow {
  const image = { ...record, settings };
  const { words, isCut } = lexemesOf(image);
  const wordOf = (field: 'steps' | 'cfg' | 'size') => wordsOf(field, image).trim();
  return {
    ...textsOf(record, settings),
    timestamp: record.timestamp,
    filename: record.filename,
    size: record.size,
    create_time: record.createTime,
    pinned: record.pinned,
    is_cut: isCut,
    model_slug: modelSlug(record.model),
    model: storable(record.model),
    category: storable(record.category),
    sha256: record.sha256,
    steps: wordOf('steps') || null,
    cfg: wordOf('cfg') || null,
    pixels: wordOf('size'),
    tags: record.tags.map(storable),
    loras: (settings.generation?.loras ?? []).map(storable),
    thumb_hash: record.thumbHash ?? null,
    words: storable(words),
  };
}

/** Without what has a column: a list reads many heads, and few of the long texts. */
function headOf(record: StoredRecord): string {
  const { prompt: _, parametersJson: __, generation: ___, thumbHash: ____, restoredFrom: _____, ...head } = record;
  return storable(JSON.stringify({ ...head, key: undefined }));
}

/** Reads a row that has STORED or SHOWN. */
export function toStored({ head, prompt, generation, parameters, thumb_hash: thumbHash }: StoredRow): StoredRecord {
  const record = JSON.parse(head) as ImageRecord;
  return {
    ...record,
    key: imageKey(record.filename),
    prompt,
    parametersJson: parameters,
    ...(generation !== '' && { generation: parseGeneration(generation)! }),
    ...(thumbHash !== null && { thumbHash }),
  };
}

/** The same of what a row of a list shows. */
export function toShown(row: StoredRow): StoredRecord {
  const { generation, ...record } = toStored(row);
  const shown = rowOfGeneration(generation);
  return { ...record, ...(shown !== undefined && { generation: shown }) };
}

/** Returns the bytes of its texts. */
export function textBytesOf({ prompt, model, category, parametersJson, tags, generation }: StoredRecord): number {
  const texts = [prompt, model, category, parametersJson, JSON.stringify(tags), generationText(generation)];
  return texts.reduce((bytes, text) => bytes + Buffer.byteLength(text), 0);
}

/** Returns the text as Postgres can keep it: no record that passed our checks has anything else. */
export function storable(text: string): string {
  return text.toWellFormed().replaceAll('\0', '\ufffd');
}
