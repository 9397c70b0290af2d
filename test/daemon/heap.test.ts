/** The young generation of a daemon has one size under load, also after memory was given back, and never more. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';

const MIB = 1024 * 1024;
const HEAP = new URL('../../src/daemon/heap.ts', import.meta.url).href;
const COLLECTOR = new URL('../../src/http/garbage.ts', import.meta.url).href;

/** In a process of its own: the flags are those of a process. */
const PROGRAM = `
  import { getHeapSpaceStatistics } from 'node:v8';
  import { setImmediate } from 'node:timers/promises';
  import { boundHeap } from ${JSON.stringify(HEAP)};
  import { collector } from ${JSON.stringify(COLLECTOR)};
  const young = () => getHeapSpaceStatistics().find(({ space_name }) => space_name === 'new_space').space_size;
  /** As calls do: much is garbage at once, some lives for a while. */
  const load = async () => {
    let largest = 0;
    let living = [];
    for (let turn = 0; turn < 800; turn += 1) {
      living.push(Array.from({ length: 2000 }, (_, at) => ({ at })));
      if (living.length > 100) living = [];
      await setImmediate();
      largest = Math.max(largest, young());
    }
    return largest;
  };
  boundHeap();
  const first = await load();
  await collector()({ type: 'major', execution: 'async', flavor: 'last-resort' });
  const idle = young();
  console.log(JSON.stringify({ first, idle, second: await load() }));
`;

it('grows to 16 MiB, and again after memory was given back', { timeout: 60_000 }, async () => {
  const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', PROGRAM]);
  const { first, idle, second } = JSON.parse(stdout) as Record<'first' | 'idle' | 'second', number>;
  expect(first).toBe(16 * MIB);
  expect(idle).toBeLessThan(4 * MIB);
  expect(second).toBe(16 * MIB);
});
