/** The parts of a container that reading its file here and there finds, and how little of the file it reads. */
import { expect, it } from 'vitest';
import { partsOf } from '../../src/storage/embedded/parts.ts';
import { type ReadAt, readerOf } from '../../src/storage/embedded/read-at.ts';
import { walkBoxes } from '../../src/storage/formats/isobmff.ts';
import { walkJpeg } from '../../src/storage/formats/jpeg.ts';
import { walkPng } from '../../src/storage/formats/png.ts';
import { walkRiff } from '../../src/storage/formats/riff.ts';
import { type Part, type Walker, walkBytes } from '../../src/storage/formats/walk.ts';
import { avifOf, jpegOf, jpegSegment, noise, pngOf, riff, riffChunk, sharedImages, webpOf } from '../support/images.ts';

const size = { width: 67, height: 45 };
const jpeg = jpegOf(size);
const filled = Buffer.concat([
  jpeg.subarray(0, 2),
  Buffer.alloc(100_000, 0xff),
  jpegSegment(0xe5, noise(40_000, 1)),
  jpeg.subarray(2),
]);

it.each<[string, Walker<unknown>, Buffer]>([
  ['PNG', walkPng, pngOf({ ...size, text: { a: 'b' }, sizeBytes: 200_000 })],
  ['JPEG', walkJpeg, jpeg],
  ['JPEG with fill bytes', walkJpeg, filled],
  ['WebP', walkRiff, webpOf(size)],
  ['AVIF', walkBoxes, avifOf(size)],
  ...sharedImages().map(({ name, bytes }): [string, Walker<unknown>, Buffer] => [name, walkerOf(name), bytes]),
])('finds the parts of a %s that bytes in memory show', async (_name, walker, bytes) => {
  const parts = partsIn(bytes, walker);
  expect(parts.length).toBeGreaterThan(0);
  expect(await collected(partsOf(readerOf(bytes), walker))).toEqual(parts);
});

it('ends where the structure is broken, behind the parts that stand before', async () => {
  const bytes = Buffer.concat([pngOf(size).subarray(0, -12), noise(100, 1)]);
  const parts = await collected(partsOf(readerOf(bytes), walkPng));
  expect(parts.map(({ type }) => type)).toEqual(['IHDR', 'IDAT']);
});

it('gives a file of many parts up', async () => {
  const bytes = riff(...Array(30_000).fill(riffChunk('abcd', Buffer.alloc(0))));
  expect(await collected(partsOf(readerOf(bytes), walkRiff))).toHaveLength(20_000);
  expect(await collected(partsOf(readerOf(bytes), walkRiff, 16))).toHaveLength(16);
});

it('reads headers that lie close together at once, and does not read what it passes over', async () => {
  const small = Array.from({ length: 1000 }, () => riffChunk('tiny', noise(8, 1)));
  const bytes = riff(...small, riffChunk('ANMF', noise(1_000_000, 1)), ...small);
  const read: number[] = [];
  const counted: ReadAt = (position, lengthBytes) => {
    read.push(lengthBytes);
    return readerOf(bytes)(position, lengthBytes);
  };
  expect(await collected(partsOf(counted, walkRiff))).toHaveLength(2001);
  expect(read.length).toBeLessThan(6);
  expect(read.reduce((sum, lengthBytes) => sum + lengthBytes, 0)).toBeLessThan(100_000);
});

async function collected<Type>(parts: AsyncIterable<Part<Type>>): Promise<Part<Type>[]> {
  const all: Part<Type>[] = [];
  for await (const part of parts) all.push(part);
  return all;
}

function partsIn<Type>(bytes: Buffer, walker: Walker<Type>): Part<Type>[] {
  const parts: Part<Type>[] = [];
  const walk = walker((part) => {
    parts.push(part);
  });
  expect(walkBytes(bytes, walk)).toBe(true);
  return parts;
}

function walkerOf(name: string): Walker<unknown> {
  if (name.endsWith('.png')) return walkPng;
  return name.endsWith('.jpg') ? walkJpeg : walkRiff;
}
