/** What is read from EXIF and XMP, in every container. */
import { describe, expect, it } from 'vitest';
import { readEmbeddedMetadata } from '../../src/storage/embedded/metadata.ts';
import { readerOf } from '../../src/storage/embedded/read-at.ts';
import { exifOf, imageWith } from '../support/exif.ts';
import {
  box,
  fullBox,
  ilocOf,
  jpegOf,
  jpegSegment,
  noise,
  riff,
  riffChunk,
  sharedImages,
  uint16,
  uint32,
} from '../support/images.ts';

const SIZE = { width: 8, height: 8 };

describe('EXIF and XMP', () => {
  const PARAMETERS = 'a fox, 狐\nSteps: 20, Sampler: Euler a, Seed: 18446744073709551615, Model: dreamshaper_8';
  const GRAPH = { '3': { class_type: 'CLIPTextEncode', inputs: { text: 'a fox' } } };
  const unicode = (text: Buffer) => Buffer.concat([Buffer.from('UNICODE\0'), text]);
  const formats = ['jpeg', 'webp', 'avif'] as const;

  it.each(formats)('of %s tell what A1111 wrote', async (format) => {
    const comment = unicode(Buffer.from(PARAMETERS, 'utf16le').swap16());
    const found = await read(await imageWith(format, { exif: exifOf({ comment, original: '2024:09:27 14:15:22' }) }));
    expect(found).toMatchObject({ prompt: 'a fox, 狐', model: 'dreamshaper_8' });
    expect(found.parametersJson).toContain('"seed":18446744073709551615');
    expect(found.timestamp).toEqual(new Date('2024-09-27T14:15:22Z'));
  });

  it.each(formats)('of %s tell what ComfyUI wrote', async (format) => {
    const exif = exifOf({ make: 'workflow:{"nodes":[]}', model: `prompt:${JSON.stringify(GRAPH)}` });
    const found = await read(await imageWith(format, { exif }));
    expect(found.prompt).toBe('a fox');
    expect(JSON.parse(found.parametersJson!)).toEqual({ comfyui: GRAPH });
  });

  it.each([
    ['UTF-16 of the other byte order', unicode(Buffer.from(PARAMETERS, 'utf16le'))],
    ['UTF-8', Buffer.from(`ASCII\0\0\0${PARAMETERS}`)],
  ])('hold a comment in %s', async (_name, comment) => {
    expect(await read(await imageWith('jpeg', { exif: exifOf({ comment }) }))).toMatchObject({ prompt: 'a fox, 狐' });
  });

  it.each(formats)('of %s tell the date with its zone and the description', async (format) => {
    const description = 'a fox &amp; an owl&#10;Steps: 20, Seed: 1';
    const xmp = `<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
      <rdf:Description xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:xmp="http://ns.adobe.com/xap/1.0/"
        xmp:CreateDate="2024-09-27T14:15:22+02:00"><dc:description><rdf:Alt><rdf:li xml:lang="x-default">${description}</rdf:li>
      </rdf:Alt></dc:description></rdf:Description></rdf:RDF></x:xmpmeta>`;
    expect(await read(await imageWith(format, { xmp }))).toEqual({
      prompt: 'a fox & an owl',
      parametersJson: '{"steps":20,"seed":1}',
      timestamp: new Date('2024-09-27T12:15:22Z'),
    });
  });

  it('of a WebP are found behind a chunk of odd length', async () => {
    const image = await imageWith('webp', { exif: exifOf({ comment: Buffer.from(`ASCII\0\0\0${PARAMETERS}`) }) });
    const behind = riff(riffChunk('ICCP', noise(33, 1)), image.subarray(12));
    expect(await read(behind)).toMatchObject({ prompt: 'a fox, 狐' });
  });

  it('of a JPEG are found behind fill bytes', async () => {
    const image = await imageWith('jpeg', { exif: exifOf({ comment: unicode(Buffer.from(PARAMETERS, 'utf16le')) }) });
    const filled = Buffer.concat([image.subarray(0, 2), Buffer.alloc(3, 0xff), image.subarray(2)]);
    expect(await read(filled)).toMatchObject({ prompt: 'a fox, 狐' });
  });

  it('of an AVIF are found behind a box with a size of 64 bits', async () => {
    const exif = Buffer.concat([uint32(0), exifOf({ comment: Buffer.from(`ASCII\0\0\0${PARAMETERS}`) })]);
    const before = Buffer.concat([
      box('ftyp', Buffer.from('avif\0\0\0\0avifmif1miaf')),
      Buffer.concat([uint32(1), Buffer.from('free'), uint32(0), uint32(40), Buffer.alloc(24)]),
    ]);
    const items = fullBox('iinf', uint16(1), box('infe', Buffer.from('\x02\0\0\0\0\x01\0\0Exif\0')));
    const metaFor = (offset: number) => fullBox('meta', items, ilocOf([{ offset, length: exif.length }]));
    const offset = before.length + metaFor(0).length + 8;
    expect(await read(Buffer.concat([before, metaFor(offset), box('mdat', exif)]))).toMatchObject({
      prompt: 'a fox, 狐',
    });
  });

  it('never hold what lies behind them in memory, whatever length a text claims', async () => {
    const exif = exifOf({ make: PARAMETERS });
    // Behind tag and type of the first entry: its count, which is the length of the text.
    exif.writeUInt32BE(4000, 8 + 2 + 4);
    const segment = jpegSegment(0xe1, Buffer.concat([Buffer.from('Exif\0\0', 'latin1'), exif]));
    const plain = jpegOf(SIZE);
    const secret = jpegSegment(0xfe, Buffer.from(`, Leaked: secret of another ${'x'.repeat(5000)}`));
    const found = await read(Buffer.concat([plain.subarray(0, 2), segment, secret, plain.subarray(2)]));
    expect(JSON.stringify(found)).not.toContain('secret of another');
  });

  it('take no caption for a prompt', async () => {
    expect(await read(await imageWith('jpeg', { exif: exifOf({ model: 'Canon EOS 5D' }) }))).toEqual({});
  });

  it.runIf(sharedImages().length > 0)('of the real WebP that ComfyUI wrote are read from its end', async () => {
    const { bytes } = sharedImages().find(({ name }) => name.endsWith('.webp'))!;
    const found = await read(bytes);
    expect(found.model).toMatch(/^hunyuan_video/);
    expect(found.prompt).toMatch(/^anime style anime girl/);
  });
});

function read(bytes: Uint8Array) {
  return readEmbeddedMetadata(readerOf(bytes));
}
