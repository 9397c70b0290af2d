/** `copy` between stores of different kinds: the same images with the same records, and honest words about those that are not. */
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { recordKey } from '../../src/storage/domain/naming.ts';
import type { StorageResult } from '../../src/storage/index.ts';
import { contentsOf } from '../support/behind-the-back.ts';
import { collect } from '../support/bytes.ts';
import { loseCatalog, untilNothingIsStaged } from '../support/files.ts';
import { pngOf } from '../support/images.ts';
import { verified } from '../support/maintained-store.ts';
import { copied, DAY_MS, type Kind, listed, MOVE, names, openPair, save, saveMany, T0 } from './copied-stores.ts';

describe.each<[Kind, Kind]>([
  ['folder', 'bucket'],
  ['bucket', 'folder'],
])('copy from a %s to a %s', (from, to) => {
  it('makes the same images with the same records, once', async () => {
    const { storage, a, b } = await openPair(from, to);
    const saved = await saveMany(storage, 12);
    const bytes = saved.reduce((sum, { size }) => sum + size, 0);
    const done = { copied: 12, copiedBytes: bytes, present: 0, failed: 0, deleted: 0, dryRun: false };
    expect(await copied(storage)).toEqual({ summary: done, failures: [] });
    expect(await listed(storage, 'b')).toEqual(await listed(storage, 'a'));
    for (const { filename, key } of saved) {
      const [one, other] = await Promise.all([a, b].map((hands) => hands.read(recordKey(filename))));
      expect(withoutNonce(other!)).toEqual(withoutNonce(one!));
      expect(await b.read(key)).toEqual(await a.read(key));
    }
    const before = await contentsOf(b);
    expect((await copied(storage)).summary).toMatchObject({ copied: 0, copiedBytes: 0, present: 12 });
    expect(await contentsOf(b)).toEqual(before);
    expect((await verified(storage, { provider: '*', deep: true })).summary).toMatchObject({ images: 24, findings: 0 });
  });

  it('takes the idempotency key along: a save with it is replayed there', async () => {
    const { storage } = await openPair(from, to);
    const { filename } = await save(storage, 1);
    await copied(storage);
    expect(await save(storage, 1, {}, { provider: 'b' })).toMatchObject({ filename, replayed: true });
    expect(await storage.list({ provider: 'b' })).toHaveLength(1);
  });

  it('is not stopped by a key that another image has there', async () => {
    const { storage } = await openPair(from, to);
    const own = await save(storage, 1, { timestamp: new Date(T0 - DAY_MS) }, { provider: 'b' });
    const { filename } = await save(storage, 1);
    expect((await copied(storage)).summary).toMatchObject({ copied: 1, failed: 0 });
    expect((await copied(storage)).summary).toMatchObject({ present: 1 });
    const again = save(storage, 1, { timestamp: own.metadata.timestamp }, { provider: 'b' });
    expect(await again).toMatchObject({ filename: own.filename, replayed: true });
    expect(names(await storage.list({ provider: 'b' }))).toEqual(names([own, { filename }]));
    expect((await verified(storage, { provider: 'b' })).findings).toEqual([]);
  });

  it('leaves each image somewhere when two moves meet', async () => {
    const { storage } = await openPair(from, to);
    const saved = await saveMany(storage, 24);
    await copied(storage);
    const back = { from: 'b', to: 'a' };
    const moves = await Promise.all([MOVE, back].map((way) => copied(storage, { ...way, deleteSource: true })));
    expect(moves.reduce((sum, { summary }) => sum + summary.deleted, 0)).toBe(saved.length);
    const left = [...(await storage.list({ provider: 'a' })), ...(await storage.list({ provider: 'b' }))];
    expect(names(left)).toEqual(names(saved));
  });

  it('only counts in a dry run', async () => {
    const { storage, folder, a, b } = await openPair(from, to);
    const saved = await saveMany(storage, 3);
    if (from === 'folder') await untilNothingIsStaged(join(folder, 'a'));
    const before = [await contentsOf(a), await contentsOf(b)];
    const { summary } = await copied(storage, { dryRun: true, deleteSource: true });
    const copiedBytes = saved.reduce((sum, { size }) => sum + size, 0);
    expect(summary).toEqual({ copied: 3, copiedBytes, present: 0, failed: 0, deleted: 0, dryRun: true });
    expect([await contentsOf(a), await contentsOf(b)]).toEqual(before);
  });

  it('takes only what it is told', async () => {
    const { storage } = await openPair(from, to);
    const saved = await saveMany(storage, 9);
    const meant = saved.filter((_, at) => at % 2 && at % 3 && at < 6);
    const filter = { category: 'animals', before: new Date(T0 + 6000) };
    expect((await copied(storage, { ...filter, model: 'flux-1-dev' })).summary.copied).toBe(meant.length);
    expect(names(await storage.list({ provider: 'b' }))).toEqual(names(meant));
  });

  it('moves back, when told to, what was moved away, under names of its own', async () => {
    const { storage } = await openPair(from, to);
    const saved = await saveMany(storage, 4);
    await copied(storage, { deleteSource: true, permanent: true });
    const back = { from: 'b', to: 'a', bringBack: true };
    expect((await copied(storage, { ...back, bringBack: false })).summary).toMatchObject({ copied: 0, failed: 4 });
    expect((await copied(storage, back)).summary).toMatchObject({ copied: 4, failed: 0 });
    expect((await copied(storage, { ...back, deleteSource: true })).summary).toMatchObject({ present: 4, deleted: 4 });
    const items = await storage.list();
    expect(items.map((item) => item.metadata.prompt).sort()).toEqual(saved.map((item) => item.metadata.prompt).sort());
    expect(items.map((item) => item.sha256).sort()).toEqual(saved.map((item) => item.sha256).sort());
    for (const { filename } of saved) {
      await expect(storage.get(filename)).rejects.toMatchObject({ reason: 'IMAGE_NOT_FOUND' });
    }
    expect((await verified(storage, { deep: true })).findings).toEqual([]);
  });

  it('moves into the trash of the source, and back out of it when told to', async () => {
    const { storage } = await openPair('folder', to);
    const saved = await saveMany(storage, 3);
    await copied(storage, { deleteSource: true });
    expect(names(await storage.listTrash())).toEqual(names(saved));
    const back = { from: 'b', to: 'a' };
    const refused = await copied(storage, back);
    expect(refused.summary).toMatchObject({ copied: 0, failed: 3 });
    expect(refused.failures.map(({ reason }) => reason)).toEqual(Array(3).fill('DELETED_BEFORE'));
    expect((await copied(storage, { ...back, bringBack: true })).summary).toMatchObject({ copied: 3, failed: 0 });
    expect(names(await storage.list())).toEqual(names(saved));
    expect(await storage.listTrash()).toEqual([]);
  });

  it('leaves the trash of the source where it is', async () => {
    const { storage } = await openPair('folder', to);
    const [gone, kept] = await saveMany(storage, 2);
    await storage.delete(gone!.filename);
    expect((await copied(storage)).summary).toMatchObject({ copied: 1, failed: 0 });
    expect(names(await storage.list({ provider: 'b' }))).toEqual(names([kept!]));
  });

  it('names what it cannot copy, and copies the rest', async () => {
    const { storage, a, b } = await openPair(from, to);
    const deleted = await save(storage, 1, { category: 'first' });
    await copied(storage, { category: 'first' });
    await storage.delete(deleted.filename, { provider: 'b' });
    const [good, missing, corrupt, taken] = await Promise.all([2, 3, 4, 5].map((at) => save(storage, at)));
    await b.write(taken!.key, pngOf({ width: 9, height: 9 }));
    await b.age!(taken!.key, DAY_MS);
    await verified(storage, { provider: 'b', repair: true });
    await a.remove(missing!.key);
    await a.write(corrupt!.key, changed(await a.read(corrupt!.key)));
    const wanted = [
      `${deleted.filename} DELETED_BEFORE`,
      `${missing!.filename} BYTES_MISSING`,
      `${corrupt!.filename} BYTES_CORRUPT`,
      `${taken!.filename} FILENAME_TAKEN`,
    ].sort();
    for (const outcome of [
      { copied: 1, present: 0 },
      { copied: 0, present: 1 },
    ]) {
      const { summary, failures } = await copied(storage);
      expect(summary).toMatchObject({ ...outcome, failed: 4, deleted: 0 });
      expect(failures.map(({ filename, reason }) => `${filename} ${reason}`).sort()).toEqual(wanted);
    }
    expect(names(await storage.list({ provider: 'b' }))).toEqual(names([good!, taken!]));
    expect((await verified(storage, { provider: 'b', deep: true })).findings).toEqual([]);
  });

  it('deletes from the source only what it has read back from the target', async () => {
    const { storage, b } = await openPair(from, to);
    const saved = await saveMany(storage, 6);
    await copied(storage);
    const [corrupt, missing] = saved as [StorageResult, StorageResult];
    await b.write(corrupt.key, changed(await b.read(corrupt.key)));
    await b.remove(missing.key);
    const more = await save(storage, 7);
    const { summary, failures } = await copied(storage, { deleteSource: true });
    expect(summary).toMatchObject({ copied: 1, present: 4, failed: 2, deleted: 5 });
    expect(failures.map(({ filename, reason }) => `${filename} ${reason}`).sort()).toEqual(
      [`${corrupt.filename} BYTES_CORRUPT`, `${missing.filename} BYTES_MISSING`].sort(),
    );
    for (const { message } of failures) expect(message).toMatch(/^in the target: /);
    expect(names(await storage.list({ provider: 'a' }))).toEqual(names([corrupt, missing]));
    for (const { filename } of [corrupt, missing]) await collect((await storage.get(filename)).body);
    for (const { filename } of [more, ...saved.slice(2)]) {
      await collect((await storage.get(filename, { provider: 'b' })).body);
      await expect(storage.get(filename)).rejects.toMatchObject({ reason: 'IMAGE_NOT_FOUND' });
    }
  });

  it('leaves both stores clean when it is cancelled, and goes on where it ended', async () => {
    const { storage } = await openPair(from, to);
    await saveMany(storage, 20);
    const aborter = new AbortController();
    const run = async () => {
      for await (const _ of storage.copy({ ...MOVE, concurrency: 3, signal: aborter.signal })) aborter.abort();
    };
    await expect(run()).rejects.toMatchObject({ reason: 'CANCELLED' });
    const begun = (await storage.list({ provider: 'b' })).length;
    expect(begun).toBeLessThan(20);
    expect((await verified(storage, { provider: '*', deep: true })).findings).toEqual([]);
    expect((await copied(storage)).summary).toMatchObject({ copied: 20 - begun, present: begun, failed: 0 });
    expect((await verified(storage, { provider: '*', deep: true })).findings).toEqual([]);
  });

  it('may run twice at once, beside verify --repair: each image comes once', async () => {
    const { storage } = await openPair(from, to);
    await saveMany(storage, 20);
    const runs = [copied(storage, { concurrency: 8 }), copied(storage, { concurrency: 8 })];
    let copying = true;
    const both = Promise.all(runs).finally(() => {
      copying = false;
    });
    while (copying) expect((await verified(storage, { provider: 'b', repair: true })).findings).toEqual([]);
    const [one, other] = await both;
    expect(one!.summary.copied + other!.summary.copied).toBeGreaterThanOrEqual(20);
    expect(await listed(storage, 'b')).toEqual(await listed(storage, 'a'));
    expect((await copied(storage)).summary).toMatchObject({ copied: 0, present: 20, failed: 0 });
    expect((await verified(storage, { provider: 'b', deep: true })).findings).toEqual([]);
  });

  it('passes over what is deleted from the source meanwhile', async () => {
    const { storage } = await openPair(from, to);
    const saved = await saveMany(storage, 12);
    const victim = saved.at(-1)!.filename;
    let deleting: Promise<boolean> | undefined;
    for await (const event of storage.copy({ ...MOVE, concurrency: 1 })) {
      deleting ??= storage.delete(victim);
      await deleting;
      if (event.kind === 'summary') expect(event.summary).toMatchObject({ copied: 11, failed: 0 });
    }
    expect(await listed(storage, 'b')).toEqual(await listed(storage, 'a'));
  });

  it('does not wait for saves that hold all the places of saves', async () => {
    const { storage } = await openPair(from, to, { maxSaves: 1, saveQueueMs: 50 });
    await save(storage, 1);
    const [stalled, goOn] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    const slow = (async function* () {
      yield pngOf({ width: 3, height: 3 }).subarray(0, 40);
      stalled.resolve();
      await goOn.promise;
      yield pngOf({ width: 3, height: 3 }).subarray(40);
    })();
    const saving = storage.save(slow, { prompt: '', model: 'm' }, { provider: 'b' });
    await stalled.promise;
    expect((await copied(storage)).summary).toMatchObject({ copied: 1 });
    goOn.resolve();
    await saving;
  });
});

