/** Images whose embedded metadata costs its reader most. */
import { deflateSync } from 'node:zlib';
import {
  avifOf,
  box,
  fullBox,
  gifOf,
  ilocOf,
  jpegOf,
  jpegSegment,
  pngChunk,
  pngOf,
  riff,
  riffChunk,
  uint16,
  uint32,
  vp8l,
} from './images.ts';

export interface HostileImage {
  name: string;
  bytes: Buffer;
}

const SIZE = { width: 8, height: 8 };
const MIB = 1024 * 1024;

export function hostileImages(): HostileImage[] {
  return Object.entries({
    'a graph that links all nodes with all': withTexts([['prompt', JSON.stringify(denseGraph(200))]]),
    'a graph that links 1,000 nodes with all': withTexts([['prompt', JSON.stringify(denseGraph(1000))]]),
    'a chain of samplers': withTexts([['prompt', JSON.stringify(samplerChain(4000))]]),
    'a chain of texts': withTexts([['prompt', JSON.stringify(textChain(4000))]]),
    'compressed zeros in 100 texts': withChunks(Array(100).fill(zText('parameters', Buffer.alloc(16 * MIB)))),
    'JSON of many numbers': withTexts([['parameters', `[${Array(500_000).fill('1').join(',')}]`]]),
    'JSON of many keys': withTexts([['Comment', keys(29_000)]]),
    'settings of many keys': withTexts([['parameters', keys(29_000).replace('{', '{"prompt":"a fox",')]]),
    'settings of many numbers': withTexts([
      ['parameters', `{"prompt":"a","b":[${Array(29_000).fill('1').join(',')}]}`],
    ]),
    'settings of many objects': withTexts([
      ['parameters', `{"prompt":"a","b":[${Array(5).fill(keys(4999)).join(',')}]}`],
    ]),
    'settings of 5,000 keys': withTexts([['parameters', keys(4998).replace('{', '{"prompt":"a fox",')]]),
    'JSON of 5,000 keys often': withTexts([['Comment', `[${Array(5).fill(keys(4999)).join(',')}]`]]),
    'JSON that is nested': withTexts([['prompt', '['.repeat(MIB)]]),
    'JSON of one text': withTexts([['prompt', JSON.stringify({ a: '\n'.repeat(MIB / 2) })]]),
    'JSON of not-a-numbers': withTexts([
      ['prompt', `{"1":{"class_type":"A","inputs":{"a":[${Array(29_000).fill('NaN').join(',')}]}}}`],
    ]),
    'a drawn graph of 3,000 nodes in a circle': withText('workflow', JSON.stringify(drawnCircle(3000))),
    'subgraphs of subgraphs': withText('workflow', JSON.stringify(subgraphs(10))),
    'a switch with an input of zeros': withText(
      'prompt',
      JSON.stringify({ 1: { class_type: 'Switch', inputs: { select: 1, [`${'0'.repeat(31 * 1024)}x`]: 1 } } }),
    ),
    'a circle of switches': withTexts([['prompt', JSON.stringify(switchCircle(2500))]]),
    'one text of 8 MiB in a graph': withText('prompt', JSON.stringify({ a: '\n'.repeat(4 * MIB - 100) })),
    spaces: withTexts([['prompt', ' '.repeat(1.5 * MIB)]]),
    'settings without end': withTexts([['parameters', `Steps: 1, ${'a b'.repeat(20_000)}`]]),
    'settings that are all commas': withText('parameters', `Steps: 1${' ,'.repeat(30_000)}`),
    'quotations without end': withText('parameters', `Steps: 1, ${'a:"'.repeat(20_000)}`),
    'brackets in a command line': withText('Dream', `"${'[a'.repeat(30_000)}" -s 1`),
    'options of a job': withText('Description', `${' --no'.repeat(13_000)} Job ID: ${'0'.repeat(36)}`),
    'spaces in place of a job': withText('Description', `a fox${' '.repeat(31 * 1024)}x`),
    'padding within a comment': webp(
      riffChunk('EXIF', commentOf(Buffer.concat([Buffer.alloc(31 * 1024), Buffer.from('\0x')]))),
    ),
    'a profile of digits': withText('Raw profile type exif', `\nexif\n 1\n${'41'.repeat(MIB)}`),
    'many settings': withTexts([['parameters', `Steps: 1, ${'a:{'.repeat(20_000)}`]]),
    'many lines': withTexts([['parameters', '\n'.repeat(1.5 * MIB)]]),
    'a command line': withTexts([['Dream', `"a" ${' -s '.repeat(300_000)}`]]),
    'many chunks': withChunks(Array.from({ length: 100_000 }, () => pngChunk('tEXt', Buffer.alloc(0)))),
    'many WebP chunks': webp(Buffer.concat(Array<Buffer>(100_000).fill(riffChunk('abcd', Buffer.alloc(0))))),
    'EXIF of entries that share a value': webp(riffChunk('EXIF', sharedExif())),
    'XMP of unfinished properties': webp(riffChunk('XMP ', Buffer.from('<dc:description '.repeat(100_000)))),
    'XMP of open attributes': webp(
      riffChunk('XMP ', Buffer.from(` exif:UserComment='a exif:UserComment="`.repeat(50_000))),
    ),
    'XMP of entities': webp(
      riffChunk('XMP ', Buffer.from(`<dc:description>Steps: 1, ${'&amp;'.repeat(380_000)}</dc:description>`)),
    ),
    'a GIF comment in pieces of one byte': inGif(Buffer.alloc(2 * MIB, Buffer.from([1, 65]))),
    'JPEG segments': jpegWith(Array<Buffer>(100_000).fill(jpegSegment(0xe1, Buffer.alloc(0)))),
    'an AVIF item in many pieces': avifInPieces(),
  }).map(([name, bytes]) => ({ name, bytes }));
}

