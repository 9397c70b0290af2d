/**
 * `node bench/walkers.ts`: measures the CPU time that the worst images of each format cost their parser, and the longest
 * push. Exits with 1 when one costs more than 20 ms a MB.
 */
import { StorageError } from '../src/storage/domain/errors.ts';
import { ImageInspector } from '../src/storage/formats/inspector.ts';
import { worstImages } from '../test/support/worst-images.ts';

const SIZE_BYTES = 8 * 1024 * 1024;
/** The largest chunk of a Save. */
const CHUNK_BYTES = 2 * 1024 * 1024;
const ROUNDS = 3;
const MOST_MS_PER_MB = 20;

console.log('  format  full of                      ms/MB   longest push ms');
for (const { format, of, bytes } of worstImages(SIZE_BYTES)) {
  const rounds = Array.from({ length: ROUNDS }, () => measure(bytes));
  const msPerMb = Math.min(...rounds.map(({ totalMs }) => totalMs)) / (bytes.length / 1e6);
  const longest = Math.min(...rounds.map(({ longestMs }) => longestMs));
  const verdict = rounds[0]!.verdict;
  if (msPerMb > MOST_MS_PER_MB) process.exitCode = 1;
  console.log(
    `  ${format.padEnd(8)}${of.padEnd(26)}${msPerMb.toFixed(1).padStart(8)}${longest.toFixed(1).padStart(12)}   ${verdict}`,
  );
}

function measure(bytes: Buffer): { totalMs: number; longestMs: number; verdict: string } {
  const inspector = new ImageInspector();
  let [totalMs, longestMs, verdict] = [0, 0, 'whole'];
  const timed = (work: () => void) => {
    const begin = cpuMs();
    try {
      work();
    } catch (error) {
      if (!(error instanceof StorageError)) throw error;
      verdict = error.message;
    }
    const ms = cpuMs() - begin;
    totalMs += ms;
    longestMs = Math.max(longestMs, ms);
  };
  for (let at = 0; at < bytes.length && verdict === 'whole'; at += CHUNK_BYTES)
    timed(() => inspector.push(bytes.subarray(at, at + CHUNK_BYTES)));
  if (verdict === 'whole') timed(() => inspector.finish());
  return { totalMs, longestMs, verdict };
}

/** CPU time of this thread, which others on the machine do not prolong. */
function cpuMs(): number {
  const { user, system } = process.threadCpuUsage();
  return (user + system) / 1000;
}
