/** How little is read and done for the metadata of an image, whatever it holds, and what is left unread beyond the bounds. */
import { describe, expect, it } from 'vitest';
import { describe as describeGraph } from '../../src/storage/embedded/comfyui.ts';
import { Graph } from '../../src/storage/embedded/comfyui-graph.ts';
import { parseExif } from '../../src/storage/embedded/exif.ts';
import { asFields } from '../../src/storage/embedded/fields.ts';
import { parseJson } from '../../src/storage/embedded/json.ts';
import { type EmbeddedMetadata, readEmbeddedMetadata } from '../../src/storage/embedded/metadata.ts';
import { type ReadAt, readerOf } from '../../src/storage/embedded/read-at.ts';
import { exifOf, imageWith } from '../support/exif.ts';
import { denseGraph, hostileImages, samplerChain, textChain, withChunks, zText } from '../support/hostile-metadata.ts';
import { jpegSegment, noise, pngChunk, pngOf, uint16, uint32 } from '../support/images.ts';
import { full } from '../support/scale.ts';

const SIZE = { width: 8, height: 8 };
const MIB = 1024 * 1024;
const hostile = hostileImages();

it.each(hostile)('of $name only so much is read', async ({ bytes }) => {
  const { reads, bytesRead } = await read(bytes);
  expect(reads).toBeLessThan(200);
  expect(bytesRead).toBeLessThan(bytes.length + 2 * MIB);
});

it.each(hostile.filter(({ bytes }) => bytes.length < 40 * 1024))('$name costs at most 50 ms', async ({ bytes }) => {
  const costsMs: number[] = [];
  for (let run = 0; run < 3; run += 1) {
    const before = process.cpuUsage();
    await read(bytes);
    const { user, system } = process.cpuUsage(before);
    costsMs.push((user + system) / 1000);
  }
  expect(Math.min(...costsMs)).toBeLessThan(50);
});

describe('reads no more than it needs', () => {
  it('of a PNG whose text precedes large pixels', async () => {
    const text = pngChunk('tEXt', Buffer.from('parameters\0a fox'));
    const workflow = pngChunk('iTXt', Buffer.concat([Buffer.from('workflow\0\0\0\0\0'), noise(MIB, 1)]));
    const { found, bytesRead } = await read(withChunks([text, workflow, pngChunk('IDAT', noise(8 * MIB, 1))]));
    expect(found).toEqual({ prompt: 'a fox' });
    expect(bytesRead).toBeLessThan(64 * 1024);
  });

  it('of a JPEG', async () => {
    const image = await imageWith('jpeg', { exif: exifOf({ comment: Buffer.from('ASCII\0\0\0a fox') }) });
    const large = Buffer.concat([image.subarray(0, -2), Buffer.alloc(8 * MIB, 1), image.subarray(-2)]);
    const { found, bytesRead } = await read(large);
    expect(found).toEqual({ prompt: 'a fox' });
    expect(bytesRead).toBeLessThan(64 * 1024);
  });

  it('of a PNG whose text follows the pixels all the same', async () => {
    const png = pngOf({ ...SIZE, sizeBytes: 100_000 });
    const behind = pngChunk('tEXt', Buffer.from('parameters\0a fox'));
    const { found } = await read(Buffer.concat([png.subarray(0, -12), behind, png.subarray(-12)]));
    expect(found).toEqual({ prompt: 'a fox' });
  });
});

describe('leaves unread', () => {
  const spaces = (sizeBytes: number) => Buffer.alloc(sizeBytes, ' ');

  it('a compressed text that inflates to too much, and those behind it', async () => {
    const fox = zText('parameters', Buffer.from('a fox'));
    expect((await read(withChunks([zText('Comment', spaces(MIB)), fox]))).found).toEqual({ prompt: 'a fox' });
    expect((await read(withChunks([zText('Comment', spaces(3 * MIB)), fox]))).found).toEqual({});
    const many = ['Comment', 'Source', 'Description'].map((keyword) => zText(keyword, spaces(MIB)));
    expect((await read(withChunks([...many, fox]))).found).toEqual({});
  });

  it('JSON of more values than any generator writes', async () => {
    const settings = (values: number) =>
      `{"prompt":"a fox","seeds":[${Array(values - 3)
        .fill('1')
        .join(',')}]}`;
    const parameters = (values: number) => withChunks([zText('parameters', Buffer.from(settings(values)))]);
    expect((await read(parameters(30_000))).found).toMatchObject({ prompt: 'a fox' });
    expect((await read(parameters(30_001))).found.parametersJson).toBeUndefined();
  });

  it('a graph that is too large, but not what stands beside it', async () => {
    const graph = JSON.stringify({ '1': { class_type: 'Note', inputs: { numbers: Array(40_000).fill(1) } } });
    const { found } = await read(
      withChunks([
        zText('prompt', Buffer.from(graph)),
        zText('parameters', Buffer.from('{"prompt":"a fox","seed":7}')),
      ]),
    );
    expect(found).toEqual({ prompt: 'a fox', parametersJson: '{"seed":7}' });
  });

  it('a text that no save accepts, and a line of settings that is too long', async () => {
    const parameters = (text: string) => read(withChunks([zText('parameters', Buffer.from(text))]));
    expect((await parameters(`a fox\nSteps: 20, X: ${'y'.repeat(10_000)}`)).found.prompt).toBe('a fox');
    expect((await parameters(`a fox\nSteps: 20, X: ${'y'.repeat(100_000)}`)).found).toEqual({});
    expect((await parameters('a fox\n'.repeat(100_000))).found).toEqual({});
  });
});

