/** Where a PNG may carry its metadata: in any kind of text, in EXIF and XMP of many forms, before and behind its pixels. */
import { deflateSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { readEmbeddedMetadata } from '../../src/storage/embedded/metadata.ts';
import { readerOf } from '../../src/storage/embedded/read-at.ts';
import { exifOf } from '../support/exif.ts';
import { withChunks } from '../support/hostile-metadata.ts';
import { noise, pngChunk, pngOf } from '../support/images.ts';

const SIZE = { width: 8, height: 8 };
const PARAMETERS = 'a wren\nNegative prompt: rain\nSteps: 9, Seed: 5, Model: wren_v1';
const WREN = { prompt: 'a wren', model: 'wren_v1' };

const text = (keyword: string, value: string | Buffer) =>
  pngChunk('tEXt', Buffer.concat([Buffer.from(`${keyword}\0`), Buffer.from(value as string)]));

describe('EXIF and XMP', () => {
  const exif = exifOf({ comment: Buffer.from(`ASCII\0\0\0${PARAMETERS}`) });
  const prefixed = Buffer.concat([Buffer.from('Exif\0\0'), exif]);
  const profile = (name: string, bytes: Buffer) =>
    `\n${name}\n${String(bytes.length).padStart(8)}\n${bytes.toString('hex').replace(/.{72}/g, '$&\n')}\n`;
  const xmp = `<x:xmpmeta><rdf:Description><exif:UserComment><rdf:Alt><rdf:li>${PARAMETERS}</rdf:li></rdf:Alt></exif:UserComment></rdf:Description></x:xmpmeta>`;
  const compressed = (keyword: string, value: string) =>
    pngChunk('zTXt', Buffer.concat([Buffer.from(`${keyword}\0\0`), deflateSync(value)]));

  it.each([
    ['its own chunk', pngChunk('eXIf', exif)],
    ['its own chunk with the prefix of JPEG', pngChunk('eXIf', prefixed)],
    ['a profile in hexadecimal digits', text('Raw profile type exif', profile('exif', prefixed))],
    ['a compressed profile', compressed('Raw profile type APP1', profile('generic', prefixed))],
    ['a profile with XMP', text('Raw profile type xmp', profile('xmp', Buffer.from(xmp)))],
    ['XMP', pngChunk('iTXt', Buffer.from(`XML:com.adobe.xmp\0\0\0\0\0${xmp}`))],
  ])('are read from %s', async (_name, chunk) => {
    expect(await read(withChunks([chunk]))).toMatchObject(WREN);
    expect(await read(withChunks([text('Software', 'a tool'), chunk]))).toMatchObject(WREN);
  });
});

describe('a checksum that is wrong', () => {
  it.each(['tEXt', 'eXIf', 'comf'])('leaves that %s unread, and what else there is is read', async (type) => {
    const body =
      type === 'eXIf' ? exifOf({ comment: Buffer.from('ASCII\0\0\0a crow') }) : Buffer.from('parameters\0a crow');
    const chunk = pngChunk(type, body);
    chunk[chunk.length - 1]! ^= 1;
    expect(await read(withChunks([chunk]))).toEqual({});
    expect(await read(withChunks([chunk, text('parameters', PARAMETERS)]))).toMatchObject(WREN);
  });
});

describe('behind the pixels', () => {
  const image = (...pixels: Buffer[]) => {
    const png = pngOf(SIZE);
    const idats = pixels.map((body) => pngChunk('IDAT', body));
    return Buffer.concat([png.subarray(0, -12), ...idats, text('parameters', PARAMETERS), png.subarray(-12)]);
  };
  const equal = (count: number, sizeBytes: number) =>
    Array.from({ length: count }, (_, at) => noise(sizeBytes, at + 1));

  it.each([
    ['none', []],
    ['one large chunk', [noise(5_000_000, 1)]],
    ['many equal chunks and a smaller one', [...equal(1000, 8192), noise(100, 1)]],
    ['two equal chunks', equal(2, 65_536)],
    ['three and five', [...equal(3, 65_536), ...equal(5, 9000)]],
    ['chunks of any length', Array.from({ length: 50 }, (_, at) => noise(1000 + at, 1))],
    ['empty chunks', equal(3000, 0)],
  ])('text is found, and little is read: %s', async (_name, pixels) => {
    let [reads, bytesRead] = [0, 0];
    const bytes = image(...pixels);
    const found = await readEmbeddedMetadata(async (position, lengthBytes) => {
      reads += 1;
      bytesRead += lengthBytes;
      return readerOf(bytes)(position, lengthBytes);
    });
    expect(found).toMatchObject(WREN);
    expect(reads).toBeLessThan(60);
    expect(bytesRead).toBeLessThan(1_000_000);
  });
});

it('an ordinary image costs one read', async () => {
  let reads = 0;
  const bytes = pngOf({ ...SIZE, text: { parameters: PARAMETERS }, sizeBytes: 500_000 });
  const found = await readEmbeddedMetadata(async (position, lengthBytes) => {
    reads += 1;
    return readerOf(bytes)(position, lengthBytes);
  });
  expect(found).toMatchObject(WREN);
  expect(reads).toBe(1);
});

function read(bytes: Uint8Array) {
  return readEmbeddedMetadata(readerOf(bytes));
}
