/** The contract as JSON and as names with texts, for callers over plain HTTP: what comes in, and what goes out. */
import {
  create,
  type DescEnum,
  type DescField,
  type DescMessage,
  type JsonValue,
  type MessageInitShape,
  type MessageShape,
  mergeFromJson,
  ScalarType,
  toJson,
} from '@bufbuild/protobuf';
import { timestampFromDate } from '@bufbuild/protobuf/wkt';
import {
  DeleteResultSchema,
  ImageSchema,
  ListRequestSchema,
  ListResponseSchema,
  type SaveHeader,
  SaveHeaderSchema,
  SaveResponseSchema,
} from '../../gen/imagestorage/v1/image_storage_pb.ts';
import { parseAge, parseInstant, parseRangeEnd } from '../storage/domain/dates.ts';
import { invalidField } from '../storage/domain/errors.ts';
import type { StorageItem } from '../storage/domain/image.ts';
import type { Hint, ListOptions, Page } from '../storage/domain/requests.ts';
import type { Deletion, ProviderChoice, Storage } from '../storage/types.ts';
import { imageFrom, listOptionsOf } from './convert.ts';

/** What was sent under each name, in its order; a name occurs again for each value of a list. */
export type Texts = Iterable<readonly [name: string, text: string]>;

const SHA256_HEX = /^[\da-f]{64}$/i;
const WHOLE_NUMBER = /^\d{1,20}$/;
const YES_OR_NO: Readonly<Record<string, boolean>> = { true: true, '1': true, false: false, '0': false };

/** The fields of a request by the names that callers give them. */
type Names = ReadonlyMap<string, readonly DescField[]>;

/** `metadata` has no name of its own: its fields stand beside the others. */
const SAVE_NAMES = namesOf(SaveHeaderSchema, ({ jsonName }, inner) => (jsonName === 'metadata' ? inner : ''));
/** `dateRange.start` */
const LIST_NAMES = namesOf(ListRequestSchema, ({ jsonName }, inner) => `${jsonName}.${inner}`);

/** Throws FIELD_INVALID for a name that is unknown or comes twice, and for what is no value of its field. */
export function saveHeaderFrom(texts: Texts): SaveHeader {
  return messageFrom(SaveHeaderSchema, SAVE_NAMES, texts);
}

/** A List, whose limit is as it was sent. */
export interface AskedList {
  options: ListOptions & ProviderChoice;
  /** What to ask for hints where nothing matches; undefined: they are not wanted. */
  hintsFor: Parameters<Storage['hints']>[0] | undefined;
}

/** Throws as `saveHeaderFrom`. */
export function listFrom(texts: Texts): AskedList {
  const request = messageFrom(ListRequestSchema, LIST_NAMES, texts);
  return { options: listOptionsOf(request), hintsFor: request.hints && request.pageToken === '' ? request : undefined };
}

/** The names that a form for a Save, and the query of a List, may have. */
export const FIELD_NAMES: Readonly<Record<'save' | 'list', readonly string[]>> = {
  save: [...SAVE_NAMES.keys()],
  list: [...LIST_NAMES.keys()],
};

export function saveResponseJson(response: MessageInitShape<typeof SaveResponseSchema>): string {
  return jsonOf(SaveResponseSchema, response);
}

export function listResponseJson({ items, nextPageToken }: Page, hints: Hint[]): string {
  return jsonOf(ListResponseSchema, { images: items.map(imageFrom), nextPageToken, hints });
}

export function imageJson(item: StorageItem): string {
  return jsonOf(ImageSchema, imageFrom(item));
}

export function deleteResultJson(filename: string, { deleted, restorableUntil }: Deletion): string {
  const result = { filename, deleted };
  if (restorableUntil === undefined) return jsonOf(DeleteResultSchema, result);
  return jsonOf(DeleteResultSchema, { ...result, restorableUntil: timestampFromDate(restorableUntil) });
}

/** With the fields that are empty, so that whoever reads a list finds one. */
function jsonOf<Desc extends DescMessage>(schema: Desc, message: MessageInitShape<Desc>): string {
  return JSON.stringify(toJson(schema, create(schema, message), { alwaysEmitImplicit: true }));
}

function namesOf(desc: DescMessage, nameOf: (outer: DescField, inner: string) => string): Names {
  const names = new Map<string, readonly DescField[]>();
  for (const field of desc.fields) {
    if (isNested(field))
      for (const inner of field.message.fields) names.set(nameOf(field, inner.jsonName), [field, inner]);
    else names.set(field.jsonName, [field]);
  }
  return names;
}

function isNested(field: DescField): field is DescField & { fieldKind: 'message'; message: DescMessage } {
  return field.fieldKind === 'message' && !field.message.typeName.startsWith('google.protobuf.');
}

function messageFrom<Desc extends DescMessage>(schema: Desc, names: Names, texts: Texts): MessageShape<Desc> {
  const message = create(schema);
  const seen = new Set<string>();
  for (const [name, text] of texts) {
    const path = names.get(name);
    if (path === undefined) throw invalidField(name.slice(0, 100), 'is none of the fields');
    const field = path.at(-1)!;
    if (seen.has(name) && field.fieldKind !== 'list') throw invalidField(name, 'must be given once');
    seen.add(name);
    const value = jsonValueOf(field, name, text);
    const listed = field.fieldKind === 'list' ? [value] : value;
    const json = path.reduceRight<JsonValue>((inner, { jsonName }) => ({ [jsonName]: inner }), listed);
    try {
      mergeFromJson(schema, message, json);
    } catch {
      throw invalidField(name, 'has a value that is none of its kind');
    }
  }
  return message;
}

function jsonValueOf(field: DescField, name: string, text: string): JsonValue {
  if (field.fieldKind === 'scalar') return scalarOf(field.scalar, name, text);
  if (field.fieldKind === 'enum') return enumOf(field.enum, text);
  if (field.fieldKind !== 'message') return text;
  if (field.message.typeName === 'google.protobuf.Duration') return durationOf(text);
  const instant = name.endsWith('.end') ? parseRangeEnd(text) : parseInstant(text);
  return instant === undefined ? text : instant.toISOString();
}

/** `VIEW_ROW`, as JSON has it, or `ROW`. */
function enumOf({ values, sharedPrefix = '' }: DescEnum, text: string): string {
  const whole = `${sharedPrefix.toUpperCase()}${text}`;
  return values.some(({ name }) => name === whole) ? whole : text;
}

function scalarOf(kind: ScalarType, name: string, text: string): JsonValue {
  if (kind === ScalarType.STRING) return text;
  if (kind === ScalarType.BYTES) return SHA256_HEX.test(text) ? Buffer.from(text, 'hex').toString('base64') : text;
  if (kind === ScalarType.BOOL) {
    const value = YES_OR_NO[text];
    if (value === undefined) throw invalidField(name, 'must be true or false');
    return value;
  }
  if (!WHOLE_NUMBER.test(text)) throw invalidField(name, 'must be a whole number');
  return text;
}

/** `3600s`, as JSON has it, or an age such as `12h`. */
function durationOf(text: string): string {
  const age = parseAge(text);
  return age === undefined ? text : `${age.ageMs / 1000}s`;
}
