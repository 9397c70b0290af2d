/**
 * Loaded into a process before its main module: reports the event-loop delay and the CPU time since the last question.
 */
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { isMainThread } from 'node:worker_threads';
import { answerParent } from './child.ts';

/** ms between two samples of the event loop; a delay is the excess over it. */
const LOOK_EVERY_MS = 1;

export interface Activity {
  delayMs: { p50: number; p99: number; max: number };
  /** Of all threads. */
  cpuSeconds: number;
}

// Worker threads load it, too.
if (isMainThread && process.send !== undefined) {
  const delay = monitorEventLoopDelay({ resolution: LOOK_EVERY_MS });
  delay.enable();
  let cpu = process.cpuUsage();
  answerParent(async (): Promise<Activity> => {
    const { user, system } = process.cpuUsage(cpu);
    const ms = (nanoseconds: number) => Math.max(0, nanoseconds / 1e6 - LOOK_EVERY_MS);
    const delayMs = { p50: ms(delay.percentile(50)), p99: ms(delay.percentile(99)), max: ms(delay.max) };
    cpu = process.cpuUsage();
    delay.reset();
    return { delayMs, cpuSeconds: (user + system) / 1e6 };
  });
}
