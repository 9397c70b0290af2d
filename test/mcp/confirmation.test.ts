/** Deletes and cleanups of an assistant: planned first, confirmed by a token, and nothing else than what was shown. */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { createConfirmations } from '../../src/mcp/confirmation.ts';
import { pngOf } from '../support/images.ts';
import { type Assistant, typeScriptAssistant } from './assistant.ts';
import { refusalOf, saveSome, stored, structureOf, useAssistedStore } from './assisted-store.ts';

const READING = ['list_images', 'get_image', 'storage_stats'];
const store = useAssistedStore();

it('the plan of a cleanup counts what is dated in the future', async () => {
  const assistant = await typeScriptAssistant(store.flags);
  const [oldest, ...others] = await saveSome(store);
  const bytes = pngOf({ width: 16, height: 16, seed: 30 });
  const future = await store.client.save(bytes, { model: 'test', timestamp: new Date('2099-01-01') });
  const plan = structureOf(await assistant.call('cleanup_images', { keep_count: 2 }));
  expect(plan).toMatchObject({ count: 1, ten_oldest: [oldest], kept_future: 1 });
  const { confirm_token } = plan;
  const done = structureOf(await assistant.call('cleanup_images', { keep_count: 2, confirm_token }));
  expect(done).toMatchObject({ deleted: true, count: 1, kept_future: 1 });
  expect(await stored(store)).toEqual([...others, future.filename].sort());
  await assistant.close();
});

it('a cleanup that was confirmed deletes what was shown, though images are saved meanwhile', async () => {
  const assistant = await typeScriptAssistant(store.flags);
  const shown = await saveSome(store, 2);
  const plan = structureOf(await assistant.call('cleanup_images', { keep_count: 0 }));
  expect(plan.ten_oldest).toEqual(shown);
  const bytes = pngOf({ width: 16, height: 16, seed: 20 });
  const { filename } = await store.client.save(bytes, { model: 'test' });

  const { confirm_token } = plan;
  const done = structureOf(await assistant.call('cleanup_images', { keep_count: 0, confirm_token }));
  expect(done).toEqual({ deleted: true, count: 2, bytes: plan.bytes, restorable_until: expect.any(String) });
  expect(await stored(store)).toEqual([filename]);
  await assistant.close();
});

it('a cleanup of a search takes what was shown, but what was changed or pinned since', async () => {
  const assistant = await typeScriptAssistant(store.flags);
  const [first, second, third] = await saveSome(store);
  const which = { query: 'model:test', since: '9999d' };
  const plan = structureOf(await assistant.call('cleanup_images', which));
  expect(plan).toMatchObject({ count: 3, ten_oldest: [first, second, third], by_model: [['test', 3]] });
  await store.client.update(first!, { pinned: true });
  await store.client.update(second!, { addTags: ['mine'] });
  const { confirm_token } = plan;
  const other = await assistant.call('cleanup_images', { query: 'test', since: '9999d', confirm_token });
  expect(refusalOf(other)).toContain('Nothing was deleted');
  const done = structureOf(await assistant.call('cleanup_images', { ...which, confirm_token }));
  expect(done).toMatchObject({ deleted: true, count: 1, kept_pinned: 1, kept_changed: 1 });
  expect(await stored(store)).toEqual([first, second].sort());
  refusalOf(await assistant.call('cleanup_images', { ...which, confirm_token }));
  for (const filename of [first!, second!]) await store.client.delete(filename);
  await assistant.close();
});

it('what a confirmed call has deleted comes back by its token', async () => {
  const assistant = await typeScriptAssistant(store.flags);
  const filenames = (await saveSome(store)).sort();
  for (const [name, args] of [
    ['cleanup_images', { query: 'picture' }],
    ['delete_images', { filenames }],
  ] as const) {
    const { confirm_token } = structureOf(await assistant.call(name, args));
    structureOf(await assistant.call(name, { ...args, confirm_token }));
    expect(await stored(store)).toEqual([]);
    expect(structureOf(await assistant.call('restore_images', { confirm_token }))).toEqual({ restored: 3 });
    expect(await stored(store)).toEqual(filenames);
  }
  expect(refusalOf(await assistant.call('restore_images', { confirm_token: 'none' }))).toContain('Give filenames');
  await assistant.close();
});

