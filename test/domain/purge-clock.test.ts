/** The hour after a start or a jump of the clock in which nothing goes by itself. */
import { expect, it } from 'vitest';
import { PurgeClock } from '../../src/storage/domain/purge-clock.ts';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

/** A machine whose clock can be set. */
function machine() {
  const times = { wall: Date.UTC(2026, 0, 1), elapsed: 5000 };
  const clock = new PurgeClock({ now: () => times.wall, elapsed: () => times.elapsed });
  const pass = (ms: number) => {
    times.wall += ms;
    times.elapsed += ms;
    return clock.mayPurge();
  };
  const set = (ms: number) => {
    times.wall += ms;
    return clock.mayPurge();
  };
  return { pass, set };
}

it('is quiet for an hour after a start', () => {
  const { pass } = machine();
  expect([pass(0), pass(59 * MINUTE), pass(MINUTE), pass(24 * HOUR)]).toEqual([false, false, true, true]);
});

it.each([6 * MINUTE, -6 * MINUTE, 365 * 24 * HOUR])('is quiet for an hour after a jump of %i ms', (jump) => {
  const { pass, set } = machine();
  expect(pass(HOUR)).toBe(true);
  expect([set(jump), pass(59 * MINUTE), pass(MINUTE)]).toEqual([false, false, true]);
});

it('bears corrections of the clock', () => {
  const { pass, set } = machine();
  pass(HOUR);
  for (let count = 0; count < 10; count += 1) expect(set(MINUTE)).toBe(true);
});
