/** Bounds V8's heap: the size of its young generation, and how much garbage the old one gathers before it is collected. */
import { PerformanceObserver } from 'node:perf_hooks';
import { getHeapSpaceStatistics, setFlagsFromString } from 'node:v8';

/** Both halves. V8 would go on to 64 MB; in less, what running calls hold gets old before they end. */
const YOUNG_BYTES = 16 * 1024 * 1024;
/**
 * Of what is alive. V8 takes between 10 and 300, by how fast it has collected: on a busy machine so little that a few
 * images, whose bytes count, are a reason to collect all.
 */
const GARBAGE_PERCENT = 100;

export function boundHeap(): void {
  setFlagsFromString(`--heap-growing-percent=${GARBAGE_PERCENT}`);
  boundYoung();
  // V8 makes it small again where little is allocated, or memory is given back.
  new PerformanceObserver(boundYoung).observe({ type: 'gc' });
}

let growthFactor: number | undefined;

/** V8 has no bound that can be set once it runs, only a factor by which to grow. */
function boundYoung(): void {
  const wanted = youngBytes() < YOUNG_BYTES ? 2 : 1;
  if (wanted === growthFactor) return;
  growthFactor = wanted;
  setFlagsFromString(`--semi-space-growth-factor=${wanted}`);
}

function youngBytes(): number {
  return getHeapSpaceStatistics().find(({ space_name }) => space_name === 'new_space')!.space_size;
}