/** Each node links all others, by as many inputs; the first ones are samplers. */
export function denseGraph(nodes: number): Record<string, unknown> {
  const all = Array.from({ length: nodes }, (_, id) => [`model${id}`, [String(id), 0]]);
  const inputs = Object.fromEntries([['positive', ['1', 0]], ['latent_image', ['2', 0]], ...all]);
  const node = (id: number) => ({
    class_type: 'KSampler',
    inputs: { ...inputs, latent_image: [String((id + 1) % nodes), 0], seed: [String((id + 1) % nodes), 0] },
  });
  return Object.fromEntries(Array.from({ length: nodes }, (_, id) => [String(id), node(id)]));
}

export function samplerChain(nodes: number): Record<string, unknown> {
  const node = (id: number) => ({
    class_type: 'KSampler',
    inputs: {
      positive: [String(id), 0],
      latent_image: [String(id + 1), 0],
      seed: [String(id + 1), 0],
      cfg: [String(id + 1), 0],
    },
  });
  return Object.fromEntries(Array.from({ length: nodes }, (_, id) => [String(id), node(id)]));
}

/** Each text is joined to those before; all but the last are blank. */
export function textChain(nodes: number): Record<string, unknown> {
  const node = (id: number) => ({
    class_type: 'KSampler text encode',
    inputs: {
      positive: [String(id + 1), 0],
      string_a: id === 400 ? ' '.repeat(64 * 1024) : ' ',
      string_b: [String(id + 1), 0],
    },
  });
  return Object.fromEntries(Array.from({ length: nodes }, (_, id) => [String(id), node(id)]));
}

function drawnCircle(nodes: number): Record<string, unknown> {
  const node = (id: number) => ({
    ...{ id, type: id % 3 === 0 ? 'Reroute' : 'KSampler', widgets_values: [1, 'fixed', 2, 3, 'euler', 'normal', 1] },
    inputs: ['positive', 'negative', 'latent_image'].map((name) => ({ name, link: id })),
  });
  const ids = Array.from({ length: nodes }, (_, id) => id);
  return { nodes: ids.map(node), links: ids.map((id) => [id, (id + 1) % nodes, 0, id, 0, 'X']) };
}

