/** Measures how fast images are saved, beside the floor of the same run. */
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { ask, startChild } from './child.ts';
import { type Daemon, startDaemon } from './daemon.ts';
import type { FloorLoad } from './floor.ts';
import { byTurns, median, percentile, type Round } from './rounds.ts';
import type { SaveLoad } from './saver.ts';

const MB = 1e6;
const MIB = 1024 * 1024;

export interface Case {
  name: string;
  imageBytes: number;
  concurrency: number;
}

const SIZES: [string, number][] = [
  ['100 kB', 100_000],
  ['2 MB', 2 * MB],
  ['8 MiB', 8 * MIB],
];

export const CASES: Case[] = SIZES.flatMap(([size, imageBytes]) =>
  [1, 4, 32].map((concurrency) => ({ name: `${size} × ${concurrency}`, imageBytes, concurrency })),
);

/** The cases that have an aim. */
export const QUICK_CASES: Case[] = CASES.filter(({ name }) => name === '8 MiB × 4' || name === '100 kB × 32');

export interface SaveResult {
  imagesPerSecond: number;
  megabytesPerSecond: number;
  p50Ms: number;
  p99Ms: number;
  floorPerSecond: number;
  /** The median of the ratios of daemon to floor in each round. */
  ratio: number;
  /** The client's share of the CPU time of daemon and client. */
  clientShare: number;
}

export interface SaveOptions {
  folder: string;
  rounds: number;
  roundMs: number;
}

/** Calls `report` after each case. */
export async function measureSaves(
  cases: Case[],
  options: SaveOptions,
  report: (name: string, result: SaveResult) => void,
): Promise<Map<string, SaveResult>> {
  const results = new Map<string, SaveResult>();
  const saver = startChild('./saver.ts');
  for (const one of cases) {
    const basePath = join(options.folder, 'saves');
    const floor = startChild('./floor.ts');
    const daemon = await startDaemon(join(basePath, 'daemon'));
    const load = { imageBytes: one.imageBytes, concurrency: one.concurrency, durationMs: options.roundMs };
    const sides = await byTurns(options.rounds, {
      floor: () => ask<Round>(floor, { ...load, basePath: join(basePath, 'floor') } satisfies FloorLoad),
      daemon: () => saveRound(daemon, () => ask<Round>(saver, { ...load, address: daemon.address } satisfies SaveLoad)),
    });
    floor.disconnect();
    await daemon.stop();
    await rm(basePath, { recursive: true });
    const result = resultOf(sides, one.imageBytes);
    results.set(one.name, result);
    report(one.name, result);
  }
  saver.disconnect();
  return results;
}

type DaemonRound = Round & { daemonCpuSeconds: number };

async function saveRound(daemon: Daemon, run: () => Promise<Round>): Promise<DaemonRound> {
  await daemon.activity();
  const round = await run();
  return { ...round, daemonCpuSeconds: (await daemon.activity()).cpuSeconds };
}

function resultOf({ floor, daemon }: { floor: Round[]; daemon: DaemonRound[] }, imageBytes: number): SaveResult {
  const imagesPerSecond = median(daemon.map(perSecond));
  const latencies = daemon.flatMap((round) => round.latenciesMs);
  return {
    imagesPerSecond,
    megabytesPerSecond: (imagesPerSecond * imageBytes) / MB,
    p50Ms: percentile(latencies, 50),
    p99Ms: percentile(latencies, 99),
    floorPerSecond: median(floor.map(perSecond)),
    ratio: median(daemon.map((round, at) => perSecond(round) / perSecond(floor[at]!))),
    clientShare: median(daemon.map((round) => round.cpuSeconds / (round.cpuSeconds + round.daemonCpuSeconds))),
  };
}

function perSecond({ count, seconds }: Round): number {
  return count / seconds;
}
