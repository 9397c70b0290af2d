/** Who gets the next slot, and which save gives its slot up for one that waits. */
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { type Slot, Slots } from '../../src/storage/async/slots.ts';
import type { Caller } from '../../src/storage/domain/caller.ts';

const [a, b, c]: Caller[] = [1, 2, 3].map((n) => ({ peer: `10.0.0.${n}`, connection: n })) as [Caller, Caller, Caller];
const PATIENCE_MS = 1_000;

function slotsOf(size: number, waitMs = 10_000): Slots {
  return new Slots({ size, waitMs, leastBytesPerSecond: 4096 });
}

/** Receives so many bytes every 100 ms, until the slot is given back. */
function move(slot: Slot, bytes: number): void {
  const timer = setInterval(() => {
    slot.received(bytes);
    slot.awaits();
  }, 100);
  slot.signal.addEventListener('abort', () => clearInterval(timer));
  const { release } = slot;
  Object.assign(slot, {
    release: () => {
      clearInterval(timer);
      release();
    },
  });
}

/** Gives its slot up as a save does that is ended. */
function yielding(slot: Slot): Slot {
  slot.signal.addEventListener('abort', () => slot.release());
  return slot;
}

describe('the next free slot', () => {
  it('goes to the peer that has fewest', async () => {
    const slots = slotsOf(3);
    const held = [await slots.acquire(a), await slots.acquire(a), await slots.acquire(b)];
    const order: string[] = [];
    const waiting = [
      slots.acquire(a).then(() => order.push('a')),
      slots.acquire(b).then(() => order.push('b')),
      slots.acquire(c).then(() => order.push('c')),
    ];
    for (const slot of held) slot.release();
    await Promise.all(waiting);
    expect(order).toEqual(['c', 'a', 'b']);
  });

  it('is refused after the wait, and to who leaves', async () => {
    const slots = slotsOf(1, 30);
    await slots.acquire(a);
    await expect(slots.acquire(b)).rejects.toMatchObject({ reason: 'TOO_MANY_SAVES', retryAfterMs: 1000 });
    await expect(slots.acquire(b, { signal: AbortSignal.abort() })).rejects.toMatchObject({ reason: 'CANCELLED' });
  });
});

describe('a save that stands still', () => {
  it('gives its slot up to one that has waited a second, and ends as SAVE_STALLED', async () => {
    const slots = slotsOf(1);
    const held = yielding(await slots.acquire(a));
    const started = performance.now();
    await slots.acquire(b);
    expect(performance.now() - started).toBeGreaterThan(PATIENCE_MS - 50);
    expect(held.signal.reason).toMatchObject({ reason: 'SAVE_STALLED' });
  });

  it('goes on while nobody waits', async () => {
    const slots = slotsOf(2);
    const held = await slots.acquire(a);
    await sleep(PATIENCE_MS * 1.5);
    (await slots.acquire(b)).release();
    await sleep(PATIENCE_MS * 1.5);
    expect(held.signal.aborted).toBe(false);
  });

  it('is of the peer that has most, and the one that received least', async () => {
    const slots = slotsOf(4);
    const held = [await slots.acquire(a), await slots.acquire(a), await slots.acquire(a), await slots.acquire(b)].map(
      yielding,
    );
    move(held[0]!, 4_000);
    move(held[1]!, 100);
    await slots.acquire(c);
    expect(held.map(({ signal }) => signal.aborted)).toEqual([false, false, true, false]);
    for (const slot of held) slot.release();
  });

  it('keeps its slot once its bytes are complete, and while they are worked on', async () => {
    const slots = slotsOf(2, PATIENCE_MS * 2.5);
    const held = [await slots.acquire(a), await slots.acquire(a)];
    held[0]!.complete();
    held[1]!.received(1);
    await expect(slots.acquire(b)).rejects.toMatchObject({ reason: 'TOO_MANY_SAVES' });
    expect(held.map(({ signal }) => signal.aborted)).toEqual([false, false]);
  });
});

it('a save that moves is never ended for another', async () => {
  const slots = slotsOf(2, PATIENCE_MS * 3);
  const held = [await slots.acquire(a), await slots.acquire(a)];
  for (const slot of held) move(slot, 1_000);
  await expect(slots.acquire(b)).rejects.toMatchObject({ reason: 'TOO_MANY_SAVES' });
  expect(held.map(({ signal }) => signal.aborted)).toEqual([false, false]);
  for (const slot of held) slot.release();
});

it('as many saves are ended as have waited, not more', async () => {
  const slots = slotsOf(4);
  const held: Slot[] = [];
  for (let count = 0; count < 4; count += 1) held.push(yielding(await slots.acquire(a)));
  await slots.acquire(b);
  await sleep(PATIENCE_MS);
  expect(held.filter(({ signal }) => signal.aborted)).toHaveLength(1);
});

it('more saves may wait than are in flight', async () => {
  const slots = slotsOf(2, PATIENCE_MS * 2.5);
  // They take their time to end.
  const held = [await slots.acquire(a), await slots.acquire(a)];
  const waiting = [slots.acquire(b), slots.acquire(b), slots.acquire(c)].map((slot) => slot.catch((error) => error));
  await sleep(PATIENCE_MS * 2);
  for (const slot of held) slot.release();
  const outcomes = await Promise.all(waiting);
  expect(held.map(({ signal }) => signal.aborted)).toEqual([true, true]);
  expect(outcomes.map((outcome) => outcome.reason ?? 'in flight')).toEqual([
    'in flight',
    'TOO_MANY_SAVES',
    'in flight',
  ]);
});

it('a save moves by the bytes that come, also before a chunk of it is whole', async () => {
  const slots = slotsOf(1, PATIENCE_MS * 2.5);
  let bytes = 0;
  const timer = setInterval(() => (bytes += 1_000), 100);
  const held = await slots.acquire(a, { arrived: () => bytes });
  await expect(slots.acquire(b)).rejects.toMatchObject({ reason: 'TOO_MANY_SAVES' });
  clearInterval(timer);
  expect(held.signal.aborted).toBe(false);
});
