/** How many streams an HTTP/2 connection opens with its first bytes. */
import { expect, it } from 'vitest';
import { streamsOpenedIn } from '../../src/http/first-frames.ts';
import { dataFrame, headersFrame, PREFACE, resetFrame } from '../attack/frames.ts';

const PATH = '/imagestorage.v1.ImageStorage/Stats';
const call = (stream: number) => Buffer.concat([headersFrame(stream, PATH), dataFrame(stream, Buffer.alloc(2_000))]);
const three = Buffer.concat([PREFACE, call(1), resetFrame(1), call(3), call(5)]);

it.each([
  ['a preface', PREFACE, 0],
  ['a part of one', PREFACE.subarray(0, 10), 0],
  ['three calls', three, 3],
  ['of which the last is cut in its headers', three.subarray(0, three.length - call(5).length + 20), 3],
  ['in the header of its frame', three.subarray(0, three.length - call(5).length + 5), 2],
  ['headers behind a body', Buffer.concat([PREFACE, call(1), headersFrame(1, PATH), call(3)]), 2],
])('%s', (_, first, opened) => {
  expect(streamsOpenedIn(first)).toBe(opened);
});
