/** Checks what a caller declares about an image before any byte of it is stored. */
import { types } from 'node:util';
import { type CheckedChanges, MAX_TAGS } from './changes.ts';
import type { StorageLimits } from './config.ts';
import { invalidField, StorageError } from './errors.ts';
import type { ImageMetadata } from './image.ts';
import { longParametersProblem, stringifyParameters, unreadableFor } from './parameters.ts';
import type { Declared, ImageChanges, ImageFilter, SaveOptions } from './requests.ts';

const MAX_MODEL_BYTES = 1024;
const MAX_LABEL_BYTES = 256;
const MAX_KEY_BYTES = 256;
const MAX_TYPE_BYTES = 256;
const MAX_TTL_MS = 1000 * 365 * 24 * 60 * 60 * 1000;
/** Longer parameters are checked in parts: parsing them would hold the thread, and take many times their memory. */
const PARSED_AT_ONCE = 64 * 1024;
const FIRST_INSTANT_MS = 0;
const LAST_INSTANT_MS = Date.UTC(9999, 11, 31, 23, 59, 59, 999);

/** Metadata that passed the checks; fields that were not sent are empty. */
export interface CheckedMetadata {
  prompt: string;
  model: string;
  /** ms since 1970; undefined when it was not sent. */
  timestamp: number | undefined;
  category: string;
  parametersJson: string;
  /** As sent, duplicates included. */
  tags: string[];
}

/**
 * Returns the checked metadata. Throws FIELD_INVALID, which names the field and the problem. `pause` is called between the
 * parts of what takes long, and waited for where it returns a promise.
 */
export async function checkMetadata(
  metadata: ImageMetadata,
  limits: StorageLimits,
  pause: () => Promise<void> | undefined = () => undefined,
): Promise<CheckedMetadata> {
  if (typeof metadata !== 'object' || metadata === null) throw invalidField('metadata', 'must be an object');
  const checked: CheckedMetadata = {
    prompt: checkText('metadata.prompt', metadata.prompt, limits.maxPromptBytes),
    model: checkText('metadata.model', metadata.model, MAX_MODEL_BYTES),
    timestamp: metadata.timestamp === undefined ? undefined : checkInstant('metadata.timestamp', metadata.timestamp),
    category: checkText('metadata.category', metadata.category ?? '', MAX_LABEL_BYTES),
    parametersJson: await checkParameters(metadata, limits.maxMetadataBytes, pause),
    tags: checkTags('metadata.tags', metadata.tags ?? []),
  };
  const totalBytes = metadataBytesOf(checked);
  if (totalBytes > limits.maxMetadataBytes) {
    throw invalidField('metadata', `${totalBytes} bytes in all, at most ${limits.maxMetadataBytes} are kept`);
  }
  return checked;
}

/** Returns what the limit of all metadata counts: the bytes of its texts. */
export function metadataBytesOf({ prompt, model, category, parametersJson, tags }: CheckedMetadata): number {
  return [prompt, model, category, parametersJson, ...tags].reduce((sum, text) => sum + Buffer.byteLength(text), 0);
}

/**
 * Returns the text. Throws FIELD_INVALID unless it is well-formed Unicode without NUL, of at most `maxBytes` of UTF-8.
 */
export function checkText(field: string, text: string, maxBytes: number): string {
  if (typeof text !== 'string') throw invalidField(field, 'must be text');
  if (!text.isWellFormed()) throw invalidField(field, 'is not valid Unicode (a lone surrogate)');
  if (text.includes('\0')) throw invalidField(field, 'must not contain NUL');
  const bytes = Buffer.byteLength(text);
  if (bytes > maxBytes) throw invalidField(field, `${bytes} bytes, at most ${maxBytes} are kept`);
  return text;
}

/** Returns the instant in ms since 1970. Throws FIELD_INVALID outside the years 1970 to 9999. */
export function checkInstant(field: string, instant: Date): number {
  if (!types.isDate(instant)) throw invalidField(field, 'must be a Date');
  const ms = instant.getTime();
  if (!(ms >= FIRST_INSTANT_MS && ms <= LAST_INSTANT_MS))
    throw invalidField(field, 'must lie in the years 1970 to 9999');
  return ms;
}

/** Returns the tags. Throws FIELD_INVALID for more than 64, and for an empty one. */
export function checkTags(field: string, tags: readonly string[]): string[] {
  if (!Array.isArray(tags)) throw invalidField(field, 'must be a list');
  if (tags.length > MAX_TAGS) throw invalidField(field, `${tags.length} tags, at most ${MAX_TAGS} are kept`);
  return tags.map((tag) => {
    if (tag === '') throw invalidField(field, 'a tag must not be empty');
    return checkText(field, tag, MAX_LABEL_BYTES);
  });
}

/** Returns the checked changes of an Update. Throws FIELD_INVALID, too where a tag is to be added and removed. */
export function checkChanges({ pinned, addTags = [], removeTags = [], category }: ImageChanges): CheckedChanges {
  if (pinned !== undefined && typeof pinned !== 'boolean') throw invalidField('pinned', 'must be true or false');
  const removed = checkTags('remove_tags', removeTags);
  const added = checkTags('add_tags', addTags);
  if (added.some((tag) => removed.includes(tag))) throw invalidField('remove_tags', 'has a tag that is to be added');
  if (category !== undefined) checkText('category', category, MAX_LABEL_BYTES);
  return { pinned, addTags: added, removeTags: removed, category };
}

