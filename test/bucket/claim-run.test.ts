/** Which of several daemons with a bucket runs a policy. */
import { beforeEach, expect, it } from 'vitest';
import { claimRun } from '../../src/storage/bucket/claim-run.ts';
import { type ObjectStore, ObjectStoreError } from '../../src/storage/bucket/object-store.ts';
import { type MemoryBucket, memoryObjects } from '../../src/storage/providers/memory-storage.ts';
import { contextOf } from '../support/bucket.ts';

const HOUR = 3_600_000;
const KEY = 'outputs/metadata/retention/drafts.json';

let bucket: MemoryBucket;
let now: number;
let objects: ObjectStore;

beforeEach(() => {
  bucket = new Map();
  now = Date.UTC(2026, 10, 30, 12);
  objects = memoryObjects(bucket);
});

const claim = (through = objects) =>
  claimRun({ objects: through, context: contextOf({ now: () => now }) }, 'drafts', HOUR);

it('one of those that ask runs it, until its time has passed', async () => {
  expect((await Promise.all([claim(), claim(), claim()])).filter(Boolean)).toHaveLength(1);
  now += HOUR - 1;
  expect(await claim()).toBe(false);
  now += 1;
  expect((await Promise.all([claim(), claim(), claim()])).filter(Boolean)).toHaveLength(1);
  expect(JSON.parse(bucket.get(KEY)!.bytes.toString())).toEqual({ lastRun: '2026-11-30T13:00:00.000Z' });
});

it.each([
  ['a run under a clock that was years ahead', '{"lastRun":"2099-01-01T00:00:00.000Z"}'],
  ['a time that is none', '{"lastRun":"soon"}'],
  ['no JSON', '{'],
])('what the bucket notes keeps nobody from it for ever: %s', async (_, text) => {
  const bytes = Buffer.from(text);
  await objects.putNew(
    KEY,
    { size: bytes.length, sha256: '', open: () => [bytes] },
    { contentType: 'application/json' },
  );
  expect(await claim()).toBe(true);
  expect(await claim()).toBe(false);
});

it('a lost answer skips a run, and another failure is told', async () => {
  const failing = (error: Error): ObjectStore => ({ ...objects, putNew: () => Promise.reject(error) });
  expect(await claim(failing(new ObjectStoreError('unavailable', 'lost', { maybeApplied: true })))).toBe(false);
  const refused = new ObjectStoreError('auth', 'refused');
  await expect(claim(failing(refused))).rejects.toBe(refused);
});
