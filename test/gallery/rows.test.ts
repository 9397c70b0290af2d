/** Rows stand where they stand among all that match, wherever somebody looks first. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Page, Row } from '../../web/src/api/images.ts';
import { countToTheEnd } from '../../web/src/state/counting.ts';
import { createLayout, DAY_MS, dayAt, dayNameOf, monthsOf } from '../../web/src/state/layout.ts';
import { boundsOf, Rows, type RunAsked } from '../../web/src/state/rows.ts';
import type { Bounds } from '../../web/src/state/url.ts';

const FIRST_DAY = Date.UTC(2026, 0, 1);

function rowOf(timestamp: number, number: number): Row {
  const filename = `${timestamp}_${number}`;
  return { id: `local/${filename}`, filename, timestamp } as Row;
}

/** Newest first. */
function imagesOf(counts: readonly number[]): Row[] {
  return counts
    .flatMap((count, day) => Array.from({ length: count }, (_, at) => rowOf(FIRST_DAY + day * DAY_MS + at * 1000, at)))
    .reverse();
}

function layoutOf(images: readonly Row[]) {
  const counts = Map.groupBy(images, ({ timestamp }) => dayNameOf(timestamp));
  return createLayout([...counts].map(([name, { length: count }]) => ({ name, count })));
}

/** As the daemon does, over these images; they may change meanwhile. */
function openRows(images: () => readonly Row[], layout = layoutOf(images())) {
  const asked: RunAsked[] = [];
  const errors: unknown[] = [];
  const answer = (run: RunAsked): Page => {
    asked.push(run);
    const { start = -Infinity, end = Infinity } = boundsOf(run, false);
    const matching = images().filter(({ timestamp }) => timestamp >= start && timestamp < end);
    const inOrder = run.isBackward ? matching.toReversed() : matching;
    const from = run.pageToken === '' ? 0 : inOrder.findIndex(({ id }) => id === run.pageToken) + 1;
    const rows = inOrder.slice(from, from + run.limit);
    const isEnd = from + run.limit >= inOrder.length;
    return { rows, nextPageToken: isEnd ? '' : rows.at(-1)!.id };
  };
  const rows = new Rows({
    layout,
    fetchPage: async (run) => answer(run),
    onRows: () => undefined,
    onError: (error) => errors.push(error),
  });
  return { rows, asked, errors };
}

/** Until nothing is asked for any more. */
async function settled(asked: readonly unknown[]): Promise<void> {
  for (let before = -1; before !== asked.length; ) {
    before = asked.length;
    await new Promise(setImmediate);
  }
}