/** Returns the idempotency key, empty when there is none. Throws FIELD_INVALID. */
/** Throws FIELD_INVALID for a time to live of less than a second. */
export function checkTtl(ttlMs: number | undefined): void {
  if (ttlMs === undefined || (Number.isSafeInteger(ttlMs) && ttlMs >= 1000 && ttlMs <= MAX_TTL_MS)) return;
  throw invalidField('ttl', 'at least a second, and at most 1,000 years');
}

export function checkIdempotencyKey(options: SaveOptions): string {
  return checkText('idempotency_key', options.idempotencyKey ?? '', MAX_KEY_BYTES);
}

/** Checks the filters that list and cleanup have in common. Throws FIELD_INVALID, with `within` before the field's name. */
export function checkGroup({ model = '', category = '' }: Pick<ImageFilter, 'model' | 'category'>, within = ''): void {
  checkText(`${within}model`, model, MAX_MODEL_BYTES);
  checkText(`${within}category`, category, MAX_MODEL_BYTES);
}

export function checkDeclared(declared: Pick<SaveOptions, keyof Declared | 'contentType'>): void {
  checkText('content_type', declared.contentType ?? '', MAX_TYPE_BYTES);
  if (declared.size !== undefined) checkCount('size', declared.size);
  if (declared.sha256 !== undefined && !/^[0-9a-f]{64}$/.test(declared.sha256)) {
    throw invalidField('sha256', 'must be the 32 bytes of a SHA-256');
  }
}

/** The types of bytes of any kind, which HTTP libraries declare on their own. */
const ANY_BYTES: readonly string[] = ['', 'application/octet-stream', 'binary/octet-stream'];

/**
 * Throws TYPE_MISMATCH when the bytes are of another type than was declared. Types are compared without case and
 * parameters: https://www.rfc-editor.org/rfc/rfc9110#section-8.3.1
 */
export function checkType(declared = '', actual: string): void {
  const type = declared.split(';', 1)[0]!.trim().toLowerCase();
  if (ANY_BYTES.includes(type)) return;
  const wanted = type === 'image/jpg' ? 'image/jpeg' : type;
  if (wanted !== actual) {
    const shown = /^[\w.+-]{1,64}\/[\w.+-]{1,64}$/.test(wanted) ? wanted : 'another type';
    throw new StorageError('TYPE_MISMATCH', `${shown} was declared, the bytes are ${actual}`, {
      field: 'content_type',
    });
  }
}

/** Returns the value. Throws FIELD_INVALID unless it is a non-negative integer that a double holds exactly. */
export function checkCount(field: string, value: number): number {
  if (!Number.isSafeInteger(value) || value < 0) throw invalidField(field, 'must be a whole number, not negative');
  return value;
}

/** Throws IMAGE_TOO_LARGE when an image of that size is not accepted. */
export function checkImageSize(sizeBytes: number, { maxImageBytes }: Pick<StorageLimits, 'maxImageBytes'>): void {
  if (sizeBytes <= maxImageBytes) return;
  throw new StorageError('IMAGE_TOO_LARGE', `an image may have at most ${maxImageBytes} bytes`);
}

/** Throws SIZE_MISMATCH or CHECKSUM_MISMATCH when the bytes are not what was declared. */
export function checkAgainst(declared: Declared, actual: Required<Declared>): void {
  checkDeclared(declared);
  if (declared.size !== undefined && declared.size !== actual.size) {
    throw new StorageError('SIZE_MISMATCH', `${declared.size} bytes were declared, ${actual.size} arrived`, {
      field: 'size',
    });
  }
  if (declared.sha256 !== undefined && declared.sha256 !== actual.sha256) {
    throw new StorageError(
      'CHECKSUM_MISMATCH',
      `sha256 ${declared.sha256} was declared, the bytes have ${actual.sha256}`,
      {
        field: 'sha256',
      },
    );
  }
}

async function checkParameters(
  metadata: ImageMetadata,
  maxBytes: number,
  pause: () => Promise<void> | undefined,
): Promise<string> {
  const field = 'metadata.parameters_json';
  const json = metadata.parametersJson || jsonOf(metadata.parameters);
  checkText(field, json, maxBytes);
  if (json === '') return json;
  const problem = json.length > PARSED_AT_ONCE ? await longProblemOf(json, pause) : problemOf(json);
  if (problem !== undefined) throw invalidField(field, problem);
  return json;
}

function problemOf(json: string): string | undefined {
  return isObject(json) ? unreadableFor(json) : 'must be one JSON object';
}

async function longProblemOf(json: string, pause: () => Promise<void> | undefined): Promise<string | undefined> {
  const steps = longParametersProblem(json);
  for (;;) {
    const { done, value } = steps.next();
    if (done) return value;
    await pause();
  }
}

function jsonOf(parameters: ImageMetadata['parameters']): string {
  if (parameters === undefined) return '';
  try {
    return stringifyParameters(parameters);
  } catch {
    throw invalidField('metadata.parameters', 'must be an object that JSON can express');
  }
}

function isObject(json: string): boolean {
  try {
    // Without a reviver, which recurses: deep graphs would be reported as bad JSON.
    const value: unknown = JSON.parse(json);
    return typeof value === 'object' && value !== null && !Array.isArray(value);
  } catch {
    return false;
  }
}
