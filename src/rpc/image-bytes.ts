/**
 * Encodes the images of a List as bytes of the contract: several times faster than by way of message objects, and the
 * same bytes.
 */
import type { Generation, StorageItem } from '../storage/domain/image.ts';

const KEPT_BYTES = 512 * 1024;
/** An image without its texts: tags, lengths, numbers and the hash. */
const FIXED_BYTES = 320;
/** The longest text whose length takes one byte whatever its characters are, and the shortest that takes two. */
const SHORT_CHARS = 42;
const MEDIUM_CHARS = 128;
const MAX_MEDIUM_CHARS = 5461;

const VARINT = 0;
const FIXED64 = 1;
const BYTES = 2;

/** The fields of Image. */
const IMAGE = {
  url: 1,
  filename: 2,
  path: 3,
  size: 4,
  storageType: 5,
  metadata: 6,
  provider: 7,
  sha256: 8,
  contentType: 9,
  width: 10,
  height: 11,
  createTime: 12,
  pinned: 13,
  key: 14,
  generation: 15,
  thumbHash: 16,
  expireTime: 17,
  deleteTime: 18,
  purgeTime: 19,
} as const;
/** The fields of ImageMetadata. */
const METADATA = { prompt: 1, model: 2, timestamp: 3, category: 4, parametersJson: 5, tags: 6 } as const;

/** The fields of Generation. */
const GENERATION = {
  negativePrompt: 1,
  seed: 2,
  steps: 3,
  cfg: 4,
  sampler: 5,
  scheduler: 6,
  loras: 7,
  width: 8,
  height: 9,
} as const;

const kept: Buffer = Buffer.allocUnsafeSlow(KEPT_BYTES);
let bytes: Buffer = kept;
let at = 0;

/** A field of a message, as `$unknown` of its class holds it. */
export interface EncodedField {
  no: number;
  wireType: number;
  data: Uint8Array;
}

/** Returns the field `no` of a message, which is a list of images. */
export function encodeImages(no: number, items: readonly StorageItem[]): EncodedField[] {
  if (items.length === 0) return [];
  at = 0;
  for (const [index, item] of items.entries()) {
    makeRoom(textChars(item) * 3 + FIXED_BYTES);
    // The tag of the first one is that of the field.
    if (index > 0) tag(no, BYTES);
    message(() => image(item));
  }
  const data = new Uint8Array(bytes.subarray(0, at));
  bytes = kept;
  return [{ no, wireType: BYTES, data }];
}

function textChars({
  url,
  path = '',
  filename,
  storageType,
  provider,
  contentType,
  key,
  metadata,
  generation,
}: StorageItem): number {
  const { prompt, model, category, parametersJson, tags } = metadata;
  let chars = url.length + path.length + filename.length + storageType.length + provider.length + contentType.length;
  chars += key.length + prompt.length + model.length + category.length + parametersJson.length;
  for (const text of tags) chars += text.length + 4;
  return chars + (generation === undefined ? 0 : generationChars(generation));
}

function generationChars({
  negativePrompt = '',
  seed = '',
  sampler = '',
  scheduler = '',
  loras = [],
}: Generation): number {
  let chars = negativePrompt.length + seed.length + sampler.length + scheduler.length;
  for (const lora of loras) chars += lora.length + 4;
  return chars;
}

function makeRoom(count: number): void {
  if (at + count <= bytes.length) return;
  const larger = Buffer.allocUnsafeSlow(Math.max(2 * bytes.length, at + count));
  bytes.copy(larger, 0, 0, at);
  bytes = larger;
}

function image(item: StorageItem): void {
  text(IMAGE.url, item.url);
  text(IMAGE.filename, item.filename);
  text(IMAGE.path, item.path ?? '');
  integer(IMAGE.size, item.size);
  text(IMAGE.storageType, item.storageType);
  tag(IMAGE.metadata, BYTES);
  message(() => metadata(item.metadata));
  text(IMAGE.provider, item.provider);
  hash(IMAGE.sha256, item.sha256);
  text(IMAGE.contentType, item.contentType);
  integer(IMAGE.width, item.width);
  integer(IMAGE.height, item.height);
  time(IMAGE.createTime, item.createTime);
  integer(IMAGE.pinned, Number(item.pinned));
  text(IMAGE.key, item.key);
  const { generation: described, thumbHash, expireTime, deleteTime, purgeTime } = item;
  if (described !== undefined) {
    tag(IMAGE.generation, BYTES);
    message(() => generation(described));
  }
  if (thumbHash !== undefined) data(IMAGE.thumbHash, thumbHash);
  if (expireTime !== undefined) time(IMAGE.expireTime, expireTime);
  if (deleteTime !== undefined) time(IMAGE.deleteTime, deleteTime);
  if (purgeTime !== undefined) time(IMAGE.purgeTime, purgeTime);
}

