/** Writes images into a folder as their bytes come in, as most generators do today. */
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { demoImage } from './image.ts';

const CHUNK_BYTES = 256 * 1024;
const folder = process.argv[2]!;

createInterface({ input: process.stdin }).on('line', async (line) => {
  const seed = Number(line);
  const bytes = demoImage(seed);
  const file = await open(join(folder, `image-${seed}.png`), 'w');
  for (let start = 0; start < bytes.length; start += CHUNK_BYTES)
    await file.write(bytes.subarray(start, start + CHUNK_BYTES));
  await file.close();
  process.stdout.write(`${seed}\n`);
});
