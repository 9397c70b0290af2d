/** `main.ts CONFIG PROMPT…`: generates an image for each prompt and stores it where the configuration says. */
import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { ImageStorageError } from '../../src/client.ts';
import { ImageService, openStore, type StoreConfig } from './image-service.ts';

const [configFile, ...prompts] = process.argv.slice(2);
if (configFile === undefined || prompts.length === 0) {
  console.error('usage: main.ts CONFIG PROMPT…');
  process.exit(64);
}
const config: StoreConfig = JSON.parse(await readFile(configFile, 'utf8'));
const store = await openStore(config);
try {
  const service = new ImageService(store);
  for (const prompt of prompts) {
    const seed = randomBytes(8).readBigUInt64BE();
    const { url, size } = await service.generateImage({ prompt, model: 'soft-light', seed });
    console.log(`${url}  ${size} bytes, seed ${seed}`);
  }
} catch (error) {
  // In one sentence, such as that there is no daemon.
  if (!(error instanceof ImageStorageError)) throw error;
  console.error(error.message);
  process.exitCode = 1;
} finally {
  await store.close();
}
