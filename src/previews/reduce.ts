/** Makes the previews of one image with sharp: upright, in sRGB, the first frame, without its metadata. */
import type { Metadata, default as Sharp } from 'sharp';
import { rgbaToThumbHash } from 'thumbhash';
import { excessOf } from './caps.ts';
import { LabelSearch, xmpOf } from './label.ts';
import type { Decoded, DecodeOrder, MadePreview } from './messages.ts';
import { type RawPixels, upright } from './upright.ts';

const QUALITY = 80;
/** The most that a ThumbHash is made of. */
const HASH_SIDE = 100;

/** An image: its bytes, or the file that has them. */
export interface Source {
  input: Buffer | string;
  /** Its first bytes. */
  head: Buffer;
  /** The label of images that machines make, where it was found. */
  term: string | undefined;
}

/** Rejects where the image cannot be decoded, or is too large. */
export async function reduce(
  sharp: typeof Sharp,
  { input, head, term }: Source,
  { widths, wantsHash }: Pick<DecodeOrder, 'widths' | 'wantsHash'>,
): Promise<Decoded> {
  const metadata = await sharp(input, { limitInputPixels: false }).metadata();
  const excess = excessOf(metadata, head, Buffer.isBuffer(input) ? input.length : 0);
  if (excess !== undefined) throw new Error(excess);
  const pixels = await decoded(sharp, input, metadata, Math.max(HASH_SIDE, ...widths));
  const label = term ?? termOf(metadata);
  const previews: MadePreview[] = [];
  for (const width of widths) {
    const preview = reduced(sharp, pixels, width).webp({ quality: QUALITY });
    const labelled = label === undefined ? preview : preview.withXmp(xmpOf(label));
    previews.push({ width, bytes: await labelled.toBuffer() });
  }
  return { previews, ...(wantsHash && { thumbHash: await thumbHashOf(sharp, pixels) }) };
}

/** Turned only once it is small: a large picture would have to be held whole. */
async function decoded(
  sharp: typeof Sharp,
  input: Buffer | string,
  { orientation }: Metadata,
  side: number,
): Promise<RawPixels> {
  const { data, info } = await sharp(input, { limitInputPixels: false, sequentialRead: true, failOn: 'error' })
    .resize(side, side, { fit: 'inside', withoutEnlargement: true })
    .toColourspace('srgb')
    .raw({ depth: 'uchar' })
    .toBuffer({ resolveWithObject: true });
  return upright({ data, info }, orientation);
}

function reduced(sharp: typeof Sharp, { data, info }: RawPixels, side: number) {
  return sharp(data, { raw: info }).resize(side, side, { fit: 'inside', withoutEnlargement: true });
}

async function thumbHashOf(sharp: typeof Sharp, pixels: RawPixels): Promise<Uint8Array> {
  const small = reduced(sharp, pixels, HASH_SIDE).ensureAlpha().toColourspace('srgb').raw();
  const { data, info } = await small.toBuffer({ resolveWithObject: true });
  return rgbaToThumbHash(info.width, info.height, data);
}

/** Where XMP is compressed in the file. */
function termOf({ xmp }: Metadata): string | undefined {
  const search = new LabelSearch();
  if (xmp !== undefined) search.add(xmp);
  return search.found;
}
