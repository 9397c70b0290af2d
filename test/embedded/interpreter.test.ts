/** Where metadata is read: what is small in the caller's thread, what is large in one of its own. */
import type { Worker } from 'node:worker_threads';
import { expect, it } from 'vitest';
import { readEmbeddedMetadata } from '../../src/storage/embedded/metadata.ts';
import { readerOf } from '../../src/storage/embedded/read-at.ts';
import { exifOf, imageWith } from '../support/exif.ts';
import { pngOf } from '../support/images.ts';

const SIZE = { width: 8, height: 8 };

it('reads small metadata here, and all that is large in one thread, which is replaced when it dies', async () => {
  const threads: Worker[] = [];
  process.on('worker', (thread) => threads.push(thread));
  expect(await read(withNote(10))).toMatchObject({ prompt: 'an owl', model: 'base' });
  expect(threads).toHaveLength(0);

  const found = await Promise.all([withNote(100_000), withNote(200_000), withNote(300_000)].map(read));
  expect(found).toEqual(found.map(() => expect.objectContaining({ prompt: 'an owl', model: 'base' })));
  expect(found.map(({ parametersJson }) => JSON.parse(parametersJson!).seed)).toEqual([7, 7, 7]);
  expect(threads).toHaveLength(1);

  await threads[0]!.terminate();
  expect(await read(withNote(100_000))).toMatchObject({ prompt: 'an owl' });
  expect(threads).toHaveLength(2);
});

it('reads large EXIF there, and the date with it', async () => {
  const comment = Buffer.from(`ASCII\0\0\0an owl\nSteps: 20, Seed: 7, Note: "${'x'.repeat(40_000)}"`);
  const image = await imageWith('jpeg', { exif: exifOf({ comment, original: '2024:09:27 14:15:22' }) });
  const found = await read(image);
  expect(found).toMatchObject({ prompt: 'an owl', timestamp: new Date('2024-09-27T14:15:22Z') });
});

it('takes turns where many files are large', async () => {
  const large = withNote(1_000_000);
  let [open, most] = [0, 0];
  const readAt = async (position: number, lengthBytes: number) => {
    open += lengthBytes > 500_000 ? 1 : 0;
    most = Math.max(most, open);
    await new Promise(setImmediate);
    return readerOf(large)(position, lengthBytes);
  };
  const found = await Promise.all(
    Array.from({ length: 5 }, async () => {
      const { prompt } = await readEmbeddedMetadata(readAt);
      open -= 1;
      return prompt;
    }),
  );
  expect(found).toEqual(Array(5).fill('an owl'));
  expect(most).toBe(1);
});

function read(bytes: Buffer) {
  return readEmbeddedMetadata(readerOf(bytes));
}

/** A graph with a note of so many characters. */
function withNote(chars: number): Buffer {
  const graph = {
    '1': { class_type: 'CheckpointLoaderSimple', inputs: { ckpt_name: 'base.ckpt' } },
    '2': { class_type: 'CLIPTextEncode', inputs: { text: 'an owl', clip: ['1', 1] } },
    '3': { class_type: 'KSampler', inputs: { seed: 7, model: ['1', 0], positive: ['2', 0] } },
    '4': { class_type: 'Note', inputs: { text: 'x'.repeat(chars) } },
    '5': { class_type: 'SaveImage', inputs: { images: ['3', 0] } },
  };
  return pngOf({ ...SIZE, text: { prompt: JSON.stringify(graph) } });
}
