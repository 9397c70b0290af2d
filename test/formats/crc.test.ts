/** The CRC-32 of bytes in pieces of all lengths is that of zlib. */
import { crc32 } from 'node:zlib';
import { expect, it } from 'vitest';
import { continueCrc } from '../../src/storage/formats/crc.ts';
import { noise } from '../support/images.ts';

const bytes = noise(300_000, 1);
/** Around the lengths from which on a piece is computed in another way. */
const LENGTHS = [
  0, 1, 47, 48, 2047, 2048, 2049, 2063, 2064, 2351, 2352, 16_384, 65_535, 65_536, 65_537, 67_583, 67_584,
];

it.each(LENGTHS)('of %i bytes', (length) => {
  for (const from of [0, 1, 7, 8, 16, 100_000]) {
    for (const before of [0, 1, 0x80000000, 0xffffffff]) {
      expect(continueCrc(before, bytes, from, from + length)).toBe(crc32(bytes.subarray(from, from + length), before));
    }
  }
});

it('in pieces', () => {
  let crc = 0;
  for (let [at, length] = [0, 1]; at < bytes.length; at += length, length = (length * 3 + 1) % 70_001) {
    crc = continueCrc(crc, bytes, at, Math.min(at + length, bytes.length));
  }
  expect(crc).toBe(crc32(bytes));
});

it('of zeros', () => {
  const zeros = Buffer.alloc(200_000);
  expect(continueCrc(0, zeros, 0, zeros.length)).toBe(crc32(zeros));
});
