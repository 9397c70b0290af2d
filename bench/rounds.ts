/** What is measured: rounds of concurrent work for a while, taken by turns, and the medians of them. */

export interface Round {
  /** Pieces of work that were done. */
  count: number;
  seconds: number;
  /** Of all threads of this process. */
  cpuSeconds: number;
  /** Of each piece. */
  latenciesMs: number[];
}

/** Does `work` over and over, `concurrency` at a time, and begins none after `durationMs`. */
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

/** So many rounds of each, A B A B, so that a slow moment of the machine meets all of them; one more before them is dropped. */
export async function byTurns<K extends string, R>(
  rounds: number,
  sides: Record<K, () => Promise<R>>,
): Promise<Record<K, R[]>> {
  const names = Object.keys(sides) as K[];
  const results = Object.fromEntries(names.map((name) => [name, [] as R[]])) as Record<K, R[]>;
  for (const name of names) await sides[name]();
  for (let round = 0; round < rounds; round += 1) {
    for (const name of names) results[name].push(await sides[name]());
  }
  return results;
}

export function median(values: readonly number[]): number {
  return percentile(values, 50);
}

export function percentile(values: readonly number[], percent: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor((sorted.length * percent) / 100))] ?? Number.NaN;
}
