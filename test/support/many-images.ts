/** Stores with so many images that saving them would take too long: records and bytes laid out as a daemon leaves them. */
import { createHash } from 'node:crypto';
import { linkSync, mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { imageFilename, imageKey, KEY_ROOT, modelSlug, recordKey } from '../../src/storage/domain/naming.ts';
import type { ImageRecord } from '../../src/storage/domain/record.ts';
import { formatRecord } from '../../src/storage/domain/record-file.ts';
import { noise, pngOf } from './images.ts';

/** A word of every second prompt. */
export const BROAD_WORD = 'portrait';
/** A word of one prompt in a thousand. */
export const RARE_WORD = 'narwhal';

const MODELS = ['black-forest-labs/FLUX.1 [dev]', 'flux-schnell', 'sdxl-turbo', 'stable-diffusion-3.5', 'qwen-image'];
const CATEGORIES = ['', 'people', 'places', 'drafts'];
const FIRST_DAY = Date.UTC(2026, 0, 1);
const DAY_MS = 24 * 60 * 60 * 1000;
const DAYS = 10;
/** Below what a file may have in ext4. */
const MAX_LINKS = 50_000;
const SYLLABLES = 'ba ce di fo gu ka le mi no pu ra se ti vo zu'.split(' ');
const BYTES = pngOf({ width: 1, height: 1 });
const SHA256 = createHash('sha256').update(BYTES).digest('hex');

/**
 * Below an empty or missing base path. There is no catalog: the next start builds it from the records. Equal images share
 * a file by hard links, since creating files is what takes the time.
 */
export function layOutImages(basePath: string, count: number): void {
  const pathOf = (key: string) => join(basePath, key.slice(KEY_ROOT.length));
  const made = new Set<string>();
  const ready = (path: string) => {
    if (!made.has(dirname(path))) mkdirSync(dirname(path), { recursive: true });
    made.add(dirname(path));
    return path;
  };
  let first = '';
  for (let number = 0; number < count; number += 1) {
    const record = recordOf(number);
    const image = ready(pathOf(record.key));
    if (number % MAX_LINKS === 0) first = image;
    if (first === image) writeFileSync(image, BYTES);
    else linkSync(first, image);
    writeFileSync(ready(pathOf(recordKey(record.filename))), formatRecord(record));
  }
}

/** What the store knows of one of them. */
export function recordOf(number: number): ImageRecord {
  const model = MODELS[number % MODELS.length]!;
  const timestamp = FIRST_DAY + (number % DAYS) * DAY_MS + number;
  const filename = imageFilename(timestamp, modelSlug(model), number.toString(36).padStart(6, '0'), 'png');
  return {
    filename,
    key: imageKey(filename),
    size: BYTES.length,
    sha256: SHA256,
    contentType: 'image/png',
    width: 1,
    height: 1,
    createTime: timestamp,
    pinned: number % 100 === 0,
    prompt: promptOf(number),
    model,
    timestamp,
    category: CATEGORIES[number % CATEGORIES.length]!,
    tags: number % 3 === 0 ? ['keeper'] : [],
    parametersJson: JSON.stringify({
      seed: number,
      steps: 28,
      guidance: 3.5,
      sampler: 'euler',
      negative_prompt: negativeOf(number),
      width: 1024,
      height: 1024,
    }),
    idempotencyKey: `key-${number}`,
    fingerprint: SHA256,
  };
}

/** 15 words; every twentieth image has the same. */
export function negativeOf(number: number): string {
  return promptOf((number % 20) - 20)
    .split(' ')
    .slice(0, 15)
    .join(' ');
}

/** 20 to 60 words of a vocabulary of some thousands. */
export function promptOf(number: number): string {
  const [length, ...random] = noise(256, number);
  const words = Array.from({ length: 20 + (length! % 40) }, (_, at) =>
    word(random[at * 3]!, random[at * 3 + 1]!, random[at * 3 + 2]!),
  );
  if (number % 2 === 0) words.push(BROAD_WORD);
  if (number % 1000 === 0) words.push(RARE_WORD);
  return words.join(' ');
}

function word(...random: number[]): string {
  return random.map((byte) => SYLLABLES[byte % SYLLABLES.length]).join('');
}
