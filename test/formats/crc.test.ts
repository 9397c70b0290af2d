/** The CRC-32 of bytes in pieces of all lengths is that of zlib. */
import { crc32 } from 'node:zlib';
import { expect, it } from 'vitest';
import { RunningCrc } from '../../src/storage/formats/crc.ts';
import { noise } from '../support/images.ts';

const bytes = noise(300_000, 1);
/** Around the lengths from which on a piece is computed in another way. */
const LENGTHS = [
  0, 1, 47, 48, 2047, 2048, 2049, 2063, 2064, 2351, 2352, 16_383, 16_384, 16_385, 16_399, 20_000, 65_535, 65_536,
  65_537, 67_583, 67_584,
];

function crcOf(from: number, to: number, before = 0): number {
  const crc = new RunningCrc(before);
  crc.take(bytes, from, to);
  return crc.value();
}

it.each(LENGTHS)('of %i bytes', (length) => {
  for (const from of [0, 1, 7, 8, 16, 100_000]) {
    for (const before of [0, 1, 0x80000000, 0xffffffff]) {
      expect(crcOf(from, from + length, before)).toBe(crc32(bytes.subarray(from, from + length), before));
    }
  }
});

it('in pieces', () => {
  const crc = new RunningCrc(0);
  for (let [at, length] = [0, 1]; at < bytes.length; at += length, length = (length * 3 + 1) % 70_001) {
    crc.take(bytes, at, Math.min(at + length, bytes.length));
  }
  expect(crc.value()).toBe(crc32(bytes));
});

it('of several files that come at once, and goes on after it was asked', () => {
  const crcs = Array.from({ length: 3 }, () => new RunningCrc(0));
  const ends = crcs.map(() => 0);
  for (let piece = 0; piece < 300; piece += 1) {
    const file = (piece * piece) % 3;
    const end = ends[file]! + ((piece * 7_919) % 3_001);
    crcs[file]!.take(bytes, ends[file]!, end);
    ends[file] = end;
    if (piece % 50 === 0) expect(crcs[file]!.value()).toBe(crc32(bytes.subarray(0, end)));
  }
  for (const [file, crc] of crcs.entries()) expect(crc.value()).toBe(crc32(bytes.subarray(0, ends[file])));
});

it('of zeros', () => {
  const crc = new RunningCrc(0);
  const zeros = Buffer.alloc(200_000);
  crc.take(zeros, 0, zeros.length);
  expect(crc.value()).toBe(crc32(zeros));
});
