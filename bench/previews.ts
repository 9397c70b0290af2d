/**
 * `npm run bench:previews [-- --dir FOLDER] [-- --rounds 5]`: what previews cost saves. Eight savers save, by turns alone and
 * while 500 previews are asked for by clients that leave before they are answered; the aim is a p99 of at most 1.3 times
 * that of saves alone, as the median of the rounds.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { connect as connectSocket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import sharp from 'sharp';
import { connect } from '../src/client.ts';
import { emptyPreviews } from '../src/storage/disk/preview-files.ts';
import { ask, startChild } from './child.ts';
import { type Daemon, startDaemon } from './daemon.ts';
import { byTurns, median, percentile, type Round } from './rounds.ts';
import type { SaveLoad } from './saver.ts';

const { values } = parseArgs({
  options: { dir: { type: 'string', default: tmpdir() }, rounds: { type: 'string', default: '5' } },
});
const SAVERS = 8;
const IMAGE_BYTES = 1_000_000;
const ROUND_MS = 5_000;
const PREVIEWS = 500;
/** How long a client waits before it leaves. */
const PATIENCE_MS = 250;
const SIDE = 1024;

const folder = await mkdtemp(join(values.dir, 'image-storage-bench-'));
const basePath = join(folder, 'outputs');
const daemon = await startDaemon(basePath);
const saver = startChild('./saver.ts');
try {
  const urls = await saveShown(daemon, PREVIEWS);
  const load: SaveLoad = {
    address: daemon.address,
    imageBytes: IMAGE_BYTES,
    concurrency: SAVERS,
    durationMs: ROUND_MS,
  };
  const save = () => ask<Round>(saver, load);
  const sides = await byTurns(Number(values.rounds), {
    alone: () => save(),
    beside: async () => {
      await emptyPreviews(join(basePath, 'metadata', 'previews'));
      const [saved] = await Promise.all([save(), askAndLeave(daemon, urls)]);
      return saved;
    },
  });
  report(sides.alone, sides.beside);
} finally {
  saver.disconnect();
  await daemon.stop();
  await rm(folder, { recursive: true, force: true });
}

/** Pictures as generators make them, each another. Returns their URLs. */
async function saveShown({ address }: Daemon, count: number): Promise<string[]> {
  const client = connect(address);
  const noise = { type: 'gaussian', mean: 128, sigma: 40 } as const;
  const small = { width: SIDE / 8, height: SIDE / 8, channels: 3, background: '#888', noise } as const;
  const urls: string[] = [];
  for (let at = 0; at < count; at += 1) {
    const bytes = await sharp({ create: small })
      .resize(SIDE, SIDE, { kernel: 'cubic' })
      .png({ compressionLevel: 2 })
      .toBuffer();
    urls.push((await client.save(bytes, { prompt: `image ${at}` })).url);
  }
  client.close();
  return urls;
}

/** Spread over the round, each over a connection of its own. */
async function askAndLeave({ address }: Daemon, urls: string[]): Promise<void> {
  const [host, port] = address.split(':');
  const clients = urls.map(async (url, at) => {
    await sleep((at * ROUND_MS) / urls.length);
    const socket = connectSocket({ host, port: Number(port) }).on('error', () => {});
    socket.write(`GET ${url}?width=${at % 2 === 0 ? 640 : 1440} HTTP/1.1\r\nHost: localhost\r\n\r\n`);
    await sleep(PATIENCE_MS);
    socket.destroy();
  });
  await Promise.all(clients);
}

function report(alone: Round[], beside: Round[]): void {
  const p99s = (rounds: Round[]) => rounds.map(({ latenciesMs }) => percentile(latenciesMs, 99));
  const rates = (rounds: Round[]) => rounds.map(({ count, seconds }) => count / seconds);
  const ratios = p99s(alone).map((before, at) => p99s(beside)[at]! / before);
  const text = (numbers: number[], digits = 1) => numbers.map((value) => value.toFixed(digits)).join(' ');
  console.log(
    `${SAVERS} savers of ${IMAGE_BYTES / 1e6} MB, ${PREVIEWS} previews of ${SIDE} × ${SIDE} asked for and dropped\n`,
  );
  console.log(`p99 alone, ms        ${text(p99s(alone))}`);
  console.log(`p99 beside, ms       ${text(p99s(beside))}`);
  console.log(`saves/s alone        ${text(rates(alone))}`);
  console.log(`saves/s beside       ${text(rates(beside))}`);
  console.log(`ratio of p99, median ${median(ratios).toFixed(2)} (${text(ratios, 2)}), <= 1.3`);
}
