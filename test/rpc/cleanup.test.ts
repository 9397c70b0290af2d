/** Cleanup between clients and daemons whose clocks differ, of this version and of those that know no age. */
import { readFile } from 'node:fs/promises';
import { create, createFileRegistry, fromBinary, type MessageInitShape, toBinary } from '@bufbuild/protobuf';
import { FileDescriptorSetSchema } from '@bufbuild/protobuf/wkt';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { CleanupRequestSchema } from '../../gen/imagestorage/v1/image_storage_pb.ts';
import { all, outcomeOf, saveAt, storageAt } from '../support/grpc.ts';
import { pngOf } from '../support/images.ts';
import { type RunningDaemon, runDaemon } from '../support/running-daemon.ts';

const PNG = pngOf({ width: 4, height: 4 });
const MINUTE = 60;
const DAY = 24 * 60 * MINUTE;
const TEN_YEARS = 3650 * DAY;
const MONTH = { seconds: BigInt(30 * DAY) };

let daemon: RunningDaemon;
let storage: ReturnType<typeof storageAt>;

beforeEach(async () => {
  daemon = await runDaemon();
  storage = storageAt(daemon.address);
  for (const daysOld of [1, 29, 31]) await saveAged(daysOld);
});
afterEach(() => daemon.close());

/** An instant so many seconds after now; a client whose clock is ahead by them takes it for its own now. */
const ahead = (seconds: number) => ({ seconds: BigInt(Math.floor(Date.now() / 1000) + seconds) });
const saveAged = (days: number) => saveAt(daemon.address, PNG, { metadata: { timestamp: ahead(-days * DAY) } });
const count = async () => (await all(storage.list({}))).flatMap(({ images }) => images).length;

it('a client that knows no age and is ten years ahead deletes nothing', async () => {
  const olderThan = ahead(TEN_YEARS - 30 * DAY);
  expect(await outcomeOf(storage.cleanup({ olderThan }))).toBe('InvalidArgument FIELD_INVALID older_than');
  expect(await count()).toBe(3);
});

it('a client that knows no age has its date, which is read as now when it is a little later', async () => {
  expect(await storage.cleanup({ olderThan: ahead(-30 * DAY) })).toMatchObject({ deletedCount: 1n });
  await saveAged(-1);
  const answer = await storage.cleanup({ olderThan: ahead(4 * MINUTE) });
  expect(answer).toMatchObject({ deletedCount: 2n, keptFuture: 1n });
  expect(await count()).toBe(1);
});

it.each([
  ['is ten years ahead', ahead(TEN_YEARS)],
  ['is ten years behind', ahead(-TEN_YEARS)],
  ['began in 1970', { seconds: -1n }],
])('an age counts by the clock of the daemon, also when that of its client %s', async (_, olderThan) => {
  expect(await storage.cleanup({ olderThan, olderThanAge: MONTH })).toMatchObject({ deletedCount: 1n });
  expect(await count()).toBe(2);
});

it('an age is a criterion of its own', async () => {
  expect(await storage.cleanup({ olderThanAge: MONTH, dryRun: true })).toMatchObject({ deletedCount: 1n });
  expect(await storage.cleanup({ olderThanAge: {} })).toMatchObject({ deletedCount: 3n });
});

it.each([{ seconds: -1n }, { nanos: -1 }, { seconds: 1n, nanos: 1_000_000_000 }, { seconds: 315_576_000_001n }])(
  'the age %o is refused',
  async (olderThanAge) => {
    expect(await outcomeOf(storage.cleanup({ olderThanAge }))).toBe('InvalidArgument FIELD_INVALID older_than_age');
    expect(await count()).toBe(3);
  },
);

