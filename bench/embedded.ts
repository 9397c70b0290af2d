/** `node bench/embedded.ts`: measures the CPU time that hostile metadata costs its reader, and the longest hold. */
import { readEmbeddedMetadata } from '../src/storage/embedded/metadata.ts';
import { readerOf } from '../src/storage/embedded/read-at.ts';
import { hostileImages } from '../test/support/hostile-metadata.ts';

const ROUNDS = 3;

console.log(`  ${'image'.padEnd(42)}    kB     ms   longest hold ms`);
for (const { name, bytes } of hostileImages()) {
  const rounds: { totalMs: number; longestMs: number }[] = [];
  for (let round = 0; round < ROUNDS; round += 1) rounds.push(await measure(bytes));
  const [totalMs, longestMs] = [Math.min(...rounds.map((r) => r.totalMs)), Math.min(...rounds.map((r) => r.longestMs))];
  const cells = [
    (bytes.length / 1000).toFixed(0).padStart(6),
    totalMs.toFixed(1).padStart(7),
    longestMs.toFixed(1).padStart(8),
  ];
  console.log(`  ${name.padEnd(42)}${cells.join('')}`);
}

async function measure(bytes: Buffer): Promise<{ totalMs: number; longestMs: number }> {
  let longestMs = 0;
  let isDone = false;
  let last = cpuMs();
  const tick = () => {
    const now = cpuMs();
    longestMs = Math.max(longestMs, now - last);
    last = now;
    if (!isDone) setImmediate(tick);
  };
  setImmediate(tick);
  const begun = cpuMs();
  let reading = 0;
  const readAt = readerOf(bytes);
  await readEmbeddedMetadata(readAt);
  reading = cpuMs() - begun;
  isDone = true;
  tick();
  return { totalMs: reading, longestMs };
}

/** CPU time of this thread, which others on the machine do not prolong. */
function cpuMs(): number {
  const { user, system } = process.threadCpuUsage();
  return (user + system) / 1000;
}
