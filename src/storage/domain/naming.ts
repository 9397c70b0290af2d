/** Names and places of images: slug, filename, key, and how a key becomes a URL. */
import { createHash } from 'node:crypto';
import { customAlphabet } from 'nanoid';

const MAX_SLUG = 64;
const SHORT_ID_LENGTH = 6;
const RESERVED_ON_WINDOWS = /^(con|prn|aux|nul|com[0-9]|lpt[0-9])$/;
const FILENAME = /^(\d{8})_(\d{6})_([a-z0-9-]{1,70})_([0-9a-z]{6})\.(png|jpg|webp|gif|avif)$/;

/** The root of all keys; in a directory it is the base path itself. */
export const KEY_ROOT = 'outputs/';

/** A fresh short id: 6 of `[0-9a-z]`. */
export const shortId: () => string = customAlphabet('0123456789abcdefghijklmnopqrstuvwxyz', SHORT_ID_LENGTH);

/** A model's name as a folder: NFKD without marks, lower case, `[a-z0-9-]`, at most 64, never empty or reserved. */
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

/** Whether a filter argument means all models of that slug; `unknown` never does, it would take unrelated ones together. */
export function isModelSlug(argument: string): boolean {
  return argument !== 'unknown' && modelSlug(argument) === argument;
}

/** `{timestamp}_{model-slug}_{short-uuid}.{ext}`, UTC. */
export function imageFilename(timestampMs: number, slug: string, id: string, extension: string): string {
  const iso = new Date(timestampMs).toISOString();
  const stamp = `${iso.slice(0, 10)}_${iso.slice(11, 19)}`.replace(/[-:]/g, '');
  return `${stamp}_${slug}_${id}.${extension}`;
}

/** The same name with another short id. */
export function withShortId(filename: string, id: string): string {
  return filename.replace(/_[0-9a-z]{6}(\.[a-z]+)$/, `_${id}$1`);
}

/** A short id that is the same for the same text. */
export function derivedShortId(text: string): string {
  const digest = createHash('sha256').update(text).digest('hex');
  return BigInt(`0x${digest}`).toString(36).slice(-SHORT_ID_LENGTH);
}

/** The UTC day of a timestamp, `YYYY-MM-DD`. */
export function utcDay(timestampMs: number): string {
  return new Date(timestampMs).toISOString().slice(0, 10);
}

/** `<YYYY-MM-DD>/<model-slug>` of a filename, or undefined when it is none of ours. */
export function folderOf(filename: string): string | undefined {
  const match = FILENAME.exec(filename);
  if (match === null) return undefined;
  const day = match[1]!;
  return `${day.slice(0, 4)}-${day.slice(4, 6)}-${day.slice(6)}/${match[3]}`;
}

/** The key of an image below KEY_ROOT; the filename must be one of ours. */
export function imageKey(filename: string): string {
  return `${KEY_ROOT}images/generations/${folderOf(filename)}/${filename}`;
}

/** The key of an image's record. */
export function recordKey(filename: string): string {
  return `${KEY_ROOT}metadata/generations/${folderOf(filename)}/${filename}.json`;
}
