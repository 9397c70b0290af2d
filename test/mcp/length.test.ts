/** How many characters answers have: those that an assistant's host counts, whole messages with all that is in them. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { inParallel } from '../../src/storage/async/parallel.ts';
import { pngOf } from '../support/images.ts';
import { type Assistant, typeScriptAssistant } from './assistant.ts';
import { rowsOf, structureOf, useAssistedStore } from './assisted-store.ts';

const store = useAssistedStore();
const IMAGES = 600;
const DAY_MS = 24 * 60 * 60 * 1000;
/** Quotes and ends of lines take more characters in JSON. */
const PROMPT = 'masterpiece, "best quality",\nein Fuchs im Schnee, 一只狐狸 '.repeat(20);

/** Returns the filename of the oldest. */
async function saveAll(): Promise<string> {
  let oldest = '';
  await inParallel(16, Array.from({ length: IMAGES }).keys(), async (at) => {
    const image = await store.client.save(pngOf({ width: 16, height: 16, seed: at }), {
      prompt: `${PROMPT}${at}`,
      model: `checkpoints/a-rather-long-name-of-a-model-v${at % 30}.safetensors`,
      category: `a category of some length, number ${at % 20}`,
      tags: ['portrait', 'winter', 'to be printed'],
      timestamp: new Date(Date.UTC(2024, 0, 1) + Math.floor(at / 10) * DAY_MS + at * 1000),
      parametersJson: `{"seed":${18446744073709551615n - BigInt(at)},"steps":30}`,
    });
    if (at === 0) oldest = image.filename;
  });
  return oldest;
}

let assistant: Assistant;
beforeAll(async () => {
  assistant = await typeScriptAssistant(store.flags);
});
afterAll(() => assistant.close());

// One test: a store is emptied before each.
it('are few, of 600 images of long names and prompts', { timeout: 60_000 }, async () => {
  const first = await saveAll();
  const answer = async (name: string, args: object, most: number) => {
    const result = await assistant.call(name, args);
    expect(JSON.stringify(result).length, name).toBeLessThanOrEqual(most);
    return structureOf(result);
  };
  const listed = await answer('list_images', {}, 5000);
  expect(listed).toMatchObject({ total: IMAGES, next_page_token: expect.any(String) });
  expect(listed.rows).toHaveLength(20);
  for (const image of rowsOf(listed)) {
    expect(image.seed).toMatch(/^184467440737095\d{5}$/);
    expect(image.prompt).toMatch(/^masterpiece, "best quality",\n.*…$/);
  }
  expect((await answer('list_images', { provider: '*', page_token: listed.next_page_token }, 5000)).rows.length).toBe(
    20,
  );
  const whole = await answer('storage_stats', {}, 2500);
  expect(whole.providers[0]).toMatchObject({ count: IMAGES, by_model: expect.any(Array), by_date: expect.any(Array) });
  const counts = whole.providers[0].by_model.map(([, count]: [string, number]) => count);
  expect(counts.reduce((sum: number, count: number) => sum + count)).toBe(IMAGES);
  for (const by of ['day', 'model', 'tag'])
    expect(await answer('storage_stats', { by }, 2500)).toMatchObject({ total: 600 });

  const plan = await answer('cleanup_images', { query: 'fuchs', keep_count: 0 }, 2500);
  expect(plan).toMatchObject({
    deleted: false,
    count: IMAGES,
    oldest: '2024-01-01T00:00:00Z',
    newest: '2024-02-29T00:09:59Z',
  });
  expect(plan.ten_oldest).toHaveLength(10);
  expect(plan.ten_oldest[0]).toBe(first);
  expect(plan.by_model).toHaveLength(6);
  const { confirm_token } = plan;
  const done = await answer('cleanup_images', { query: 'fuchs', keep_count: 0, confirm_token }, 500);
  expect(done).toMatchObject({ deleted: true, count: IMAGES });
  expect((await answer('list_trash', {}, 5000)).rows).toHaveLength(20);
  expect(await answer('restore_images', { confirm_token }, 200)).toEqual({ restored: IMAGES });
  const missing = Array.from({ length: 99 }, (_, at) => `20240101_000000_a-rather-long-name-of-a-model_${at}.png`);
  const named = await answer('delete_images', { filenames: [first, ...missing] }, 2500);
  expect(named).toMatchObject({ count: 1, ten_oldest: [{ filename: first }] });
  expect(named.not_deleted.at(-1)).toBe('and 89 more');
  expect(Object.keys(await answer('delete_images', { filenames: missing.slice(0, 1) }, 300))).toEqual([
    'deleted',
    'count',
    'bytes',
    'not_deleted',
    'next_step',
  ]);
});
