/** What runs by itself, tick by tick: what it waits for, what it keeps of its runs, and that one failure holds up nothing. */
import { expect, it } from 'vitest';
import type { Policy } from '../../src/storage/domain/policy.ts';
import type { Cleaned } from '../../src/storage/retention/cleanup.ts';
import { fileInMemory, type TextFile } from '../../src/storage/retention/policy-runs.ts';
import { RetentionSchedule, type ScheduleOptions } from '../../src/storage/retention/schedule.ts';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const T0 = Date.UTC(2026, 10, 30, 12);
const DRAFTS: Policy = { name: 'drafts', keepLast: 1, everyMs: HOUR, delayMs: DAY };
const PREVIEWS: Policy = { ...DRAFTS, name: 'previews' };
const CLEANED: Cleaned = {
  ...{ deletedCount: 2, freedBytes: 20, filenames: [], keptPinned: 0, keptFuture: 0, keptChanged: 0, keptNew: 0 },
  ...{ reasons: [], dryRun: true, more: false },
};

class Machine {
  wall: number = T0;
  passed = 0;
  /** What was done, such as `plan drafts`, `run drafts` and `expire`. */
  readonly done: string[] = [];
  readonly warned: string[] = [];
  file: TextFile = fileInMemory();

  pass(ms: number): void {
    this.wall += ms;
    this.passed += ms;
  }

  /** Begins where the last one has ended. */
  start(options: Partial<ScheduleOptions> = {}): RetentionSchedule {
    const warn = (_: object, message: string) => void this.warned.push(message);
    return new RetentionSchedule({
      ...{ provider: 'main', policies: [DRAFTS], log: { debug() {}, info() {}, warn, error: warn } },
      ...{ now: () => this.wall, elapsed: () => this.passed, file: this.file },
      quietUntil: async () => 0,
      claim: async () => true,
      clean: async ({ name }, { dryRun }) => {
        this.done.push(`${dryRun ? 'plan' : 'run'} ${name}`);
        return CLEANED;
      },
      expire: async () => {
        this.done.push('expire');
        return { count: 0, bytes: 0 };
      },
      ...options,
    });
  }

  async ticks(schedule: RetentionSchedule, ...passing: number[]): Promise<string[]> {
    this.done.length = 0;
    for (const ms of passing) {
      this.pass(ms);
      await schedule.tick();
    }
    return [...this.done];
  }
}

it('plans at once, runs a delay later, and then whenever its time has passed', async () => {
  const machine = new Machine();
  const schedule = machine.start();
  expect(await machine.ticks(schedule, 0, MINUTE)).toEqual(['plan drafts']);
  expect(await machine.ticks(schedule, DAY - HOUR)).toEqual(['expire']);
  expect(await machine.ticks(schedule, HOUR, MINUTE, HOUR)).toEqual([
    'run drafts',
    'expire',
    'expire',
    'run drafts',
    'expire',
  ]);
  const [policy] = await schedule.statistics();
  expect(policy).toEqual({
    ...{ name: 'drafts', announced: false, lastCount: 2, lastBytes: 20 },
    ...{ lastRun: new Date(machine.wall), nextRun: new Date(machine.wall + HOUR) },
  });
});

it('a start goes on with what was noted; what cannot be read is announced again', async () => {
  const machine = new Machine();
  await machine.ticks(machine.start(), 0);
  expect(await machine.ticks(machine.start(), DAY)).toEqual(['run drafts', 'expire']);
  expect(await machine.ticks(machine.start({ policies: [{ ...DRAFTS, everyMs: DAY }] }), 0)).toEqual([]);
  expect(await machine.ticks(machine.start({ policies: [{ ...DRAFTS, keepLast: 2 }] }), 0)).toEqual(['plan drafts']);
  for (const text of ['', '{', '{"version":1,"policies":{"drafts":{"hash":1}}}', '{"version":2,"policies":{}}']) {
    await machine.file.write(text);
    expect(await machine.ticks(machine.start(), 0)).toEqual(['plan drafts']);
  }
});

