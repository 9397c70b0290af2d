/** What a process took of the machine, by thread, as Linux counts it. */
import { readdirSync, readFileSync } from 'node:fs';

/** Of a kernel's clock: USER_HZ, which is 100 on every Linux. */
const TICKS_PER_SECOND = 100;

export interface Usage {
  /** Seconds of each thread, by its id. */
  threads: Map<string, number>;
  peakMiB: number;
}

export function usageOf(pid: number): Usage {
  const threads = new Map<string, number>();
  for (const thread of readdirSync(`/proc/${pid}/task`)) {
    const stat = readFileSync(`/proc/${pid}/task/${thread}/stat`, 'utf8');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    threads.set(thread, (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND);
  }
  const peakKiB = /^VmHWM:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
  return { threads, peakMiB: Number(peakKiB) / 1024 };
}

/** Seconds between two counts: of all threads, and of the first one. */
export function cpuBetween(pid: number, before: Usage, after: Usage): { all: number; main: number } {
  const spent = [...after.threads].map(([id, seconds]) => [id, seconds - (before.threads.get(id) ?? 0)] as const);
  const main = spent.find(([id]) => id === String(pid))?.[1] ?? 0;
  return { all: spent.reduce((sum, [, seconds]) => sum + seconds, 0), main };
}
