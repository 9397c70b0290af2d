/** Finds the chunks of a PNG by random access to its file, without reading its pixels. */
import type { Part } from '../formats/walk.ts';
import type { ReadAt } from './read-at.ts';

const SIGNATURE_BYTES = 8;
const HEADER_BYTES = 8;
const CRC_BYTES = 4;
/** The most chunks to look at, runs of pixels aside. */
const MAX_CHUNKS = 2000;
const PIXELS = /^(IDAT|fdAT)$/;

/**
 * Yields the chunks in order, up to the end of the file or the first damage; of pixels in chunks of one length the first
 * only. Requires a PNG.
 */
export async function* pngChunks(readAt: ReadAt): AsyncGenerator<Part> {
  let at = SIGNATURE_BYTES;
  for (let left = MAX_CHUNKS; left > 0; left -= 1) {
    const header = await readAt(at, HEADER_BYTES);
    const type = header.toString('latin1', 4);
    if (!/^[a-z]{4}$/i.test(type)) return;
    const lengthBytes = header.readUInt32BE();
    yield { type, at: at + HEADER_BYTES, lengthBytes };
    if (type === 'IEND') return;
    at += HEADER_BYTES + lengthBytes + CRC_BYTES;
    if (PIXELS.test(type)) at = await endOfRun(readAt, Buffer.from(header), at);
  }
}

/** Returns the end of the chunks from `start` on that have the same header; encoders cut pixels into equal pieces. */
async function endOfRun(readAt: ReadAt, header: Buffer, start: number): Promise<number> {
  const stride = HEADER_BYTES + header.readUInt32BE() + CRC_BYTES;
  const isSame = async (index: number) => (await readAt(start + index * stride, HEADER_BYTES)).equals(header);
  if (!(await isSame(0))) return start;
  let last = 0;
  let step = 1;
  for (; await isSame(last + step); step *= 2) last += step;
  for (step /= 2; step >= 1; step /= 2) if (await isSame(last + step)) last += step;
  return start + (last + 1) * stride;
}