/** Each uses the next ten times, and the last the first. */
function subgraphs(count: number): Record<string, unknown> {
  const level = (at: number) => ({
    id: String(at),
    nodes: Array.from({ length: 10 }, (_, id) => ({
      id,
      type: String((at + 1) % count),
      inputs: [{ name: 'a', link: 1 }],
    })),
    links: Array.from({ length: 100 }, (_, id) => [id, -10, 0, -20, 0, 'X']),
  });
  return { ...level(0), definitions: { subgraphs: Array.from({ length: count }, (_, at) => level(at)) } };
}

function switchCircle(nodes: number): Record<string, unknown> {
  const node = (id: number) => {
    const next = [String((id + 1) % nodes), 0];
    return {
      class_type: 'Switch any KSampler',
      inputs: { select: 1, input1: next, positive: next, latent_image: next },
    };
  };
  return Object.fromEntries(Array.from({ length: nodes }, (_, id) => [String(id), node(id)]));
}

function keys(count: number): string {
  return `{${Array.from({ length: count }, (_, id) => `"${id.toString(36)}":1`).join(',')}}`;
}

function withTexts(texts: [keyword: string, text: string][]): Buffer {
  return withChunks(texts.map(([keyword, text]) => zText(keyword, Buffer.from(text))));
}

function withText(keyword: string, text: string): Buffer {
  return withChunks([pngChunk('tEXt', Buffer.from(`${keyword}\0${text}`))]);
}

export function zText(keyword: string, text: Buffer): Buffer {
  return pngChunk('zTXt', Buffer.concat([Buffer.from(`${keyword}\0\0`), deflateSync(text)]));
}

export function withChunks(chunks: Buffer[]): Buffer {
  const png = pngOf(SIZE);
  return Buffer.concat([png.subarray(0, 33), ...chunks, png.subarray(33)]);
}

function webp(...chunks: Buffer[]): Buffer {
  return riff(riffChunk('VP8L', vp8l(SIZE)), ...chunks);
}

function jpegWith(segments: Buffer[]): Buffer {
  const jpeg = jpegOf(SIZE);
  return Buffer.concat([jpeg.subarray(0, 2), ...segments, jpeg.subarray(2)]);
}

function inGif(pieces: Buffer): Buffer {
  const gif = gifOf(SIZE);
  return Buffer.concat([gif.subarray(0, 19), Buffer.from([0x21, 0xfe]), pieces, Buffer.from([0]), gif.subarray(19)]);
}

/** An EXIF with this UserComment. */
function commentOf(comment: Buffer): Buffer {
  const entry = Buffer.concat([uint16(0x9286), uint16(7), uint32(comment.length), uint32(26)]);
  return Buffer.concat([Buffer.from('MM\0\x2a\0\0\0\x08', 'latin1'), uint16(1), entry, uint32(0), comment]);
}

function sharedExif(): Buffer {
  const entries = 65_000;
  const valueAt = 8 + 2 + entries * 12;
  const lengthBytes = MIB;
  const entry = Buffer.concat([uint16(0x010e), uint16(2), uint32(lengthBytes), uint32(valueAt)]);
  const directory = Buffer.alloc(entries * 12, entry);
  return Buffer.concat([
    Buffer.from('MM\0\x2a\0\0\0\x08', 'latin1'),
    uint16(entries),
    directory,
    Buffer.alloc(lengthBytes, 'x'),
  ]);
}

function avifInPieces(): Buffer {
  const ftyp = avifOf(SIZE).subarray(0, 28);
  const items = fullBox('iinf', uint16(1), box('infe', Buffer.from('\x02\0\0\0\0\x01\0\0Exif\0', 'latin1')));
  const piece = Buffer.concat([uint32(0), uint32(20)]);
  const iloc = fullBox(
    'iloc',
    Buffer.from([0x44, 0]),
    uint16(1),
    uint16(1),
    uint16(0),
    uint16(60_000),
    Buffer.alloc(60_000 * 8, piece),
  );
  return Buffer.concat([ftyp, fullBox('meta', items, iloc, ilocOf([]))]);
}
