/** Files that were damaged anywhere: whatever their readers meet, they find something or nothing, soon, and keep no memory. */
import { deflateSync } from 'node:zlib';
import { beforeAll, expect, it } from 'vitest';
import { generationOf } from '../../src/storage/domain/generation.ts';
import { readEmbeddedMetadata } from '../../src/storage/embedded/metadata.ts';
import { readerOf } from '../../src/storage/embedded/read-at.ts';
import { exifOf, imageWith } from '../support/exif.ts';
import { samplerChain, withChunks, zText } from '../support/hostile-metadata.ts';
import { gifOf, gifSubBlocks, jpegOf, jpegSegment, pngChunk, pngOf, riff, riffChunk, vp8l } from '../support/images.ts';
import { full, seed } from '../support/scale.ts';

const SIZE = { width: 8, height: 8 };
const ROUNDS = full ? 100_000 : 3000;
const A1111 =
  'a kite\nNegative prompt: mud\nSteps: 20, Seed: 7, Size: 8x8, Hashes: {"a": "b"}, Note: "a, b", Model: kite';
const GRAPH = JSON.stringify({
  ...samplerChain(12),
  '13': { class_type: 'ImpactSwitch', inputs: { select: 1, input1: ['14', 0] } },
  '14': { class_type: 'CLIPTextEncode', inputs: { text: 'a kite' } },
  '15': { class_type: 'SaveImage', inputs: { images: ['0', 0] } },
});
const DRAWN = JSON.stringify({
  nodes: [{ id: 1, type: 'KSampler', inputs: [{ name: 'positive', link: 1 }], widgets_values: [1, 'fixed', 2] }],
  links: [[1, 1, 0, 1, 0, 'X']],
});
/** What means something to a reader. */
const WORDS = [
  '{',
  '}',
  '[',
  ']',
  '"',
  ',',
  ':',
  '\0',
  '\\',
  '\n',
  'Steps: ',
  'UNICODE\0',
  'Exif\0\0',
  '"1"',
  '1e9',
  'tEXt',
];

let images: Buffer[];
beforeAll(async () => {
  const comment = (text: string) =>
    exifOf({ comment: Buffer.concat([Buffer.from('UNICODE\0'), Buffer.from(text, 'utf16le')]) });
  const png = pngOf({ ...SIZE, text: { prompt: GRAPH } });
  const exif = comment(A1111);
  const segment = jpegSegment(0xe1, Buffer.concat([Buffer.from('Exif\0\0'), exif]));
  const jpeg = jpegOf(SIZE);
  const gif = gifOf(SIZE);
  const xmp = `<rdf:Description><exif:UserComment><rdf:li>{&quot;c&quot;:&quot;a kite&quot;}</rdf:li></exif:UserComment></rdf:Description>`;
  images = [
    png,
    pngOf({ ...SIZE, text: { workflow: DRAWN } }),
    pngOf({ ...SIZE, text: { parameters: A1111, 'Creation Time': '2024:09:27 14:15:22' } }),
    pngOf({ ...SIZE, text: { Software: 'NovelAI', Comment: '{"prompt":"a kite","v4_prompt":{"caption":{}}}' } }),
    pngOf({ ...SIZE, text: { 'sd-metadata': '{"image":{"prompt":"a kite [mud]"}}', Dream: '"a kite" -s 20' } }),
    pngOf({ ...SIZE, text: { Description: `a kite --no mud Job ID: ${'0'.repeat(36)}` } }),
    withChunks([
      pngChunk('eXIf', exif),
      zText('Raw profile type exif', Buffer.from(`\nexif\n 9\n${exif.toString('hex')}`)),
    ]),
    withChunks([pngChunk('iTXt', Buffer.concat([Buffer.from('parameters\0\x01\0\0\0'), deflateSync(A1111)]))]),
    Buffer.concat([png.subarray(0, 33), png.subarray(-28), png.subarray(33)]),
    Buffer.concat([jpeg.subarray(0, 2), segment, jpegSegment(0xfe, Buffer.from(A1111)), jpeg.subarray(2)]),
    riff(
      riffChunk('VP8L', vp8l(SIZE)),
      riffChunk('EXIF', exifOf({ model: `prompt:${GRAPH}` })),
      riffChunk('XMP ', Buffer.from(xmp)),
    ),
    Buffer.concat([gif.subarray(0, 19), Buffer.from([0x21, 0xfe]), gifSubBlocks(Buffer.from(A1111)), gif.subarray(19)]),
    await imageWith('avif', { exif }),
  ];
});

it(`reads ${ROUNDS} damaged files`, { timeout: 600_000 }, async () => {
  const random = randomOf(seed);
  const began = process.memoryUsage();
  let slowestMs = 0;
  for (let round = 0; round < ROUNDS; round += 1) {
    const bytes = damaged(images[round % images.length]!, random);
    const beganMs = cpuMs();
    const found = await readEmbeddedMetadata(readerOf(bytes));
    generationOf({ prompt: found.prompt ?? '', parametersJson: found.parametersJson ?? '' });
    slowestMs = Math.max(slowestMs, cpuMs() - beganMs);
    expect(found.prompt ?? 'none').not.toBe('');
    if (found.parametersJson !== undefined) JSON.parse(found.parametersJson);
  }
  // A hundred times what a file of a few kilobytes costs: one that runs away takes far more.
  expect(slowestMs).toBeLessThan(1000);
  expect(process.memoryUsage().rss - began.rss).toBeLessThan(400_000_000);
});

/** Changes some bytes, of the checksums of a PNG too, so that what is behind them is read. */
function damaged(image: Buffer, random: (below: number) => number): Buffer {
  let bytes = Buffer.from(image);
  for (let left = 1 + random(4); left > 0; left -= 1) {
    const at = random(bytes.length);
    const kind = random(5);
    if (kind === 0) bytes[at]! ^= 1 << random(8);
    else if (kind === 1) bytes[at] = [0, 0xff, 0x7f, 0x80][random(4)]!;
    else if (kind === 2) bytes.write(WORDS[random(WORDS.length)]!, at, 'latin1');
    else if (kind === 3) bytes = Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + random(20))]);
    else
      bytes = Buffer.concat([
        bytes.subarray(0, at),
        bytes.subarray(random(bytes.length)).subarray(0, 200),
        bytes.subarray(at),
      ]);
    if (bytes.length < 16) return bytes;
  }
  return image.subarray(1, 4).toString() === 'PNG' && random(4) > 0 ? withChecksums(bytes) : bytes;
}

/** Returns the PNG with right checksums as far as its chunks go. */
function withChecksums(png: Buffer): Buffer {
  const parts = [png.subarray(0, 8)];
  let at = 8;
  while (at + 12 <= png.length) {
    const end = at + 12 + png.readUInt32BE(at);
    if (end > png.length) break;
    parts.push(pngChunk(png.toString('latin1', at + 4, at + 8), png.subarray(at + 8, end - 4)));
    at = end;
  }
  return Buffer.concat([...parts, png.subarray(at)]);
}

/** Xorshift32: numbers below a bound, the same for the same seed. */
function randomOf(start: number): (below: number) => number {
  let state = start >>> 0 || 1;
  return (below) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % below;
  };
}

/** CPU time of this thread, which others on the machine do not prolong. */
function cpuMs(): number {
  const { user, system } = process.threadCpuUsage();
  return (user + system) / 1000;
}
