/** Days and months of time zones: as the clocks there show them, on the days when they change, too. */
import { describe, expect, it } from 'vitest';
import { Calendar } from '../../src/storage/domain/calendar.ts';

const HOUR = 3_600_000;
const hoursOf = (timeZone: string, instant: string) => {
  const { name, start, end } = new Calendar('day', timeZone).periodAt(Date.parse(instant));
  return [name, new Date(start).toISOString().slice(5, 16), (end - start) / HOUR];
};

describe('a day', () => {
  it.each([
    ['UTC', '2024-03-31T12:00:00Z', ['2024-03-31', '03-31T00:00', 24]],
    ['Europe/Berlin', '2024-03-30T22:59:59.999Z', ['2024-03-30', '03-29T23:00', 24]],
    ['Europe/Berlin', '2024-03-30T23:00:00Z', ['2024-03-31', '03-30T23:00', 23]],
    ['Europe/Berlin', '2024-03-31T21:59:59Z', ['2024-03-31', '03-30T23:00', 23]],
    ['Europe/Berlin', '2024-10-27T22:59:59Z', ['2024-10-27', '10-26T22:00', 25]],
    ['Asia/Kolkata', '2024-09-27T18:30:00Z', ['2024-09-28', '09-27T18:30', 24]],
    ['Australia/Lord_Howe', '2024-10-05T20:00:00Z', ['2024-10-06', '10-05T13:30', 23.5]],
    // The clocks skip midnight.
    ['Asia/Beirut', '2024-03-31T10:00:00Z', ['2024-03-31', '03-30T22:00', 23]],
    // Nobody there has seen the 30th.
    ['Pacific/Apia', '2011-12-30T11:00:00Z', ['2011-12-31', '12-30T10:00', 24]],
  ])('in %s at %s', (timeZone, instant, expected) => {
    expect(hoursOf(timeZone, instant)).toEqual(expected);
  });

  it('follows another without a gap, for years', () => {
    for (const timeZone of ['Europe/Berlin', 'America/St_Johns', 'Africa/Casablanca', 'Asia/Beirut']) {
      const calendar = new Calendar('day', timeZone);
      const clock = new Intl.DateTimeFormat('sv-SE', { timeZone });
      let { end } = calendar.periodAt(Date.UTC(2012, 0, 1));
      while (end < Date.UTC(2016, 0, 1)) {
        const period = calendar.periodAt(end);
        expect([period.start, period.name]).toEqual([end, clock.format(end)]);
        expect(clock.format(period.end - 1)).toBe(period.name);
        end = period.end;
      }
    }
  });
});

it('a month begins and ends with its days', () => {
  const { name, start, end } = new Calendar('month', 'America/New_York').periodAt(Date.parse('2025-01-01T04:59:59Z'));
  expect([name, new Date(start), new Date(end)]).toEqual([
    '2024-12',
    new Date('2024-12-01T05:00:00Z'),
    new Date('2025-01-01T05:00:00Z'),
  ]);
});

it('there is no zone of any name', () => {
  expect(() => new Calendar('day', 'Mars/Base')).toThrow(RangeError);
});
