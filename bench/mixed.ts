/** Measures the event loop of a daemon under saves, searches and counts at the same time. */
import { fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { ImageStorageClient } from '../src/client.ts';
import { BROAD_WORD, RARE_WORD } from '../test/support/many-images.ts';
import type { OpenedStore } from './catalog.ts';
import { ask, startChild } from './child.ts';
import type { Activity } from './probe.ts';
import { percentile, type Round, runFor } from './rounds.ts';
import type { SaveLoad } from './saver.ts';

const SAVES = [
  { imageBytes: 100_000, concurrency: 16 },
  { imageBytes: 8 * 1024 * 1024, concurrency: 2 },
];
const PROBE = fileURLToPath(new URL('./probe.ts', import.meta.url));

export interface MixedResult {
  /** The delay of the daemon's event loop. */
  delay: Activity['delayMs'];
  /** The delay of an idle process at the same time: the machine's share. */
  idleDelay: Activity['delayMs'];
  savesPerSecond: number;
  broadP99Ms: number;
  rareP99Ms: number;
  statsP99Ms: number;
}

export async function measureMixed({ daemon, client }: OpenedStore, durationMs: number): Promise<MixedResult> {
  const idle = fork(PROBE, { execArgv: [], serialization: 'advanced' });
  const savers = SAVES.map((load) => ({ child: startChild('./saver.ts'), load }));
  await Promise.all([daemon.activity(), ask(idle, {})]);
  const [saves, broad, rare, stats] = await Promise.all([
    Promise.all(
      savers.map(({ child, load }) =>
        ask<Round>(child, { ...load, address: daemon.address, durationMs } satisfies SaveLoad),
      ),
    ),
    runFor(durationMs, 1, () => listAll(client, { query: BROAD_WORD, limit: 1000 })),
    runFor(durationMs, 1, () => listAll(client, { query: RARE_WORD })),
    runFor(durationMs, 1, () => client.stats()),
  ]);
  const [{ delayMs: delay }, { delayMs: idleDelay }] = await Promise.all([daemon.activity(), ask<Activity>(idle, {})]);
  for (const child of [idle, ...savers.map((saver) => saver.child)]) child.disconnect();
  return {
    delay,
    idleDelay,
    savesPerSecond: saves.reduce((sum, { count, seconds }) => sum + count / seconds, 0),
    broadP99Ms: percentile(broad.latenciesMs, 99),
    rareP99Ms: percentile(rare.latenciesMs, 99),
    statsP99Ms: percentile(stats.latenciesMs, 99),
  };
}

async function listAll(client: ImageStorageClient, options: { query: string; limit?: number }): Promise<void> {
  for await (const _ of client.list(options));
}
