/** Gives memory back after a burst: V8 collects what it left behind only when more is wanted, which an idle daemon never does. */
import { performance } from 'node:perf_hooks';
import { type Collect, collector } from '../http/garbage.ts';

const LOOK_EVERY_MS = 2_000;
/** Of the time; a collection takes about a tenth of a second. */
const IDLE_UTILIZATION = 0.05;
/** Less is not worth it. */
const WORTH_BYTES = 16 * 1024 * 1024;

/** Runs until the signal fires; keeps no process alive. */
export function collectWhenIdle(stop: AbortSignal): void {
  let utilization = performance.eventLoopUtilization();
  const isIdle = () => {
    const now = performance.eventLoopUtilization();
    const idle = performance.eventLoopUtilization(now, utilization).utilization < IDLE_UTILIZATION;
    utilization = now;
    return idle;
  };
  collectWhen(isIdle, stop);
}

/** The same, busy or not, while a store is opened: nobody waits for an answer, and a rebuild leaves much behind. */
export async function collectDuring<T>(opening: Promise<T>): Promise<T> {
  const stop = new AbortController();
  collectWhen(() => true, stop.signal);
  try {
    return await opening;
  } finally {
    stop.abort();
  }
}

function collectWhen(isTime: () => boolean, stop: AbortSignal): void {
  let collect: Collect | undefined;
  let settled = process.memoryUsage.rss();
  const look = async () => {
    const held = process.memoryUsage.rss();
    settled = Math.min(settled, held);
    if (!isTime() || held < settled + WORTH_BYTES) return;
    collect ??= collector();
    await collect({ type: 'major', execution: 'async', flavor: 'last-resort' });
    settled = process.memoryUsage.rss();
  };
  const timer = setInterval(look, LOOK_EVERY_MS).unref();
  stop.addEventListener('abort', () => clearInterval(timer), { once: true });
}
