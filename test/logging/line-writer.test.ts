/** What becomes of log lines that nothing takes: they wait within a bound, in order, and a loss is reported. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, it, onTestFinished } from 'vitest';
import { type LineWriter, openLineWriter } from '../../src/logging/line-writer.ts';
import { type Fifo, openFifo } from '../support/serve-process.ts';

const LINE_BYTES = 100;

function openPair(): { fifo: Fifo; writer: LineWriter } {
  const folder = mkdtempSync(join(tmpdir(), 'image-storage-lines-'));
  const fifo = openFifo(folder);
  onTestFinished(() => {
    fifo[Symbol.dispose]();
    rmSync(folder, { recursive: true });
  });
  return { fifo, writer: openLineWriter({ fd: fifo.fd }, (lines) => `lost ${lines}\n`) };
}

function writeLines(writer: LineWriter, from: number, to: number): void {
  for (let number = from; number < to; number += 1) writer.write(`${`${number} `.padEnd(LINE_BYTES - 1, '.')}\n`);
}

async function readLines(fifo: Fifo): Promise<string[]> {
  let text = '';
  for (let quiet = 0; quiet < 20; ) {
    const more = fifo.read();
    text += more;
    quiet = more === '' ? quiet + 1 : 0;
    await sleep(20);
  }
  expect(text.endsWith('\n')).toBe(true);
  return text.trimEnd().split('\n');
}

const numbersOf = (lines: string[]) => lines.map((line) => Number.parseInt(line, 10));
const range = (from: number, to: number) => Array.from({ length: to - from }, (_, at) => from + at);

it('writes a line at once while it is read, and later what did not fit, in order', async () => {
  const { fifo, writer } = openPair();
  writeLines(writer, 0, 1);
  expect(numbersOf(fifo.read().trimEnd().split('\n'))).toEqual([0]);
  writeLines(writer, 1, 5_000);
  expect(numbersOf(await readLines(fifo))).toEqual(range(1, 5_000));
});

it('drops what exceeds 1 MiB, and reports how many lines where they are missing', async () => {
  const { fifo, writer } = openPair();
  const total = 30_000;
  writeLines(writer, 0, total);
  const lines = await readLines(fifo);
  writeLines(writer, total, total + 1);
  lines.push(...(await readLines(fifo)));
  const at = lines.findIndex((line) => line.startsWith('lost'));
  const lost = Number(lines[at]!.split(' ')[1]);
  expect(at * LINE_BYTES).toBeGreaterThan(1024 * 1024);
  expect(at * LINE_BYTES).toBeLessThan(1.5 * 1024 * 1024);
  expect(numbersOf(lines.slice(0, at))).toEqual(range(0, at));
  expect(at + lost).toBe(total);
  expect(numbersOf(lines.slice(at + 1))).toEqual([total]);
});
