/** How little work the worst images of each format are: runs of small parts in one go, and no more parts than a bound. */
import { describe, expect, it } from 'vitest';
import { avif } from '../../src/storage/formats/avif.ts';
import { gif } from '../../src/storage/formats/gif.ts';
import { ImageInspector } from '../../src/storage/formats/inspector.ts';
import { jpeg, walkJpeg } from '../../src/storage/formats/jpeg.ts';
import type { Format } from '../../src/storage/formats/parser.ts';
import { png, walkPng } from '../../src/storage/formats/png.ts';
import { walkRiff } from '../../src/storage/formats/riff.ts';
import { MAX_PARTS, NOTHING, walkBytes } from '../../src/storage/formats/walk.ts';
import { webp } from '../../src/storage/formats/webp.ts';
import { jpegOf, pngChunk, pngOf, sharedImages } from '../support/images.ts';
import { worstImages } from '../support/worst-images.ts';

const FORMATS: Format[] = [png, jpeg, webp, gif, avif];
const size = { width: 67, height: 45 };

describe.each(worstImages(200_000))('a $format full of $of', ({ format, bytes }) => {
  it('is whole', () => {
    const inspector = new ImageInspector();
    inspector.push(bytes);
    expect(inspector.finish()).toMatchObject({ width: 8, height: 8 });
  });

  it('is parsed in a few steps, however many parts it has', () => {
    expect(stepsOf(FORMATS.find(({ name }) => name === format)!, bytes)).toBeLessThan(10);
  });
});

it.each(sharedImages())('$name, which is real, has far fewer parts than the bound', ({ bytes }) => {
  const walker = [walkPng, walkJpeg, walkRiff][FORMATS.findIndex(({ matches }) => matches(bytes.subarray(0, 12)))]!;
  let parts = 0;
  const walk = walker(() => {
    parts += 1;
    return undefined;
  });
  expect(walkBytes(bytes, walk)).toBe(true);
  expect(parts).toBeGreaterThan(2);
  expect(parts).toBeLessThan(MAX_PARTS / 100);
});

it('a file of more parts than the bound is refused', () => {
  const [signature, header, rest] = [pngOf(size).subarray(0, 8), pngOf(size).subarray(8, 33), pngOf(size).subarray(33)];
  const part = pngChunk('teSt', Buffer.alloc(0));
  const inspect = (parts: number) => {
    const inspector = new ImageInspector();
    // IHDR, IDAT and IEND are parts, too.
    inspector.push(Buffer.concat([signature, header, Buffer.alloc((parts - 3) * part.length, part), rest]));
    return inspector.finish();
  };
  expect(inspect(MAX_PARTS)).toMatchObject(size);
  expect(() => inspect(MAX_PARTS + 1)).toThrow(/more than 1000000 parts/);
});

it('a JPEG may have any number of fill bytes', () => {
  const bytes = jpegOf(size);
  const inspector = new ImageInspector();
  inspector.push(Buffer.concat([bytes.subarray(0, 2), Buffer.alloc(MAX_PARTS + 1, 0xff), bytes.subarray(2)]));
  expect(inspector.finish()).toMatchObject(size);
});

/** How often the parser demands bytes of a file that is in memory. */
function stepsOf(format: Format, bytes: Buffer): number {
  const parser = format.parse(() => bytes.length);
  let steps = 1;
  for (let step = parser.next(NOTHING); !step.done; steps += 1) {
    const demand = step.value;
    step = parser.next(demand.kind === 'rest' ? NOTHING : bytes.subarray(demand.at));
  }
  return steps;
}
