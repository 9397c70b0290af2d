/** What the interop cases save, and the images that are there before. */
import { createHash } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { extname, join } from 'node:path';
import sharp from 'sharp';
import { pngOf, sharedImages } from '../support/images.ts';
import { layOutImages, recordOf } from '../support/many-images.ts';

const MIB = 1024 * 1024;
const CONTENT_TYPES: Record<string, string> = { '.png': 'image/png', '.jpg': 'image/jpeg', '.webp': 'image/webp' };
const SEEDED = 5_000;
/** As A1111 writes it. */
const GENERATED = [
  'a heron at dawn, <lora:ink_wash:0.8>',
  'Negative prompt: blurry, watermark',
  'Steps: 28, Sampler: Euler a, Schedule type: Karras, CFG scale: 6.5, Seed: 18446744073709551615, Size: 832x1216, Model: meadow_v2',
].join('\n');

/** By name: files with path, size and sha256, the real images, and parts of `picture` with offset, size and sha256. */
export async function interopFiles(folder: string): Promise<Record<string, unknown>> {
  const picture = pngOf({ width: 64, height: 48, sizeBytes: 3_000_000 });
  const contents = {
    picture,
    large: pngOf({ width: 64, height: 48, sizeBytes: 64 * MIB, seed: 1 }),
    truncated: picture.subarray(0, 2_000_000),
    generated: pngOf({ width: 64, height: 48, seed: 2, text: { parameters: GENERATED } }),
    empty: Buffer.alloc(0),
    text: Buffer.from('a red fox'),
  };
  const files: Record<string, unknown> = {};
  for (const [name, bytes] of Object.entries(contents)) {
    const path = join(folder, name);
    await writeFile(path, bytes);
    files[name] = { path, ...measured(bytes) };
  }
  const part = (offset: number, size: number) => ({ offset, ...measured(picture.subarray(offset, offset + size)) });
  return { ...files, part: part(1_000_000, 300_000), tail: part(2_999_990, 10), images: await realImages() };
}

async function realImages(): Promise<object[]> {
  return await Promise.all(
    sharedImages().map(async ({ path, bytes }) => {
      const { width, height } = await sharp(bytes).metadata();
      return { path, width, height, contentType: CONTENT_TYPES[extname(path)], ...measured(bytes) };
    }),
  );
}

function measured(bytes: Buffer): { size: number; sha256: string } {
  return { size: bytes.length, sha256: createHash('sha256').update(bytes).digest('hex') };
}

/** Fills a store that has not been opened yet, and tells in which order its images come. */
export function seededImages(basePath: string): Record<string, unknown> {
  layOutImages(basePath, SEEDED);
  const records = Array.from({ length: SEEDED }, (_, number) => recordOf(number));
  const oldestFirst = records.sort((a, b) => a.timestamp - b.timestamp).map(({ filename }) => ({ filename }));
  return {
    startMs: records[0]!.timestamp,
    endMs: records.at(-1)!.timestamp + 1,
    newestFirst: oldestFirst.toReversed(),
    oldest250: oldestFirst.slice(0, 250),
    oldest125: oldestFirst.slice(0, 125),
    next125: oldestFirst.slice(125, 250),
  };
}
