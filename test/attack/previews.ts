/** What a rude client does with previews: bombs of pixels, and requests that nobody waits for; bounded in count and time. */
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { deflateSync } from 'node:zlib';
import { pngChunk, pngOf, uint32 } from '../support/images.ts';
import { ATTACK_MS, type Attack, answers, inRounds, type Target } from './calls.ts';

const DROPPED = 500;
const IMAGES = 50;

interface Bomb {
  width: number;
  height: number;
  /** 1, 8 or 16. */
  depth: number;
  /** See the PNG specification: 0 grey, 2 RGB, 6 RGBA. */
  colour: 0 | 2 | 6;
  channels: number;
  interlaced: boolean;
}

/** As large as is tried, as much memory as that takes, and far beyond either. */
const BOMBS: Bomb[] = [
  { width: 10_000, height: 10_000, depth: 8, colour: 2, channels: 3, interlaced: false },
  { width: 8_000, height: 5_000, depth: 8, colour: 2, channels: 3, interlaced: true },
  { width: 6_000, height: 4_000, depth: 16, colour: 6, channels: 4, interlaced: true },
  { width: 60_001, height: 60_001, depth: 1, colour: 0, channels: 1, interlaced: false },
];

export const previewAttacks: Record<string, Attack> = {
  'pixel bombs': async (target) => {
    const urls: string[] = [];
    for (const bomb of BOMBS) urls.push(await saveAt(target, pngBomb(bomb)));
    const end = performance.now() + ATTACK_MS;
    const askAll = async () => {
      for (let at = 0; performance.now() < end; at += 1) {
        await statusOf(target, `${urls[at % urls.length]}?width=${[320, 640, 1440][at % 3]}`, end);
      }
    };
    await Promise.all(Array.from({ length: 16 }, askAll));
  },

  'previews dropped': async (target) => {
    const urls: string[] = [];
    for (let seed = 0; seed < IMAGES; seed += 1)
      urls.push(await saveAt(target, pngOf({ width: 1500, height: 1000, seed })));
    await inRounds(() => askAndLeave(target, urls))(target);
  },
};

/** Asks for many previews, each over a connection of its own, and is gone before there is an answer. */
async function askAndLeave({ host, port, localAddress }: Target, urls: string[]): Promise<void> {
  const sockets = Array.from({ length: DROPPED }, (_, at) => {
    const socket = connect({ host, port, localAddress }).on('error', () => {});
    socket.write(`GET ${urls[at % urls.length]}?width=${at % 2 ? 640 : 1440} HTTP/1.1\r\nHost: localhost\r\n\r\n`);
    return socket;
  });
  await sleep(100);
  for (const socket of sockets) socket.destroy();
}

/** Returns the path of the image. */
async function saveAt({ host, port }: Target, bytes: Buffer): Promise<string> {
  const form = new FormData();
  form.set('file', new Blob([bytes]));
  const saved = await fetch(`http://${host}:${port}/images`, { method: 'POST', body: form });
  const { image } = (await saved.json()) as { image: { url: string } };
  return image.url;
}

async function statusOf({ host, port }: Target, path: string, end: number): Promise<void> {
  const signal = AbortSignal.timeout(Math.max(1, Math.round(end - performance.now())));
  const status = await fetch(`http://${host}:${port}${path}`, { signal }).then(
    async (response) => {
      await response.arrayBuffer();
      return response.status;
    },
    () => 'left',
  );
  answers[status] = (answers[status] ?? 0) + 1;
}

/** Black, and whole by its chunks; beyond the limit of any memory only in what its header says. */
function pngBomb({ width, height, depth, colour, channels, interlaced }: Bomb): Buffer {
  const rowBytes = Math.ceil((width * channels * depth) / 8) + 1;
  // Of the interlaced, each of the seven passes begins its rows with a byte more.
  const sizeBytes = Math.min(rowBytes * height * (interlaced ? 1.01 : 1) + 100_000, 400_000_000);
  const header = Buffer.from([depth, colour, 0, 0, Number(interlaced)]);
  return Buffer.concat([
    Buffer.from('\x89PNG\r\n\x1a\n', 'latin1'),
    pngChunk('IHDR', Buffer.concat([uint32(width), uint32(height), header])),
    pngChunk('IDAT', deflateSync(Buffer.alloc(sizeBytes), { level: 1 })),
    pngChunk('IEND', Buffer.alloc(0)),
  ]);
}
