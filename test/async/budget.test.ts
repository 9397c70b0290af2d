/** What calls may hold of a budget together, and who goes first where it is short. */
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { Budget } from '../../src/storage/async/budget.ts';
import type { Caller } from '../../src/storage/domain/caller.ts';

const [a, b, c, d] = ['10.0.0.1', '10.0.0.2', '10.0.0.3', '10.0.0.4'];
const of = (peer: string, connection = Number(peer.slice(-1))): Caller => ({ peer, connection });

const connectionsOf = (peer: string, count: number) => Array.from({ length: count }, (_, at) => of(peer, 100 + at));

/** Asks for parts of one each until none is given at once; returns how many were. */
async function takeAll(budget: Budget, callers: Caller[]): Promise<number> {
  for (let taken = 0; ; taken += 1) {
    const hold = budget.hold(callers[taken % callers.length]!, 1, { signal: AbortSignal.timeout(20) });
    const given = await hold.catch(() => undefined);
    if (given === undefined) return taken;
  }
}

describe('a budget', () => {
  it('gives one connection a third, one peer a half, and what is left to others', async () => {
    const budget = new Budget(300);
    expect(await takeAll(budget, [of(a)])).toBe(100);
    expect(await takeAll(budget, connectionsOf(a, 60))).toBe(50);
    expect(await takeAll(budget, connectionsOf(b, 80))).toBe(75);
    expect(await takeAll(budget, [of(c)])).toBe(25);
  });

  it('gives more than a share to who holds nothing, and half of it to who wants more', async () => {
    const budget = new Budget(100);
    const hold = await budget.hold(of(a), 1_000);
    expect(budget.held).toBe(50);
    hold.release();
    hold.release();
    expect(budget.held).toBe(0);
  });

  it('gives a small part to a connection that has none, whatever its peer has', async () => {
    const budget = new Budget(100, { smallPart: 2, waitMs: 20 });
    await budget.hold(of(a, 11), 50);
    await budget.hold(of(a, 12), 2);
    await expect(budget.hold(of(a, 12), 2)).rejects.toMatchObject({ reason: 'BACKEND_UNAVAILABLE' });
    await expect(budget.hold(of(a, 13), 3)).rejects.toMatchObject({ reason: 'BACKEND_UNAVAILABLE' });
  });

  it('serves the peer that holds least first, then in the order of asking', async () => {
    const budget = new Budget(120);
    await budget.hold(of(d), 30);
    const first = await budget.hold(of(a), 30);
    const second = await budget.hold(of(b), 60);
    const order: string[] = [];
    const ask = async (name: string, caller: Caller) => {
      await budget.hold(caller, 5);
      order.push(name);
    };
    const waiting = [ask('of a', of(a)), ask('of b', of(b)), ask('of c', of(c)), ask('of c, later', of(c))];
    second.release();
    await Promise.all(waiting.slice(1));
    first.release();
    await Promise.all(waiting);
    expect(order).toEqual(['of b', 'of c', 'of c, later', 'of a']);
  });

  it('lets a smaller part pass one that does not fit yet', async () => {
    const budget = new Budget(100);
    await budget.hold(of(a), 30);
    await budget.hold(of(d), 30);
    const large = budget.hold(of(b), 50, { signal: AbortSignal.timeout(50) });
    await budget.hold(of(c), 10);
    await expect(large).rejects.toMatchObject({ reason: 'CANCELLED' });
  });

  it('admits who waits as soon as a hold shrinks', async () => {
    const budget = new Budget(100);
    const hold = await budget.hold(of(a), 50);
    await budget.hold(of(d), 50);
    const waiting = budget.hold(of(b), 40);
    hold.shrink(10);
    await waiting;
    expect(budget.held).toBe(100);
  });

  it('refuses who waited too long, and forgets who left', async () => {
    const budget = new Budget(100, { waitMs: 30 });
    const holds = [await budget.hold(of(a), 50), await budget.hold(of(d), 50)];
    const refused = budget.hold(of(b), 1, { refusal: 'TOO_MANY_SAVES' });
    await expect(refused).rejects.toMatchObject({ reason: 'TOO_MANY_SAVES', retryAfterMs: 1000 });
    await expect(budget.hold(of(b), 1, { signal: AbortSignal.abort() })).rejects.toMatchObject({ reason: 'CANCELLED' });
    for (const { release } of holds) release();
    await sleep(1);
    expect(budget.held).toBe(0);
  });
});