describe('the work for a graph', () => {
  function stepsOf(nodes: Record<string, unknown>): number {
    const steps = parseJson(JSON.stringify(nodes), { values: Infinity });
    let step = steps.next();
    while (!step.done) step = steps.next();
    const graph = new Graph(asFields(step.value.value));
    describeGraph(graph);
    return graph.steps;
  }

  it.each([
    ['samplers in a chain', samplerChain],
    ['texts in a chain', textChain],
  ])('of %s grows as the graph does', (_name, graphOf) => {
    expect(stepsOf(graphOf(200))).toBeGreaterThan(200);
    expect(stepsOf(graphOf(400))).toBeLessThan(2.2 * stepsOf(graphOf(200)));
  });

  it.runIf(full)('of any graph is bounded', () => {
    // Each link costs a step; nothing is done behind the last.
    expect(stepsOf(denseGraph(1000))).toBeLessThan(400_000);
  });

  it('finds all of a graph of a thousand nodes', async () => {
    const loras = Object.fromEntries(
      Array.from({ length: 280 }, (_, id) => [
        `lora${id}`,
        { class_type: 'LoraLoader', inputs: { lora_name: 'x', model: [id === 279 ? 'loader' : `lora${id + 1}`, 0] } },
      ]),
    );
    const notes = Object.fromEntries(
      Array.from({ length: 720 }, (_, id) => [`note${id}`, { class_type: 'Note', inputs: { text: 'n', seed: id } }]),
    );
    const graph = {
      ...notes,
      ...loras,
      loader: { class_type: 'CheckpointLoaderSimple', inputs: { ckpt_name: 'base.safetensors' } },
      text: { class_type: 'CLIPTextEncode', inputs: { text: 'a fox', clip: ['lora0', 1] } },
      sampler: { class_type: 'KSampler', inputs: { seed: 7, model: ['lora0', 0], positive: ['text', 0] } },
      save: { class_type: 'SaveImage', inputs: { images: ['sampler', 0] } },
    };
    const { found } = await read(pngOf({ ...SIZE, text: { prompt: JSON.stringify(graph) } }));
    expect(found).toMatchObject({ prompt: 'a fox', model: 'base' });
    expect(JSON.parse(found.parametersJson!)).toMatchObject({ seed: 7 });
  });
});

it('EXIF whose entries share one value is read up to a bound', () => {
  const entries = 60_000;
  const entry = Buffer.concat([uint16(0x010e), uint16(2), uint32(MIB), uint32(10)]);
  const directory = Array.from({ length: entries }, (_, at) => Buffer.concat([uint16(at + 1), entry.subarray(2)]));
  const tiff = Buffer.concat([Buffer.from('MM\0\x2a\0\0\0\x08', 'latin1'), uint16(entries), ...directory]);
  const { texts } = parseExif(tiff);
  expect([...texts.values()].reduce((sum, text) => sum + text.length, 0)).toBeLessThan(5 * MIB);
});

it('of many segments of a JPEG a few are read', async () => {
  const image = await imageWith('jpeg', {});
  const empty = Array<Buffer>(5000).fill(jpegSegment(0xe1, Buffer.alloc(20_000)));
  const { reads } = await read(Buffer.concat([image.subarray(0, 2), ...empty, image.subarray(2)]));
  expect(reads).toBeLessThan(200);
});

async function read(bytes: Buffer): Promise<{ found: EmbeddedMetadata; reads: number; bytesRead: number }> {
  const work = { reads: 0, bytesRead: 0 };
  const readAt: ReadAt = async (position, lengthBytes) => {
    const piece = await readerOf(bytes)(position, lengthBytes);
    work.reads += 1;
    work.bytesRead += piece.length;
    return piece;
  };
  return { found: await readEmbeddedMetadata(readAt), ...work };
}
