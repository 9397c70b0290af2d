/** What is found in files that tell nothing. */
import { expect, it } from 'vitest';
import { readEmbeddedMetadata } from '../../src/storage/embedded/metadata.ts';
import { readerOf } from '../../src/storage/embedded/read-at.ts';
import { noise, pngOf, webpOf } from '../support/images.ts';

const SIZE = { width: 8, height: 8 };

it.each([
  ['no bytes', Buffer.alloc(0)],
  ['noise', noise(1000, 1)],
  ['another type', webpOf(SIZE)],
  ['a PNG without text', pngOf(SIZE)],
  ['a PNG cut inside its text', pngOf({ ...SIZE, text: { parameters: 'a fox' } }).subarray(0, 50)],
  ['JSON that is no graph', pngOf({ ...SIZE, text: { prompt: '{"a":[1,null]}' } })],
  ['broken JSON', pngOf({ ...SIZE, text: { prompt: '{"1":{"class_type":"KSampler","inputs":{' } })],
  ['JSON as deep as it is long', pngOf({ ...SIZE, text: { prompt: '['.repeat(1_000_000) } })],
  ['a graph too deep for a save', pngOf({ ...SIZE, text: { prompt: deepGraph(100) } })],
  ['a prompt that no save takes', pngOf({ ...SIZE, text: { parameters: 'fox '.repeat(20_000) } })],
])('finds nothing in %s', async (_name, bytes) => {
  expect(await read(bytes)).toEqual({});
});

function deepGraph(levels: number): string {
  const value = `${'['.repeat(levels)}${']'.repeat(levels)}`;
  return `{"1":{"class_type":"Note","inputs":{"text":${value}}}}`;
}

function read(bytes: Uint8Array) {
  return readEmbeddedMetadata(readerOf(bytes));
}
