/** That `limits.imageCheck` decides what a save must pass. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { deflateSync } from 'node:zlib';
import { expect, it, onTestFinished } from 'vitest';
import type { ImageCheck } from '../../src/storage/domain/config.ts';
import { createStorage } from '../../src/storage/index.ts';
import { pngChunk, pngOf } from '../support/images.ts';

const size = { width: 8, height: 8 };
const WHOLE = pngOf(size);
const WRONG_CRC = Buffer.from(WHOLE);
WRONG_CRC[WHOLE.indexOf('IDAT') + 20]! ^= 1;
/** Its chunks and their CRCs are right. */
const HALF_ITS_ROWS = Buffer.concat([
  WHOLE.subarray(0, 33),
  pngChunk('IDAT', deflateSync(Buffer.alloc(4 * 25))),
  WHOLE.subarray(-12),
]);

async function open(imageCheck: ImageCheck | undefined) {
  const basePath = await mkdtemp(join(tmpdir(), 'image-storage-'));
  onTestFinished(() => rm(basePath, { recursive: true, force: true }));
  const limits = imageCheck === undefined ? {} : { imageCheck };
  const storage = await createStorage({ providers: { local: { basePath } }, limits });
  onTestFinished(() => storage.close());
  return storage;
}

it.each([
  [undefined, { whole: true, wrongCrc: false, halfItsRows: true }],
  ['structure', { whole: true, wrongCrc: false, halfItsRows: true }],
  ['pixels', { whole: true, wrongCrc: false, halfItsRows: false }],
  ['ends', { whole: true, wrongCrc: true, halfItsRows: true }],
] as const)('%s accepts %j', async (imageCheck, accepted) => {
  const storage = await open(imageCheck);
  const accepts = (bytes: Buffer) =>
    storage.save(bytes, { prompt: 'a fox', model: 'flux' }).then(
      () => true,
      (error) => {
        expect(error).toMatchObject({ reason: 'IMAGE_TRUNCATED' });
        return false;
      },
    );
  const answers = {
    whole: await accepts(WHOLE),
    wrongCrc: await accepts(WRONG_CRC),
    halfItsRows: await accepts(HALF_ITS_ROWS),
  };
  expect(answers).toEqual(accepted);
  expect(await storage.list()).toHaveLength(Object.values(accepted).filter(Boolean).length);
});
