/** When long work gives the event loop back. */
import { setImmediate } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { TURN_MS, Turn } from '../../src/storage/async/turn.ts';

it('lets other work run once the turn is over, and not before', async () => {
  const turn = new Turn();
  let others = 0;
  setImmediate().then(() => {
    others += 1;
  });
  if (!turn.isOver) await turn.giveBack();
  expect(others).toBe(0);
  const end = performance.now() + TURN_MS;
  while (performance.now() < end);
  expect(turn.isOver).toBe(true);
  await turn.giveBack();
  expect(others).toBe(1);
});
