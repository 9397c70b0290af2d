/** That work of many callers gives the event loop back, however many ask at once. */
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { turnOf } from '../../src/storage/async/fair-turn.ts';

const PIECE_MS = 3;

function work(): void {
  const end = performance.now() + PIECE_MS;
  while (performance.now() < end);
}

it('lets other events in between the pieces of many callers', async () => {
  let rounds = 0;
  let going = true;
  const count = () => {
    rounds += 1;
    if (going) setImmediate(count);
  };
  await sleep(5);
  setImmediate(count);
  const callers = Array.from({ length: 30 }, (_, connection) => ({ peer: `10.0.0.${connection}`, connection }));
  await Promise.all(
    callers.map(async (caller) => {
      for (let piece = 0; piece < 3; piece += 1) {
        await turnOf(caller);
        work();
      }
    }),
  );
  going = false;
  // 90 pieces, of which a round has a few: those of 10 ms, and those that began before any had worked.
  expect(rounds).toBeGreaterThan(90 / 10);
});
