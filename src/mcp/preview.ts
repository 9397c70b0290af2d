/**
 * Makes pictures small enough for an assistant's context: the image itself, or a reduced JPEG where sharp is installed.
 */
import type { ImageContent } from '@modelcontextprotocol/server';
import type sharp from 'sharp';
import type { Image } from '../client.ts';

const MAX_PREVIEW_BYTES = 256 * 1024;
/** Assistants refuse pictures with a longer side, however few bytes they have. */
const MAX_PREVIEW_SIDE = 8000;
/** The largest image that is read and decoded in memory to be reduced. */
const MAX_SOURCE_BYTES = 64 * 1024 * 1024;
const MAX_SOURCE_PIXELS = 100_000_000;
/** Longest sides in pixels, tried in turn until the JPEG is small enough. */
const PREVIEW_SIDES = [1024, 512, 256];
/** The types that assistants can view; an AVIF must become a JPEG first. */
const VIEWABLE = new Set(['image/png', 'image/jpeg', 'image/webp', 'image/gif']);

export interface Preview {
  picture?: ImageContent;
  /** Says what the picture is, or why there is none. */
  note: string;
}

/** Makes previews one after the other: several at once would need the memory of all. */
export function createPreviewer(): (image: Image, read: () => Promise<Buffer>) => Promise<Preview> {
  let last: Promise<unknown> = Promise.resolve();
  return (image, read) => {
    const preview = last.then(() => createPreview(image, read));
    last = preview.catch(() => {});
    return preview;
  };
}

async function createPreview(image: Image, read: () => Promise<Buffer>): Promise<Preview> {
  if (isViewable(image)) return { picture: pictureOf(await read(), image.contentType), note: 'The image itself.' };
  if (image.size > MAX_SOURCE_BYTES || image.width * image.height > MAX_SOURCE_PIXELS) {
    return { note: 'None: the image is too large to be reduced here. Use the link.' };
  }
  const sharp = await loadSharp();
  if (!sharp) return { note: 'None: reducing an image needs the package sharp, which is not installed. Use the link.' };
  const reduced = await reduce(sharp, await read());
  if (!reduced) return { note: 'None: the image could not be decoded. Use the link.' };
  return {
    picture: pictureOf(reduced, 'image/jpeg'),
    note: 'The image reduced to a JPEG; of an animation, the first frame.',
  };
}

function isViewable({ size, contentType, width, height }: Image): boolean {
  return size <= MAX_PREVIEW_BYTES && VIEWABLE.has(contentType) && Math.max(width, height) <= MAX_PREVIEW_SIDE;
}

function pictureOf(bytes: Buffer, mimeType: string): ImageContent {
  return { type: 'image', data: bytes.toString('base64'), mimeType };
}

/** Returns undefined where sharp is not installed: it is native, so that it is not part of the bundle. */
async function loadSharp(): Promise<typeof sharp | undefined> {
  // The bundler does not follow a variable.
  const specifier = 'sharp';
  try {
    return (await import(specifier)).default;
  } catch {
    return undefined;
  }
}

/**
 * Returns undefined where sharp cannot decode the bytes: they are whole, but not necessarily a picture that it knows.
 */
async function reduce(decode: typeof sharp, bytes: Buffer): Promise<Buffer | undefined> {
  try {
    for (const side of PREVIEW_SIDES) {
      const reduced = await decode(bytes, { limitInputPixels: MAX_SOURCE_PIXELS })
        .rotate()
        .resize(side, side, { fit: 'inside', withoutEnlargement: true })
        .flatten({ background: 'white' })
        .jpeg()
        .toBuffer();
      if (reduced.length <= MAX_PREVIEW_BYTES) return reduced;
    }
  } catch {}
  return undefined;
}
