/** Objects that are overwritten, or whose connections break, while they are read: what is given is one object, and whole. */
import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import { expect, it } from 'vitest';
import type { ObjectStore } from '../../src/storage/bucket/object-store.ts';
import { readRange, readSmall } from '../../src/storage/bucket/reading.ts';
import { memoryObjects } from '../../src/storage/providers/memory-storage.ts';

const KEY = 'outputs/metadata/x.json';
const md5 = (text: string) => createHash('md5').update(text).digest('hex');

/** Gives these answers in turn, then the last one for ever. */
function answering(...answers: { text: string; etag: string }[]): ObjectStore & { gets: number } {
  const store = {
    ...memoryObjects(new Map()),
    gets: 0,
    async get() {
      const { text, etag } = answers[Math.min(store.gets++, answers.length - 1)]!;
      return { etag, size: text.length, metadata: {}, body: Readable.from([Buffer.from(text)]) };
    },
  };
  return store;
}

it('reads again while the bytes are those of before and the ETag that of after', async () => {
  const torn = { text: 'before', etag: md5('after') };
  const found = await readSmall(answering(torn, torn, { text: 'after', etag: md5('after') }), KEY);
  expect(String(found?.bytes)).toBe('after');
});

it('believes a store whose ETags are something else, and does not ask it again', async () => {
  const store = answering({ text: 'encrypted', etag: md5('something else') });
  expect(String((await readSmall(store, KEY))?.bytes)).toBe('encrypted');
  const before = store.gets;
  await readSmall(store, KEY);
  expect(store.gets).toBe(before + 1);
});

it('reads on as long as each connection brings something before it breaks', async () => {
  const bytes = Buffer.from('a caller who makes long pauses');
  const body = async function* (part: Buffer) {
    yield part;
    throw new Error('the connection was idle for too long');
  };
  const get: ObjectStore['get'] = async (_, { offset } = { offset: 0, length: 0 }) => {
    const stream = Readable.from(body(bytes.subarray(offset, offset + 1)));
    return { etag: 'e', size: bytes.length, metadata: {}, body: stream };
  };
  const read: Uint8Array[] = [];
  const store = { ...memoryObjects(new Map()), get };
  for await (const part of readRange(store, KEY, { offset: 0, length: bytes.length }, () => {})) read.push(part);
  expect(Buffer.concat(read).equals(bytes)).toBe(true);
});
