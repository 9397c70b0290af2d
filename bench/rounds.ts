/** Runs rounds of concurrent work in turns, and computes their medians and percentiles. */

export interface Round {
  /** Pieces of work that were completed. */
  count: number;
  seconds: number;
  /** Of all threads of this process. */
  cpuSeconds: number;
  /** The latency of each piece. */
  latenciesMs: number[];
}

/** Repeats `work`, `concurrency` at a time, and begins none after `durationMs`. */
export async function runFor(durationMs: number, concurrency: number, work: () => Promise<unknown>): Promise<Round> {
  const latenciesMs: number[] = [];
  const cpuBefore = process.cpuUsage();
  const start = performance.now();
  const worker = async () => {
    for (let begun = performance.now(); begun - start < durationMs; begun = performance.now()) {
      await work();
      latenciesMs.push(performance.now() - begun);
    }
  };
  await Promise.all(Array.from({ length: concurrency }, worker));
  const { user, system } = process.cpuUsage(cpuBefore);
  const seconds = (performance.now() - start) / 1000;
  return { count: latenciesMs.length, seconds, cpuSeconds: (user + system) / 1e6, latenciesMs };
}

/**
 * Runs `rounds` rounds of each side in turns, A B A B, so that a slow moment of the machine affects all. Drops the
 * first round of each.
 */
export async function byTurns<S extends Record<string, () => Promise<unknown>>>(
  rounds: number,
  sides: S,
): Promise<{ [K in keyof S]: Awaited<ReturnType<S[K]>>[] }> {
  const results: Record<string, unknown[]> = Object.fromEntries(Object.keys(sides).map((name) => [name, []]));
  for (let round = 0; round <= rounds; round += 1) {
    for (const [name, side] of Object.entries(sides)) {
      const result = await side();
      if (round > 0) results[name]!.push(result);
    }
  }
  return results as { [K in keyof S]: Awaited<ReturnType<S[K]>>[] };
}

/** Returns how many ms the work took. */
export async function timed(work: () => Promise<unknown>): Promise<number> {
  const begun = performance.now();
  await work();
  return performance.now() - begun;
}

export function ms(value: number): string {
  return `${value.toFixed(1)} ms`;
}

export function median(values: readonly number[]): number {
  return percentile(values, 50);
}

export function percentile(values: readonly number[], percent: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor((sorted.length * percent) / 100))] ?? Number.NaN;
}