it('a policy that was taken out, and comes back, is announced again', async () => {
  const machine = new Machine();
  await machine.ticks(machine.start(), 0);
  await machine.ticks(machine.start({ policies: [PREVIEWS] }), 0);
  expect(await machine.ticks(machine.start({ policies: [DRAFTS, PREVIEWS] }), 0)).toEqual(['plan drafts']);
});

it('waits until nothing of the store is in doubt, and while another has just run', async () => {
  const machine = new Machine();
  const quietUntil = async () => T0 + 2 * DAY;
  const schedule = machine.start({ quietUntil });
  expect(await machine.ticks(schedule, 0, DAY, DAY - MINUTE)).toEqual(['plan drafts']);
  expect(await machine.ticks(schedule, MINUTE)).toEqual(['run drafts', 'expire']);
  const other = machine.start({ claim: async () => false });
  expect(await machine.ticks(other, DAY)).toEqual(['expire']);
  expect((await other.statistics())[0]).toMatchObject({ lastCount: 2, nextRun: new Date(machine.wall + HOUR) });
});

it('a clock that was ahead neither keeps a policy from running nor lets one run early', async () => {
  const machine = new Machine();
  machine.wall = Date.UTC(2099, 0);
  await machine.ticks(machine.start(), 0);
  machine.wall = T0;
  const schedule = machine.start();
  // Announced at a time that has not come: again, by the right clock.
  expect(await machine.ticks(schedule, 0, 2 * HOUR)).toEqual(['plan drafts', 'expire']);
  expect(await machine.ticks(schedule, 22 * HOUR)).toEqual(['run drafts', 'expire']);
  machine.wall = Date.UTC(2099, 0);
  await machine.ticks(schedule, 0, HOUR);
  machine.wall = T0 + 3 * DAY;
  expect(await machine.ticks(schedule, 0, 59 * MINUTE)).toEqual([]);
  expect(await machine.ticks(schedule, MINUTE)).toEqual(['run drafts', 'expire']);
});

it('one policy that fails holds up neither the others nor what expires, and is told once', async () => {
  const machine = new Machine();
  let isBroken = true;
  const clean: ScheduleOptions['clean'] = async ({ name }, { dryRun }) => {
    if (isBroken && name === 'drafts' && !dryRun) throw new Error('broken');
    machine.done.push(`${dryRun ? 'plan' : 'run'} ${name}`);
    return CLEANED;
  };
  const schedule = machine.start({ policies: [DRAFTS, PREVIEWS], clean });
  await machine.ticks(schedule, 0);
  expect(await machine.ticks(schedule, DAY, MINUTE, MINUTE)).toEqual(['run previews', 'expire', 'expire', 'expire']);
  expect(machine.warned).toHaveLength(1);
  isBroken = false;
  expect(await machine.ticks(schedule, MINUTE)).toEqual(['run drafts', 'expire']);
});

it('a note that finds no room keeps no policy from running', async () => {
  const machine = new Machine();
  machine.file = { read: async () => undefined, write: async () => Promise.reject(new Error('full')) };
  const schedule = machine.start();
  expect(await machine.ticks(schedule, 0, DAY, HOUR)).toEqual([
    'plan drafts',
    'run drafts',
    'expire',
    'run drafts',
    'expire',
  ]);
  expect(machine.warned.length).toBeGreaterThan(0);
});

it('ends what runs when it is stopped', async () => {
  const machine = new Machine();
  let signal: AbortSignal | undefined;
  const clean: ScheduleOptions['clean'] = async (_, options) => {
    signal = options.signal;
    return CLEANED;
  };
  const schedule = machine.start({ clean });
  await machine.ticks(schedule, 0);
  await schedule.stop();
  expect(signal?.aborted).toBe(true);
});
