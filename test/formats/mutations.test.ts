/** That no mutation of an image makes its inspection crash, or differ by how the bytes are cut into chunks. */
import { crc32 } from 'node:zlib';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import type { ImageCheck } from '../../src/storage/domain/config.ts';
import { StorageError } from '../../src/storage/domain/errors.ts';
import { ImageInspector } from '../../src/storage/formats/inspector.ts';
import { avifOf, gifOf, jpegOf, pngOf, webpOf } from '../support/images.ts';
import { full, seed } from '../support/scale.ts';
import { worstImages } from '../support/worst-images.ts';

const size = { width: 67, height: 45 };
const FORMATS: [string, Buffer][] = [
  ['PNG', pngOf({ ...size, text: { prompt: 'a fox' } })],
  ['JPEG', jpegOf(size)],
  ['WebP', webpOf(size)],
  ['GIF', gifOf(size)],
  ['AVIF', avifOf(size)],
];
/** 100,000 over the five formats. */
const RUNS = full ? 20_000 : 250;
const LONG = { timeout: 600_000 };

/** Bytes that lengths, counts and markers make most of. */
const telling = fc.constantFrom(
  0,
  1,
  2,
  4,
  7,
  8,
  0x21,
  0x2c,
  0x3b,
  0x7f,
  0x80,
  0xc0,
  0xd0,
  0xd8,
  0xd9,
  0xda,
  0xfe,
  0xff,
);
const byte = fc.oneof(telling, fc.nat(255));
const mutation = fc.oneof(
  fc.record({
    kind: fc.constant('overwrite' as const),
    at: fc.nat(),
    bytes: fc.array(byte, { minLength: 1, maxLength: 8 }),
  }),
  fc.record({
    kind: fc.constant('insert' as const),
    at: fc.nat(),
    bytes: fc.array(byte, { minLength: 1, maxLength: 40 }),
  }),
  fc.record({ kind: fc.constant('remove' as const), at: fc.nat(), length: fc.integer({ min: 1, max: 60 }) }),
  fc.record({
    kind: fc.constant('repeat' as const),
    at: fc.nat(),
    length: fc.integer({ min: 1, max: 60 }),
    times: fc.integer({ min: 1, max: 50 }),
  }),
  fc.record({ kind: fc.constant('cut' as const), at: fc.nat() }),
);
type Mutation = typeof mutation extends fc.Arbitrary<infer T> ? T : never;
const chunkSizes = fc.infiniteStream(fc.oneof(fc.integer({ min: 1, max: 9 }), fc.integer({ min: 1, max: 2000 })));

it.each(FORMATS)('mutations of a %s are accepted or refused, the same in every split', LONG, (format, made) => {
  const worst = worstImages(600)
    .filter((image) => image.format === format)
    .map(({ bytes }) => bytes);
  const image = fc.constantFrom(made, ...worst);
  const check = fc.constantFrom<ImageCheck>('structure', 'ends');
  const mutations = fc.array(mutation, { minLength: 1, maxLength: 4 });
  const property = fc.property(image, check, mutations, chunkSizes, (bytes, by, changes, sizes) => {
    const sent = changes.reduce(mutated, bytes);
    expect(answerTo(sent, sizes, by)).toEqual(answerTo(sent, [sent.length].values(), by));
  });
  fc.assert(property, { seed, numRuns: RUNS });
});

it('mutations of a PNG whose pixels are decompressed are accepted or refused, and nothing hangs', LONG, async () => {
  const image = fc.constantFrom(
    FORMATS[0]![1],
    ...worstImages(600).flatMap(({ format, bytes }) => (format === 'PNG' ? [bytes] : [])),
  );
  const mutations = fc.array(mutation, { minLength: 1, maxLength: 2 });
  const property = fc.asyncProperty(image, mutations, chunkSizes, async (bytes, changes, sizes) => {
    const sent = withCrcs(changes.reduce(mutated, bytes));
    expect(await answerWithPixels(sent, sizes)).toEqual(await answerWithPixels(sent, [sent.length].values()));
  });
  await fc.assert(property, { seed, numRuns: RUNS });
});

async function answerWithPixels(bytes: Buffer, sizes: Iterator<number>): Promise<unknown> {
  const inspector = new ImageInspector('pixels');
  try {
    for (let at = 0; at < bytes.length; ) {
      const chunk = bytes.subarray(at, at + sizes.next().value);
      await inspector.push(chunk);
      at += chunk.length;
    }
    return inspector.finish();
  } catch (error) {
    if (!(error instanceof StorageError)) throw error;
    // Which of two faults is seen first depends on when the pixels are decompressed.
    return 'refused';
  }
}

/** Mends the CRCs, so that the mutations reach what is behind them. */
function withCrcs(bytes: Buffer): Buffer {
  const mended = Buffer.from(bytes);
  for (let at = 8; at + 12 <= mended.length; ) {
    const crcAt = at + 8 + mended.readUInt32BE(at);
    if (crcAt + 4 > mended.length) break;
    mended.writeUInt32BE(crc32(mended.subarray(at + 4, crcAt)), crcAt);
    at = crcAt + 4;
  }
  return mended;
}

function mutated(bytes: Buffer, mutation: Mutation): Buffer {
  // The first bytes say which format it is.
  const at = Math.min(bytes.length, 12 + (mutation.at % Math.max(1, bytes.length - 12)));
  const [before, after] = [bytes.subarray(0, at), bytes.subarray(at)];
  switch (mutation.kind) {
    case 'overwrite':
      return Buffer.concat([before, Buffer.from(mutation.bytes), after.subarray(mutation.bytes.length)]);
    case 'insert':
      return Buffer.concat([before, Buffer.from(mutation.bytes), after]);
    case 'remove':
      return Buffer.concat([before, after.subarray(mutation.length)]);
    case 'repeat':
      return Buffer.concat([before, ...Array<Buffer>(mutation.times).fill(after.subarray(0, mutation.length)), after]);
    case 'cut':
      return before;
  }
}

/** The format, or the reason and the words of the refusal; each chunk is overwritten once it has been pushed. */
function answerTo(bytes: Buffer, sizes: Iterator<number>, check: ImageCheck): unknown {
  const inspector = new ImageInspector(check);
  try {
    for (let at = 0; at < bytes.length; ) {
      const chunk = Buffer.from(bytes.subarray(at, at + sizes.next().value));
      inspector.push(chunk);
      at += chunk.length;
      chunk.fill(0xaa);
    }
    return inspector.finish();
  } catch (error) {
    if (!(error instanceof StorageError)) throw error;
    return { reason: error.reason, message: error.message };
  }
}