describe('rows', () => {
  it('are those of their places, in whatever order these are looked at', async () => {
    const counts = fc.array(fc.oneof(fc.nat(5), fc.integer({ min: 200, max: 900 })), { minLength: 1, maxLength: 12 });
    const looks = fc.array(fc.record({ at: fc.nat(100), length: fc.integer({ min: 1, max: 300 }) }), { maxLength: 8 });
    await fc.assert(
      fc.asyncProperty(counts, looks, async (counts, looks) => {
        const images = imagesOf(counts);
        const { rows, asked, errors } = openRows(() => images);
        for (const { at, length } of looks) {
          const first = Math.floor((images.length * at) / 101);
          rows.want(first, first + length);
          await settled(asked);
          const last = Math.min(images.length - 1, first + length);
          for (let index = first; index <= last; index += 1) expect(rows.at(index)?.id).toBe(images[index]!.id);
        }
        expect(errors).toEqual([]);
      }),
      { numRuns: 60 },
    );
  });

  it('in the middle of 50,000 are reached by one request, in the middle of a long day by a few', async () => {
    const many = imagesOf(Array.from({ length: 500 }, () => 100));
    const spread = openRows(() => many);
    spread.rows.want(30_000, 30_100);
    await settled(spread.asked);
    expect(spread.rows.at(30_050)?.id).toBe(many[30_050]!.id);
    expect(spread.asked.length).toBe(1);

    const day = imagesOf([10_000]);
    const long = openRows(() => day);
    long.rows.want(7000, 7100);
    await settled(long.asked);
    expect(long.rows.at(7050)?.id).toBe(day[7050]!.id);
    expect(long.asked.every(({ isBackward }) => isBackward)).toBe(true);
    expect(long.asked.length).toBeLessThanOrEqual(4);
  });

  it('of other days keep their places when something is saved or deleted meanwhile', async () => {
    const before = imagesOf([40, 40, 40, 40]);
    const deleted = before.filter((_, at) => at !== 45 && at !== 46);
    const saved = rowOf(FIRST_DAY + 2 * DAY_MS + 60_500, 99);
    let now = [...deleted.slice(0, 60), saved, ...deleted.slice(60)].sort((a, b) => b.timestamp - a.timestamp);
    const { rows, asked } = openRows(() => now, layoutOf(before));
    rows.want(0, 159);
    await settled(asked);
    expect(rows.at(10)?.id).toBe(before[10]!.id);
    expect(rows.at(100)?.id).toBe(before[100]!.id);
    expect(rows.at(159)?.id).toBe(before[159]!.id);

    now = [];
    const gone = openRows(() => now, layoutOf(before));
    gone.rows.want(0, 159);
    await settled(gone.asked);
    expect(gone.rows.at(0)).toBeUndefined();
    expect(gone.asked.length).toBeLessThan(10);
  });

  it('that nobody looks at any more are not waited for', async () => {
    const images = imagesOf(Array.from({ length: 50 }, () => 400));
    const signals: AbortSignal[] = [];
    const rows = new Rows({
      layout: layoutOf(images),
      fetchPage: (_run, signal) => {
        signals.push(signal);
        return new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
      },
      onRows: () => undefined,
      onError: () => expect.unreachable(),
    });
    rows.want(0, 100);
    rows.want(15_000, 15_100);
    await new Promise(setImmediate);
    expect(signals.map(({ aborted }) => aborted)).toEqual([true, false]);
  });
});

describe('days', () => {
  /** Counts the newest of what is within the bounds, at most so many. */
  const countUpTo =
    (images: readonly Row[], most: number) =>
    async ({ end = Infinity }: Bounds) => {
      const within = images.filter(({ timestamp }) => timestamp < end);
      const counted = within.slice(0, most);
      const groups = layoutOf(counted).days.map(({ name, count }) => ({ name, count, bytes: count, isRest: false }));
      const [newest = 0, oldest = 0] = [counted[0]?.timestamp, counted.at(-1)?.timestamp];
      const isPartial = counted.length < within.length;
      return { matching: counted.length, newest, oldest, all: 0, providers: [], groups, isPartial };
    };

  it('are counted to the end, however few are counted at once', async () => {
    const counts = fc.array(fc.nat(30), { minLength: 1, maxLength: 12 });
    await fc.assert(
      fc.asyncProperty(counts, fc.integer({ min: 1, max: 50 }), async (counts, most) => {
        const images = imagesOf(counts);
        const count = countUpTo(images, most);
        const whole = await countToTheEnd(await count({}), count);
        expect(whole.groups.map(({ name, count }) => [name, count])).toEqual(
          layoutOf(images).days.map(({ name, count }) => [name, count]),
        );
        expect([whole.matching, whole.isPartial]).toEqual([images.length, false]);
      }),
    );
  });

  it('that come to the end later have their rows', async () => {
    const images = imagesOf(Array.from({ length: 20 }, () => 30));
    const { rows, asked } = openRows(() => images, layoutOf(images.slice(0, 300)));
    rows.want(200, 400);
    await settled(asked);
    rows.grow(layoutOf(images));
    rows.want(200, 599);
    await settled(asked);
    for (let index = 200; index < 600; index += 1) expect(rows.at(index)?.id).toBe(images[index]!.id);
  });
});

describe('a layout', () => {
  it('knows days and months by their places', () => {
    const layout = createLayout([
      { name: '2026-03-02', count: 3 },
      { name: '2026-03-01', count: 2 },
      { name: '2026-02-28', count: 5 },
    ]);
    expect([0, 2, 3, 4, 5, 9].map((place) => dayAt(layout, place).name.slice(-2))).toEqual([
      '02',
      '02',
      '01',
      '01',
      '28',
      '28',
    ]);
    expect(monthsOf(layout)).toEqual([
      { name: '2026-03', first: 0, count: 5 },
      { name: '2026-02', first: 5, count: 5 },
    ]);
  });
});