it('brings back what the target had deleted long ago, and no rebuild takes that for deleted', async () => {
  const pair = await openPair('folder', 'folder');
  const { filename } = await save(pair.storage, 1);
  await copied(pair.storage);
  await pair.storage.delete(filename, { provider: 'b', permanent: true });
  const refused = { filename, reason: 'DELETED_BEFORE' };
  expect(await copied(pair.storage)).toMatchObject({ summary: { copied: 0, failed: 1 }, failures: [refused] });
  await pair.storage.close();
  pair.aheadMs = 2 * DAY_MS;
  const storage = await pair.open();
  // Nothing is forgotten in the first hour.
  pair.aheadMs += 2 * 60 * 60 * 1000;
  await expect.poll(async () => (await copied(storage)).summary.copied).toBe(1);
  await storage.close();
  await loseCatalog(join(pair.folder, 'b'));
  const rebuilt = await pair.open();
  expect(await listed(rebuilt, 'b')).toEqual(await listed(rebuilt, 'a'));
});

describe('where verify --repair came between a killed copy and the next', () => {
  /** The bucket has the object of the copy; its record never came. */
  async function openWithRest() {
    const pair = await openPair('folder', 'bucket');
    const { filename, key } = await save(pair.storage, 4);
    await copied(pair.storage);
    await pair.storage.close();
    await pair.b.remove(recordKey(filename));
    await rm(join(pair.folder, 'b'), { recursive: true });
    const storage = await pair.open();
    const repaired = () => verified(storage, { provider: 'b', repair: true });
    return { ...pair, storage, filename, key, repaired };
  }

  it('goes on from what the first left for a day', async () => {
    const { storage, filename, repaired } = await openWithRest();
    expect(await repaired()).toMatchObject({ findings: [], summary: { undecided: 1 } });
    expect(await copied(storage)).toMatchObject({ summary: { copied: 1, failed: 0 } });
    expect(await listed(storage, 'b')).toEqual(await listed(storage, 'a'));
    expect(await save(storage, 4, {}, { provider: 'b' })).toMatchObject({ filename, replayed: true });
    expect((await copied(storage)).summary).toMatchObject({ copied: 0, present: 1 });
    expect((await verified(storage, { provider: 'b', deep: true })).findings).toEqual([]);
  });

  it('leaves alone what was adopted after that', async () => {
    const { storage, b, filename, key, repaired } = await openWithRest();
    await b.age!(key, DAY_MS);
    expect((await repaired()).findings).toMatchObject([{ filename, remedy: 'adopted' }]);
    const before = await contentsOf(b);
    const taken = { filename, reason: 'FILENAME_TAKEN' };
    for (const dryRun of [true, false]) {
      expect(await copied(storage, { dryRun })).toMatchObject({ summary: { copied: 0, failed: 1 }, failures: [taken] });
    }
    expect(await contentsOf(b)).toEqual(before);
  });
});

function changed(bytes: Buffer): Buffer {
  const copy = Buffer.from(bytes);
  copy[100]! ^= 1;
  return copy;
}

/** A record as a bucket and a folder have it alike. */
function withoutNonce(record: Buffer): object {
  const { nonce: _, ...rest } = JSON.parse(String(record));
  return rest;
}