describe('a destructive call changes nothing', () => {
  let assistant: Assistant;
  let filenames: string[];
  beforeAll(async () => {
    assistant = await typeScriptAssistant(store.flags);
  });
  afterAll(() => assistant.close());
  beforeEach(async () => {
    filenames = (await saveSome(store)).sort();
  });

  const calls = (): [string, object][] => [
    ['delete_images', { filenames: [...filenames] }],
    ['cleanup_images', { keep_count: 0 }],
  ];
  const planOf = async (name: string, args: object) => structureOf(await assistant.call(name, args)).confirm_token;

  it('without its token, however often', async () => {
    for (const [name, args] of [...calls(), ...calls()]) {
      expect(structureOf(await assistant.call(name, args))).toMatchObject({ deleted: false, count: 3 });
    }
    expect(await stored(store)).toEqual(filenames);
  });

  it('with a token made up, of another call, or of another server', async () => {
    const other = await typeScriptAssistant(store.flags);
    for (const [name, args] of calls()) {
      const foreign = structureOf(await other.call(name, args)).confirm_token;
      const [otherName, otherArgs] = calls().find(([each]) => each !== name)!;
      for (const confirm_token of ['', 'yes', foreign, await planOf(otherName, otherArgs)]) {
        expect(refusalOf(await assistant.call(name, { ...args, confirm_token }))).toContain('without confirm_token');
      }
    }
    await other.close();
    expect(await stored(store)).toEqual(filenames);
  });

  it('with a stale token, beside what was shown', async () => {
    const [gone, ...left] = filenames as [string, string, string];
    const args = { filenames: [gone, ...left] };
    const [ofDelete, ofCleanup] = [
      await planOf('delete_images', args),
      await planOf('cleanup_images', { keep_count: 0 }),
    ];
    const [added] = await saveSome(store, 1);
    await store.client.delete(gone);
    const refusal = refusalOf(await assistant.call('delete_images', { ...args, confirm_token: ofDelete }));
    expect(refusal).toContain('Nothing was deleted');
    expect(await stored(store)).toEqual([...left, added].sort());
    const done = structureOf(await assistant.call('cleanup_images', { keep_count: 0, confirm_token: ofCleanup }));
    expect(done).toMatchObject({ deleted: true, count: left.length });
    expect(await stored(store)).toEqual([added]);
  });

  it('with a token that was used', async () => {
    for (const [name, args] of calls()) {
      const confirm_token = await planOf(name, args);
      structureOf(await assistant.call(name, { ...args, confirm_token }));
      filenames = (await saveSome(store)).sort();
      refusalOf(await assistant.call(name, { ...args, confirm_token }));
      expect(await stored(store)).toEqual(filenames.sort());
    }
  });

  it('in read-only mode', async () => {
    const token = await planOf('delete_images', { filenames });
    const reader = await typeScriptAssistant([...store.flags, '--read-only']);
    expect((await reader.tools()).map(({ name }) => name)).toEqual(READING);
    for (const [name, args] of calls()) {
      await expect(reader.call(name, args)).rejects.toThrow();
      await expect(reader.call(name, { ...args, confirm_token: token })).rejects.toThrow();
    }
    await expect(reader.call('save_image', { path: 'small.png' })).rejects.toThrow();
    await reader.close();
    expect(await stored(store)).toEqual(filenames);
  });
});

it('a token is good for ten minutes', () => {
  let now = Date.UTC(2024, 0, 1);
  const confirmations = createConfirmations(() => now);
  const plan = { count: 1 };
  const token = confirmations.tokenFor(['tool'], plan);
  now += 10 * 60_000 - 1;
  confirmations.check(token, ['tool'], plan);
  now += 1;
  expect(() => confirmations.check(token, ['tool'], plan)).toThrow('expired');
  const [count, , seal] = token.split('.');
  expect(() => confirmations.check(`${count}.${now + 60_000}.${seal}`, ['tool'], plan)).toThrow('Nothing was deleted');
});
