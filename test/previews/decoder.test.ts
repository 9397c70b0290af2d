/** The process that decodes: its deadline, its end and its next start, and what the machine lets go before it. */
import { readdirSync, readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';
import { afterEach, expect, it, onTestFinished } from 'vitest';
import { Decoder } from '../../src/previews/decoder.ts';
import { DecodeError, SlowDecodeError, UnreadImageError } from '../../src/previews/decoder-process.ts';
import type { DecodeOrder } from '../../src/previews/messages.ts';
import { sha256Of } from '../support/bytes.ts';

const log = { debug() {}, info() {}, warn() {}, error() {} };
const decoders: Decoder[] = [];
afterEach(() => {
  for (const decoder of decoders.splice(0)) decoder.stop();
});

function open(deadlineMs = 60_000): Decoder {
  const decoder = new Decoder({ log, deadlineMs });
  decoders.push(decoder);
  return decoder;
}

const png = await sharp({ create: { width: 900, height: 600, channels: 3, background: '#3a6' } })
  .png()
  .toBuffer();

function orderOf(bytes: Buffer, more: Partial<DecodeOrder> = {}): DecodeOrder {
  return { widths: [320], wantsHash: true, sizeBytes: bytes.length, sha256: sha256Of(bytes), ...more };
}

async function* inParts(bytes: Buffer, partBytes = 1000): AsyncGenerator<Buffer> {
  for (let at = 0; at < bytes.length; at += partBytes) yield bytes.subarray(at, at + partBytes);
}

async function fileOf(bytes: Buffer): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'image-storage-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  const path = join(folder, 'image');
  await writeFile(path, bytes);
  return path;
}

it('makes several previews and the ThumbHash of one reading', async () => {
  const order = orderOf(png, { widths: [320, 640] });
  const { previews, thumbHash } = await open().decode(order, inParts(png));
  const sizes = await Promise.all(previews.map(async ({ bytes }) => (await sharp(bytes).metadata()).width));
  expect([sizes, previews.map(({ width }) => width)]).toEqual([
    [320, 640],
    [320, 640],
  ]);
  expect(thumbHash!.length).toBeGreaterThan(5);
});

it('reads a file by itself, and no other bytes than were saved', async () => {
  const decoder = open();
  const path = await fileOf(png);
  const { previews } = await decoder.decode(orderOf(png, { path }), inParts(png));
  expect(previews).toHaveLength(1);
  await expect(decoder.decode(orderOf(png, { path, sha256: '0'.repeat(64) }), inParts(png))).rejects.toThrow(
    UnreadImageError,
  );
  await expect(decoder.decode(orderOf(png, { path: `${path}.gone` }), inParts(png))).rejects.toThrow(UnreadImageError);
});

it('is ended at the deadline, and started again for the next', async () => {
  const decoder = open(1);
  await expect(decoder.decode(orderOf(png), inParts(png))).rejects.toThrow(SlowDecodeError);
  const patient = open();
  await patient.decode(orderOf(png), inParts(png));
  const { pid } = patient;
  process.kill(pid!, 'SIGKILL');
  await expect.poll(() => patient.pid).toBeUndefined();
  expect((await patient.decode(orderOf(png), inParts(png))).previews).toHaveLength(1);
});

it('says of an image that it cannot be decoded, and goes on', async () => {
  const decoder = open();
  const junk = Buffer.from('no image at all');
  await expect(decoder.decode(orderOf(junk), inParts(junk))).rejects.toThrow(DecodeError);
  const { pid } = decoder;
  await decoder.decode(orderOf(png), inParts(png));
  expect(decoder.pid).toBe(pid);
});

it('forgets an image whose bytes fail', async () => {
  const decoder = open();
  async function* broken(): AsyncGenerator<Buffer> {
    yield png.subarray(0, 100);
    throw new Error('the bucket is gone');
  }
  await expect(decoder.decode(orderOf(png), broken())).rejects.toThrow('the bucket is gone');
  expect((await decoder.decode(orderOf(png), inParts(png))).previews).toHaveLength(1);
});

it.runIf(process.platform === 'linux')('lets everything else go first, and knows no secret', async () => {
  const decoder = open();
  await decoder.decode(orderOf(png), inParts(png));
  const threads = `/proc/${decoder.pid}/task`;
  const niceOf = (thread: string) =>
    readFileSync(`${threads}/${thread}/stat`, 'latin1')
      .replace(/^.*\) /, '')
      .split(' ')[16];
  expect([...new Set(readdirSync(threads).map(niceOf))]).toEqual(['19']);
  expect(readFileSync(`/proc/${decoder.pid}/environ`, 'utf8')).not.toMatch(/PATH|HOME|IMAGE_STORAGE/);
});
