/** Points in time as people write them. */
import { describe, expect, it } from 'vitest';
import { parseInstant, parseRangeEnd } from '../../src/storage/domain/dates.ts';

const now = new Date('2024-09-27T14:15:22.500Z');
const instant = (text: string) => parseInstant(text, now)?.toISOString();
const rangeEnd = (text: string) => parseRangeEnd(text, now)?.toISOString();

describe('an instant', () => {
  it.each([
    ['2024-09-27T14:15:22Z', '2024-09-27T14:15:22.000Z'],
    ['2024-09-27t14:15:22.25z', '2024-09-27T14:15:22.250Z'],
    ['2024-09-27 16:15:22+02:00', '2024-09-27T14:15:22.000Z'],
    ['2024-02-29', '2024-02-29T00:00:00.000Z'],
    ['90m', '2024-09-27T12:45:22.500Z'],
    ['12h', '2024-09-27T02:15:22.500Z'],
    ['30d', '2024-08-28T14:15:22.500Z'],
    ['2w', '2024-09-13T14:15:22.500Z'],
  ])('%s is %s', (text, expected) => {
    expect(instant(text)).toBe(expected);
  });

  it.each([
    '',
    'yesterday',
    '30',
    '-1d',
    '1y',
    '2024-02-30',
    '2023-02-29T00:00:00Z',
    '2024-13-01',
    '2024-09-27T25:00:00Z',
    // Whose midnight?
    '2024-09-27T14:15:22',
    '999999999999w',
  ])('%j is none', (text) => {
    expect(parseInstant(text, now)).toBeUndefined();
  });
});

describe('the end of a range', () => {
  it('includes the day that it names', () => {
    expect(rangeEnd('2024-02-28')).toBe('2024-02-29T00:00:00.000Z');
    expect(rangeEnd('2024-12-31')).toBe('2025-01-01T00:00:00.000Z');
  });

  it('is the instant that it names', () => {
    expect(rangeEnd('2024-09-27T14:15:22Z')).toBe('2024-09-27T14:15:22.000Z');
    expect(rangeEnd('1d')).toBe('2024-09-26T14:15:22.500Z');
  });
});
