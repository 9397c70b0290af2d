/** Makes the previews of one image with sharp: upright, in sRGB, the first frame, without its metadata. */
import type { Metadata, OutputInfo, default as Sharp } from 'sharp';
import type { Decoded, DecodeOrder } from './messages.ts';
import { upright } from './upright.ts';

const QUALITY = 80;

type Pixels = { data: Buffer; info: Pick<OutputInfo, 'width' | 'height' | 'channels'> };

/** Rejects where the image cannot be decoded. */
export async function reduce(sharp: typeof Sharp, source: Buffer, { widths }: DecodeOrder): Promise<Decoded> {
  const metadata = await sharp(source, { limitInputPixels: false }).metadata();
  const pixels = await decoded(sharp, source, metadata, Math.max(...widths));
  const previews: Decoded['previews'] = [];
  for (const width of widths) {
    const { data, info: raw } = pixels;
    const fitting = sharp(data, { raw }).resize(width, width, { fit: 'inside', withoutEnlargement: true });
    previews.push({ width, bytes: await fitting.webp({ quality: QUALITY }).toBuffer() });
  }
  return { previews };
}

/** Turned only once it is small: a large picture would have to be held whole. */
async function decoded(sharp: typeof Sharp, source: Buffer, { orientation }: Metadata, side: number): Promise<Pixels> {
  const { data, info } = await sharp(source, { limitInputPixels: false, sequentialRead: true, failOn: 'error' })
    .resize(side, side, { fit: 'inside', withoutEnlargement: true })
    .toColourspace('srgb')
    .raw({ depth: 'uchar' })
    .toBuffer({ resolveWithObject: true });
  return upright({ data, info }, orientation);
}
