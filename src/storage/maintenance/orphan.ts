/** Inspects an orphan, an image without a record, and makes its record from filename and embedded metadata. */
import { createHash } from 'node:crypto';
import type { ImageCheck } from '../domain/config.ts';
import { StorageError } from '../domain/errors.ts';
import { fingerprint } from '../domain/fingerprint.ts';
import { folderOf, imageKey, modelSlug } from '../domain/naming.ts';
import type { ImageRecord } from '../domain/record.ts';
import { readEmbeddedMetadata } from '../embedded/metadata.ts';
import type { ReadAt } from '../embedded/read-at.ts';
import { type ImageFormat, ImageInspector } from '../formats/inspector.ts';

export interface InspectedImage extends ImageFormat {
  size: number;
  /** Lower-case hex. */
  sha256: string;
}

/** Reads all bytes. Rejects with the StorageErrors of a save where they are no whole image of an allowed type. */
export async function inspectImage(
  chunks: Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
  check?: ImageCheck,
): Promise<InspectedImage> {
  const inspector = new ImageInspector(check);
  const hash = createHash('sha256');
  let size = 0;
  for await (const chunk of chunks) {
    await inspector.push(chunk);
    hash.update(chunk);
    size += chunk.length;
  }
  return { ...inspector.finish(), size, sha256: hash.digest('hex') };
}

/** Like `inspectImage`; also rejects with TYPE_MISMATCH where the filename has another type than the bytes. */
export async function inspectOrphan(
  filename: string,
  chunks: Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
  check: ImageCheck,
): Promise<InspectedImage> {
  const image = await inspectImage(chunks, check);
  if (filename.endsWith(`.${image.extension}`)) return image;
  throw new StorageError('TYPE_MISMATCH', `the name says another type, the bytes are ${image.contentType}`);
}

/** Returns the model slug in the filename, or undefined where it has none or the model is unknown. */
export function modelInName(filename: string): string | undefined {
  const slug = folderOf(filename)?.split('/')[1];
  return slug === modelSlug('') ? undefined : slug;
}

/** Returns a record made from the filename and the embedded metadata. Requires a filename in the format of a store. */
export async function recordOfOrphan(
  filename: string,
  { size, sha256, contentType, width, height }: InspectedImage,
  readAt: ReadAt,
  createTime: number,
): Promise<ImageRecord> {
  const embedded = await readEmbeddedMetadata(readAt);
  const told = {
    prompt: embedded.prompt ?? '',
    model: isInName(embedded.model, filename) ? embedded.model : (modelInName(filename) ?? ''),
    timestamp: timeInName(filename),
    category: '',
    parametersJson: embedded.parametersJson ?? '',
    tags: [],
  };
  const bytes = { size, sha256, contentType, width, height };
  const image = { filename, key: imageKey(filename), ...bytes, createTime, pinned: false, idempotencyKey: '' };
  return { ...image, ...told, fingerprint: fingerprint(sha256, told) };
}

function isInName(model: string | undefined, filename: string): model is string {
  return model !== undefined && folderOf(filename)?.split('/')[1] === modelSlug(model);
}

/** Returns the time in the filename, exact to the second, or 0. */
function timeInName(filename: string): number {
  const [day = '', time = ''] = filename.split('_');
  const iso = `${day.slice(0, 4)}-${day.slice(4, 6)}-${day.slice(6)}T${time.replace(/\d\d(?=\d)/g, '$&:')}Z`;
  return Date.parse(iso) || 0;
}