it('a selection goes by its plan, which a daemon of this version gives for any dry run', async () => {
  const selection = { dateRange: { end: ahead(-20 * DAY) } };
  const { plan, ...planned } = await storage.cleanup({ selection, dryRun: true });
  expect(planned).toMatchObject({ deletedCount: 2n, keptChanged: 0n, reasons: [{ text: 'selected', count: 2n }] });
  await saveAged(25);
  const done = await storage.cleanup({ selection: { ...selection, plan } });
  expect(done).toMatchObject({ deletedCount: 2n, keptChanged: 1n, plan: new Uint8Array() });
  expect(await count()).toBe(2);
  const byAge = { dryRun: true, olderThanAge: { seconds: BigInt(20 * DAY) } };
  const old = await storage.cleanup({ ...byAge, olderThan: ahead(-20 * DAY) });
  const { olderThanAge } = byAge;
  expect(await storage.cleanup({ selection: { olderThanAge, plan: old.plan } })).toMatchObject({ deletedCount: 1n });
});

it('a selection that says nothing, or too much, is refused by its field', async () => {
  const cases: [MessageInitShape<typeof CleanupRequestSchema>, string][] = [
    [{ selection: {} }, 'CLEANUP_WITHOUT_CRITERION'],
    [{ selection: { except: ['a.png'] } }, 'CLEANUP_WITHOUT_CRITERION'],
    [{ selection: { only: Array<string>(1001).fill('a') } }, 'FIELD_INVALID selection.only'],
    [{ selection: { query: 'a', except: Array<string>(1001).fill('a') } }, 'FIELD_INVALID selection.except'],
    [{ selection: { query: 'a', plan: Buffer.from('x') } }, 'FIELD_INVALID selection.plan'],
    [{ selection: { olderThanAge: { seconds: -1n } } }, 'FIELD_INVALID selection.older_than_age'],
    [{ selection: { olderThan: ahead(TEN_YEARS) } }, 'FIELD_INVALID selection.older_than'],
    [{ selection: { dateRange: { end: { seconds: -1n } } } }, 'FIELD_INVALID selection.date_range.end'],
    [{ selection: { tags: [''] } }, 'FIELD_INVALID selection.tags'],
    [{ selection: { query: 'a' }, keepCount: 0 }, 'FIELD_INVALID keep_count'],
    [{ selection: { query: 'a' }, keepBytes: 0n }, 'FIELD_INVALID keep_bytes'],
    [{ selection: { query: 'a' }, olderThan: {} }, 'FIELD_INVALID older_than'],
    [{ selection: { query: 'a' }, olderThanAge: {} }, 'FIELD_INVALID older_than'],
    [{ selection: { query: 'a' }, model: 'm' }, 'FIELD_INVALID model'],
    [{ selection: { query: 'a' }, category: 'c' }, 'FIELD_INVALID category'],
  ];
  for (const [request, refusal] of cases)
    for (const provider of ['', '*'])
      expect(await outcomeOf(storage.cleanup({ ...request, provider }))).toBe(`InvalidArgument ${refusal}`);
  expect(await count()).toBe(3);
});

it('what a daemon of before selections sees of one has no criterion, and deletes nothing', async () => {
  const older = createFileRegistry(fromBinary(FileDescriptorSetSchema, await readFile('proto/baseline.binpb')));
  const schema = older.getMessage('imagestorage.v1.CleanupRequest')!;
  expect(schema.fields.map(({ name }) => name)).not.toContain('selection');
  const selection = { query: 'fox', only: ['a.png'], keepCount: 0, olderThan: ahead(0), plan: Buffer.from('plan') };
  const sent = toBinary(CleanupRequestSchema, create(CleanupRequestSchema, { selection, maxDeletes: 100 }));
  const seen = toBinary(schema, fromBinary(schema, sent, { readUnknownFields: false }));
  const request = fromBinary(CleanupRequestSchema, seen);
  expect(await outcomeOf(storage.cleanup(request))).toBe('InvalidArgument CLEANUP_WITHOUT_CRITERION');
  expect(await count()).toBe(3);
});