function generation({ negativePrompt, seed, steps, cfg, sampler, scheduler, loras, width, height }: Generation): void {
  text(GENERATION.negativePrompt, negativePrompt ?? '');
  text(GENERATION.seed, seed ?? '');
  if (steps !== undefined) {
    tag(GENERATION.steps, VARINT);
    varint(steps);
  }
  if (cfg !== undefined) {
    tag(GENERATION.cfg, FIXED64);
    at = bytes.writeDoubleLE(cfg, at);
  }
  text(GENERATION.sampler, sampler ?? '');
  text(GENERATION.scheduler, scheduler ?? '');
  for (const lora of loras ?? []) element(GENERATION.loras, lora);
  integer(GENERATION.width, width ?? 0);
  integer(GENERATION.height, height ?? 0);
}

function metadata({ prompt, model, timestamp, category, parametersJson, tags }: StorageItem['metadata']): void {
  text(METADATA.prompt, prompt);
  text(METADATA.model, model);
  time(METADATA.timestamp, timestamp);
  text(METADATA.category, category);
  text(METADATA.parametersJson, parametersJson);
  for (const value of tags) element(METADATA.tags, value);
}

function text(no: number, value: string): void {
  if (value !== '') element(no, value);
}

/** A text of a list, which is written even when it is empty. */
function element(no: number, value: string): void {
  tag(no, BYTES);
  const { length } = value;
  if (length <= SHORT_CHARS) {
    const count = bytes.write(value, at + 1);
    bytes[at] = count;
    at += count + 1;
  } else if (length >= MEDIUM_CHARS && length <= MAX_MEDIUM_CHARS) {
    const count = bytes.write(value, at + 2);
    bytes[at] = (count & 0x7f) | 0x80;
    bytes[at + 1] = count >>> 7;
    at += count + 2;
  } else {
    varint(Buffer.byteLength(value));
    at += bytes.write(value, at);
  }
}

function hash(no: number, hex: string): void {
  if (hex === '') return;
  tag(no, BYTES);
  varint(hex.length / 2);
  at += bytes.write(hex, at, 'hex');
}

function data(no: number, value: Uint8Array): void {
  if (value.length === 0) return;
  tag(no, BYTES);
  varint(value.length);
  bytes.set(value, at);
  at += value.length;
}

function integer(no: number, value: number): void {
  if (value === 0) return;
  tag(no, VARINT);
  varint(value);
}

/** A google.protobuf.Timestamp. */
function time(no: number, date: Date): void {
  const ms = date.getTime();
  const seconds = Math.floor(ms / 1000);
  tag(no, BYTES);
  message(() => {
    integer(1, seconds);
    integer(2, (ms - seconds * 1000) * 1e6);
  });
}

/** Writes a message after its length. */
function message(write: () => void): void {
  const start = at;
  // Most lengths take two bytes.
  at += 2;
  write();
  const length = at - start - 2;
  const end = at;
  at = start;
  if (length < 0x80 || length > 0x3fff) {
    const lengthBytes = length < 0x80 ? 1 : length <= 0x1fffff ? 3 : 4;
    bytes.copyWithin(start + lengthBytes, start + 2, end);
    varint(length);
    at = start + lengthBytes + length;
  } else {
    varint(length);
    at = end;
  }
}

function tag(no: number, wireType: number): void {
  varint((no << 3) | wireType);
}

/** Below 2 ** 53; none is negative. */
function varint(value: number): void {
  let rest = value;
  while (rest > 0x7fffffff) {
    bytes[at++] = (rest % 0x80) | 0x80;
    rest = Math.floor(rest / 0x80);
  }
  while (rest > 0x7f) {
    bytes[at++] = (rest & 0x7f) | 0x80;
    rest >>>= 7;
  }
  bytes[at++] = rest;
}
