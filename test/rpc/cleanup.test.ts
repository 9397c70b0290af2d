/** Cleanup between clients and daemons whose clocks differ, of this version and of those that know no age. */
import { afterEach, beforeEach, expect, it } from 'vitest';
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
