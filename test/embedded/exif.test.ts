/** What is read from EXIF and XMP, in every container. */
import { describe, expect, it } from 'vitest';
import { readEmbeddedMetadata } from '../../src/storage/embedded/metadata.ts';
import { readerOf } from '../../src/storage/embedded/read-at.ts';
import { exifOf, imageWith } from '../support/exif.ts';
import {
  box,
  fullBox,
  gifOf,
  gifSubBlocks,
  ilocOf,
  jpegOf,
  jpegSegment,
  noise,
  riff,
  riffChunk,
  sharedImages,
  uint16,
  uint32,
  vp8l,
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

  describe('hold a comment', () => {
    const utf16 = (isBig: boolean) => {
      const text = Buffer.from(PARAMETERS, 'utf16le');
      return isBig ? text.swap16() : text;
    };
    const bom = (isBig: boolean) => Buffer.from(isBig ? [0xfe, 0xff] : [0xff, 0xfe]);
    const latin = Buffer.from(PARAMETERS.replace('狐', 'Füchslein'), 'latin1');
    it.each<[string, Buffer, { commentType?: number; isOuter?: boolean }]>([
      ['of bytes in the first directory', unicode(utf16(true)), { commentType: 1, isOuter: true }],
      ['of text in the first directory', Buffer.from(`${PARAMETERS}\0`), { commentType: 2, isOuter: true }],
      ['of text without a code', Buffer.from(`${PARAMETERS}\0`), { commentType: 2 }],
      ['of any bytes without a code', Buffer.from(PARAMETERS), {}],
      ['in UTF-8 without a code, behind zeros', Buffer.concat([Buffer.alloc(8), Buffer.from(PARAMETERS)]), {}],
      ['in UTF-8 by the code of UTF-16', unicode(Buffer.from(PARAMETERS)), {}],
      ['in UTF-16 LE with a BOM', unicode(Buffer.concat([bom(false), utf16(false)])), {}],
      ['in UTF-16 BE with a BOM', unicode(Buffer.concat([bom(true), utf16(true)])), {}],
      ['in UTF-16 LE without a BOM', unicode(utf16(false)), {}],
      ['in UTF-16 without a code', utf16(false), {}],
      ['in Latin-1', Buffer.concat([Buffer.from('ASCII\0\0\0'), latin]), {}],
      ['with zeros behind it', unicode(Buffer.concat([utf16(true), Buffer.alloc(101)])), {}],
    ])('%s', async (_name, comment, options) => {
      const found = await read(riff(riffChunk('VP8L', vp8l(SIZE)), riffChunk('EXIF', exifOf({ comment, ...options }))));
      expect(found).toMatchObject({ prompt: expect.stringMatching(/^a fox, (狐|Füchslein)$/), model: 'dreamshaper_8' });
    });
  });

  it('of a JPEG go on in the next segments', async () => {
    const note = 'x'.repeat(100_000);
    const exif = exifOf({ comment: Buffer.from(`{"prompt":"a fox","note":"${note}"}`) });
    const parts = [exif.subarray(0, 60_000), exif.subarray(60_000)];
    const segments = parts.map((part) => jpegSegment(0xe1, Buffer.concat([Buffer.from('Exif\0\0'), part])));
    const plain = jpegOf(SIZE);
    const found = await read(Buffer.concat([plain.subarray(0, 2), ...segments, plain.subarray(2)]));
    expect(found.prompt).toBe('a fox');
    expect(found.parametersJson).toContain(note);
  });

  it('take no place of a comment of the container that tells', async () => {
    const comment = jpegSegment(0xfe, Buffer.from(PARAMETERS));
    const plain = jpegOf(SIZE);
    expect(await read(Buffer.concat([plain.subarray(0, 2), comment, plain.subarray(2)]))).toMatchObject({
      prompt: 'a fox, 狐',
    });
    const caption = jpegSegment(0xfe, Buffer.from('a caption'));
    expect(await read(Buffer.concat([plain.subarray(0, 2), caption, plain.subarray(2)]))).toEqual({});
  });

  it('of a GIF do not exist, but its comment tells', async () => {
    const gif = gifOf(SIZE);
    const withComment = (text: string) =>
      Buffer.concat([
        gif.subarray(0, 19),
        Buffer.from([0x21, 0xfe]),
        gifSubBlocks(Buffer.from(text)),
        gif.subarray(19),
      ]);
    const long = PARAMETERS.replace('a fox', `a fox ${'in the snow '.repeat(40)}`);
    expect(await read(withComment(long))).toMatchObject({
      prompt: expect.stringMatching(/^a fox in the snow/),
      model: 'dreamshaper_8',
    });
    expect(await read(withComment('made with love'))).toEqual({});
    expect(await read(gif)).toEqual({});
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
