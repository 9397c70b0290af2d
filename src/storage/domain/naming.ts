/** Names of images: slug, short id, filename, and the keys of image and record. */
import { createHash } from 'node:crypto';
import { customAlphabet } from 'nanoid';

const MAX_SLUG = 64;
const SHORT_ID_LENGTH = 6;
const RESERVED_ON_WINDOWS = /^(con|prn|aux|nul|com[0-9]|lpt[0-9])$/;
const FILENAME = /^(\d{8})_(\d{6})_([a-z0-9-]{1,70})_([0-9a-z]{6})\.(png|jpg|webp|gif|avif)$/;

/** The root of all keys; in a local store it is the base path itself. */
export const KEY_ROOT = 'outputs/';

/** Returns a new short id: 6 characters of `[0-9a-z]`. */
export const shortId: () => string = customAlphabet('0123456789abcdefghijklmnopqrstuvwxyz', SHORT_ID_LENGTH);

/**
 * Returns a model's name as a folder name: NFKD without marks, lower case, `[a-z0-9-]`, at most 64 characters, never
 * empty or reserved on Windows.
 */
export function modelSlug(model: string): string {
  const slug = model
    .normalize('NFKD')
    .replace(/\p{M}+/gu, '')
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .slice(0, MAX_SLUG)
    .replace(/^-+|-+$/g, '');
  if (slug === '') return 'unknown';
  return RESERVED_ON_WINDOWS.test(slug) ? `${slug}-model` : slug;
}

/**
 * Returns whether a filter argument selects all models of that slug. `unknown` never does: it would mix unrelated
 * models.
 */
export function isModelSlug(argument: string): boolean {
  return argument !== 'unknown' && modelSlug(argument) === argument;
}

/** Returns `{timestamp}_{model-slug}_{short-uuid}.{ext}`, with the timestamp in UTC. */
export function imageFilename(timestampMs: number, slug: string, id: string, extension: string): string {
  const iso = new Date(timestampMs).toISOString();
  const stamp = `${iso.slice(0, 10)}_${iso.slice(11, 19)}`.replace(/[-:]/g, '');
  return `${stamp}_${slug}_${id}.${extension}`;
}

/** Returns the filename with another short id. */
export function withShortId(filename: string, id: string): string {
  return filename.replace(/_[0-9a-z]{6}(\.[a-z]+)$/, `_${id}$1`);
}

/** Returns the filename with another slug. Requires a filename of our form. */
export function withSlug(filename: string, slug: string): string {
  const [, day, time, , id, extension] = FILENAME.exec(filename)!;
  return `${day}_${time}_${slug}_${id}.${extension}`;
}

/** Returns a short id that depends on the text alone. */
export function derivedShortId(text: string): string {
  const digest = createHash('sha256').update(text).digest('hex');
  return BigInt(`0x${digest}`).toString(36).slice(-SHORT_ID_LENGTH);
}

/** Returns the UTC day of a timestamp, `YYYY-MM-DD`. */
export function utcDay(timestampMs: number): string {
  return new Date(timestampMs).toISOString().slice(0, 10);
}

/** Returns the folder of an image, `<YYYY-MM-DD>/<model-slug>`, or undefined when the filename is not of our form. */
export function folderOf(filename: string): string | undefined {
  const match = FILENAME.exec(filename);
  if (match === null) return undefined;
  const day = match[1]!;
  return `${day.slice(0, 4)}-${day.slice(4, 6)}-${day.slice(6)}/${match[3]}`;
}

/** Returns the key of an image, which begins with KEY_ROOT. Requires a filename of our form. */
export function imageKey(filename: string): string {
  return `${KEY_ROOT}images/generations/${folderOf(filename)}/${filename}`;
}

/** Returns the key of an image's record. Requires a filename of our form. */
export function recordKey(filename: string): string {
  return `${KEY_ROOT}metadata/generations/${folderOf(filename)}/${filename}.json`;
}
