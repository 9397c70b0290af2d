/** What the trash of every provider must keep, give back and let go. */
import { expect, it } from 'vitest';
import type { Page, StorageItem } from '../../src/storage/index.ts';
import { collect } from '../support/bytes.ts';
import { pngOf } from '../support/images.ts';
import { DAY, plain, T0, type TestedProvider } from './tested-provider.ts';

const DAYS = 3;
const NO_IMAGE = { reason: 'IMAGE_NOT_FOUND' };

/** Requires that deleted images can be brought back for three days. */
export function describeTrash(tested: TestedProvider): void {
  const remove = (filename: string, permanent = false) => tested.storage.remove(filename, { permanent });
  const trash = async (query = '') => namesOf(await tested.storage.listTrash({ query }));
  const live = async () => namesOf(await tested.storage.list());
  const counts = async () => {
    const [{ count, bytes, pinnedCount, trashCount, trashBytes } = expect.fail()] =
      await tested.storage.getStatistics();
    return { count, bytes, pinnedCount, trashCount, trashBytes };
  };

  it('takes a deleted image out of sight, and says until when it can be brought back', async () => {
    const kept = await tested.saveAt(1);
    const image = await tested.saveAt(2, { prompt: 'a fox', category: 'c', tags: ['t'] }, { pinned: true });
    const before = Date.now();
    const { deleted, restorableUntil } = await remove(image.filename);
    expect(deleted).toBe(true);
    const until = restorableUntil!.getTime() - DAYS * DAY;
    expect(until).toBeGreaterThanOrEqual(before);
    expect(until).toBeLessThanOrEqual(Date.now());
    for (let round = 0; round < 2; round += 1) {
      expect(await live()).toEqual([kept.filename]);
      expect(namesOf(await tested.storage.list({ query: 'fox' }))).toEqual([]);
      await expect(tested.storage.get(image.filename)).rejects.toMatchObject(NO_IMAGE);
      await expect(tested.storage.update(image.filename, { pinned: false })).rejects.toMatchObject(NO_IMAGE);
      expect(await remove(image.filename)).toEqual({ deleted: false });
      const sizes = { bytes: kept.size, trashBytes: image.size };
      expect(await counts()).toEqual({ count: 1, pinnedCount: 0, trashCount: 1, ...sizes });
      const [item] = await tested.storage.listTrash();
      const { deleteTime, purgeTime, ...rest } = item!;
      expect(plain(rest)).toEqual(plain(image));
      expect([deleteTime?.getTime(), purgeTime]).toEqual([until, restorableUntil]);
      await tested.reopen();
    }
  });

  it('gives an image back as it was, with its bytes, its key and its place in lists', async () => {
    const metadata = { prompt: 'a fox', category: 'c', tags: ['t'], parameters: { seed: 7 } };
    const save = () => tested.saveAt(1, metadata, { pinned: true, idempotencyKey: 'k' });
    const { filename } = await save();
    const image = await tested.storage.update(filename, { addTags: ['u'] });
    await remove(filename);
    const restored = await tested.storage.restore(filename);
    expect(plain(restored)).toEqual(plain(image));
    for (let round = 0; round < 2; round += 1) {
      const { item, body } = await tested.storage.get(filename);
      expect(plain(item)).toEqual(plain(image));
      expect((await collect(body)).equals(pngOf({ width: 8, height: 8, seed: 1 }))).toBe(true);
      expect(namesOf(await tested.storage.list({ query: 'fox', tags: ['u'], category: 'c' }))).toEqual([filename]);
      expect(await trash()).toEqual([]);
      const sizes = { bytes: image.size, trashBytes: 0 };
      expect(await counts()).toEqual({ count: 1, pinnedCount: 1, trashCount: 0, ...sizes });
      const replayed = await save();
      expect(replayed).toMatchObject({ replayed: true, deleted: false });
      expect(plain(replayed)).toEqual(plain(image));
      await tested.reopen();
    }
    expect(await tested.leftovers()).toEqual([]);
  });

  it('takes and gives one image again and again, also with updates between', async () => {
    const { filename } = await tested.saveAt(1);
    for (const tag of ['a', 'b', 'c']) {
      await remove(filename);
      expect(await trash()).toEqual([filename]);
      await tested.storage.restore(filename);
      await tested.storage.update(filename, { addTags: [tag] });
    }
    await tested.reopen();
    expect((await tested.storage.get(filename)).item.metadata.tags).toEqual(['a', 'b', 'c']);
    expect(await counts()).toMatchObject({ count: 1, trashCount: 0 });
  });

  it('forgets when an image would go by itself once it is brought back', async () => {
    const { filename, expireTime } = await tested.saveAt(1, {}, { ttlMs: DAY });
    expect(expireTime).toBeDefined();
    await remove(filename);
    expect(await tested.storage.restore(filename)).not.toHaveProperty('expireTime');
    await tested.reopen();
    expect((await tested.storage.get(filename)).item).not.toHaveProperty('expireTime');
  });

  it('says of what it cannot bring back whether it is live or unknown', async () => {
    const { filename } = await tested.saveAt(1);
    await expect(tested.storage.restore(filename)).rejects.toMatchObject({ reason: 'NOT_DELETED' });
    await remove(filename, true);
    for (const missing of [filename, '20240927_141522_flux-schnell_zzzzzz.png', 'no-image', '../x']) {
      await expect(tested.storage.restore(missing)).rejects.toMatchObject(NO_IMAGE);
    }
  });

  it('lists the last deleted first, page by page, and finds by a query', async () => {
    const saved: string[] = [];
    for (const at of [1, 2, 3, 4, 5]) {
      const { filename } = await tested.saveAt(at, { prompt: at % 2 ? 'a fox' : 'a hen' });
      saved.push(filename);
    }
    for (const filename of saved) await remove(filename);
    const items = await tested.storage.listTrash();
    const times = items.map(({ deleteTime }) => deleteTime!.getTime());
    expect(times).toEqual([...times].sort((a, b) => b - a));
    expect(namesOf(items).sort()).toEqual([...saved].sort());
    expect((await trash('fox')).sort()).toEqual([saved[0]!, saved[2]!, saved[4]!].sort());
    const pages: Page[] = [];
    for await (const page of tested.storage.listTrash({ pageSize: 2 }).pages()) pages.push(page);
    expect(pages.map((page) => page.items.length)).toEqual([2, 2, 1]);
    expect(pages.flatMap((page) => namesOf(page.items))).toEqual(namesOf(items));
    const { nextPageToken } = pages[0]!;
    const rest = await tested.storage.listTrash({ pageToken: nextPageToken!, pageSize: 2 });
    expect(namesOf(rest)).toEqual(namesOf(items).slice(2));
    expect(await tested.storage.listTrash({ limit: 3 })).toHaveLength(3);
  });

  it('purges what it is told, only from the trash, and leaves nothing of it', async () => {
    const saved = [await tested.saveAt(1), await tested.saveAt(2), await tested.saveAt(3), await tested.saveAt(4)];
    const [one, other, third, kept] = saved.map(({ filename }) => filename) as [string, string, string, string];
    for (const filename of [one, other, third]) await remove(filename);
    const purged = await tested.storage.purge({ filenames: [one, kept, 'no-image'] });
    expect(purged).toEqual({ count: 1, bytes: saved[0]!.size, more: false });
    expect(await live()).toEqual([kept]);
    expect((await trash()).sort()).toEqual([other, third].sort());
    await expect(tested.storage.restore(one)).rejects.toMatchObject(NO_IMAGE);
    const bytes = saved[1]!.size + saved[2]!.size;
    expect(await tested.storage.purge({ all: true })).toEqual({ count: 2, bytes, more: false });
    expect(await tested.storage.purge({ all: true })).toEqual({ count: 0, bytes: 0, more: false });
    expect(await counts()).toMatchObject({ count: 1, trashCount: 0, trashBytes: 0 });
    await tested.reopen();
    expect([await live(), await trash()]).toEqual([[kept], []]);
    expect(await tested.leftovers()).toEqual([]);
  });

  it('deletes for good where that is asked for, also what is in the trash', async () => {
    const [one, other] = [await tested.saveAt(1), await tested.saveAt(2)];
    expect(await remove(one.filename, true)).toEqual({ deleted: true });
    await remove(other.filename);
    expect(await remove(other.filename, true)).toEqual({ deleted: true });
    expect(await remove(other.filename, true)).toEqual({ deleted: false });
    expect(await trash()).toEqual([]);
    for (const { filename } of [one, other]) {
      await expect(tested.storage.restore(filename)).rejects.toMatchObject(NO_IMAGE);
    }
    await tested.reopen();
    expect(await counts()).toEqual({ count: 0, bytes: 0, pinnedCount: 0, trashCount: 0, trashBytes: 0 });
    expect(await tested.leftovers()).toEqual([]);
  });

  it('tells a repeated save that its image was deleted, and never makes another of it', async () => {
    const save = (unlessDeleted = false) => tested.saveAt(1, {}, { idempotencyKey: 'k', unlessDeleted });
    const { filename } = await save();
    const expectTold = async () => {
      expect(await save()).toMatchObject({ filename, replayed: true, deleted: true });
      await expect(save(true)).rejects.toMatchObject({ reason: 'DELETED_BEFORE' });
      expect(await live()).toEqual([]);
    };
    await remove(filename);
    await expectTold();
    await tested.reopen();
    await expectTold();
    expect(await trash()).toEqual([filename]);
    await tested.storage.purge({ all: true });
    await expectTold();
    expect(await tested.leftovers()).toEqual([]);
  });

  it('knows deleted bytes under any key for a year, and forgets them once they are there again', async () => {
    const save = (idempotencyKey: string, unlessDeleted = true) =>
      tested.saveAt(1, {}, { idempotencyKey, unlessDeleted });
    const expectRefused = async () => {
      await expect(save('other')).rejects.toMatchObject({ reason: 'DELETED_BEFORE' });
      expect(await live()).toEqual([]);
      expect(await tested.leftovers()).toEqual([]);
    };
    const { filename } = await save('k');
    await remove(filename);
    await expectRefused();
    await tested.storage.purge({ all: true });
    await tested.reopen();
    await expectRefused();
    const again = await save('again', false);
    expect(await save('again')).toMatchObject({ filename: again.filename, replayed: true, deleted: false });
    const twin = await save('twin');
    expect(twin).toMatchObject({ replayed: false });
    // An equal image lives.
    await remove(twin.filename, true);
    expect(await save('third')).toMatchObject({ replayed: false });
  });

  it('keeps the same bytes with another key apart from what is in the trash', async () => {
    const { filename } = await tested.saveAt(1, {}, { idempotencyKey: 'k' });
    await remove(filename);
    const another = await tested.saveAt(1, {}, { idempotencyKey: 'l' });
    expect(another).toMatchObject({ replayed: false });
    expect(another.filename).not.toBe(filename);
    await tested.storage.restore(filename);
    expect((await live()).sort()).toEqual([filename, another.filename].sort());
  });

  it('takes what a cleanup deletes, unless it is told otherwise, and spares pins as ever', async () => {
    const [pinned] = [await tested.saveAt(0, {}, { pinned: true }), await tested.saveAt(1), await tested.saveAt(2)];
    const plan = await tested.storage.cleanup({ keepCount: 0, dryRun: true });
    expect(plan.restorableUntil!.getTime()).toBeGreaterThan(Date.now() + (DAYS - 1) * DAY);
    expect(await trash()).toEqual([]);
    const done = await tested.storage.cleanup({ keepCount: 0, maxDeletes: 1 });
    expect(await trash()).toEqual(done.filenames);
    const [item] = await tested.storage.listTrash();
    expect(done.restorableUntil!.getTime()).toBeLessThanOrEqual(item!.purgeTime!.getTime());
    const gone = await tested.storage.cleanup({ keepCount: 0, permanent: true });
    expect(gone).toMatchObject({ deletedCount: 1 });
    expect(gone).not.toHaveProperty('restorableUntil');
    expect([await trash(), await live()]).toEqual([done.filenames, [pinned.filename]]);
  });

  it('settles deletes, restores and purges of one image that meet', async () => {
    const { filename } = await tested.saveAt(1);
    await Promise.allSettled([
      remove(filename),
      tested.storage.restore(filename),
      remove(filename),
      tested.storage.update(filename, { addTags: ['t'] }),
      tested.storage.restore(filename),
    ]);
    await tested.reopen();
    const [inList, inTrash] = [await live(), await trash()];
    expect([...inList, ...inTrash]).toEqual([filename]);
    expect(await counts()).toMatchObject({ count: inList.length, trashCount: inTrash.length });
    if (inTrash.length > 0) await tested.storage.restore(filename);
    await collect((await tested.storage.get(filename)).body);
  });

  it('stays as it is when deletes are for good from now on', async () => {
    const [one, other] = [await tested.saveAt(1), await tested.saveAt(2)];
    await remove(one.filename);
    await tested.reopen({ trashDays: 0 });
    expect(await remove(other.filename)).toEqual({ deleted: true });
    expect(await trash()).toEqual([one.filename]);
    expect(await tested.storage.cleanup({ keepCount: 0, dryRun: true })).not.toHaveProperty('restorableUntil');
    expect(plain(await tested.storage.restore(one.filename))).toEqual(plain(one));
    expect(await live()).toEqual([one.filename]);
    expect(await tested.leftovers()).toEqual([]);
  });

  it('keeps nothing where deletes are for good', async () => {
    await tested.openAnew({ trashDays: 0 });
    const { filename } = await tested.saveAt(1, { timestamp: new Date(T0) });
    expect(await remove(filename)).toEqual({ deleted: true });
    expect(await trash()).toEqual([]);
    await expect(tested.storage.restore(filename)).rejects.toMatchObject(NO_IMAGE);
    expect(await counts()).toMatchObject({ count: 0, trashCount: 0, trashBytes: 0 });
    expect(await tested.leftovers()).toEqual([]);
  });
}

function namesOf(items: readonly StorageItem[]): string[] {
  return items.map(({ filename }) => filename);
}
