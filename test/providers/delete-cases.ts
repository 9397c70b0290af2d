/** What deletes and cleanups of every provider must take and leave. */
import { beforeEach, describe, expect, it } from 'vitest';
import { T0, type TestedProvider } from './tested-provider.ts';

export function describeDeletes(tested: TestedProvider): void {
  describe('delete', () => {
    it('is final, also for a pinned image, and leaves no file', async () => {
      const { filename } = await tested.saveAt(1, {}, { pinned: true });
      expect(await tested.storage.delete(filename)).toBe(true);
      expect(await tested.storage.delete(filename)).toBe(false);
      await expect(tested.storage.get(filename)).rejects.toMatchObject({ reason: 'IMAGE_NOT_FOUND' });
      await tested.reopen();
      expect(await tested.storage.list()).toEqual([]);
      expect(await tested.leftovers()).toEqual([]);
    });
  });

  describe('cleanup', () => {
    beforeEach(async () => {
      for (const at of [0, 1, 2, 3, 4])
        await tested.saveAt(at, { model: at % 2 ? 'odd' : 'even' }, { pinned: at === 1 });
    });
    const left = async () =>
      (await tested.storage.list({ order: 'oldest' })).map((item) => (item.metadata.timestamp.getTime() - T0) / 1000);

    it('takes what is older than asked, and spares what is pinned', async () => {
      const result = await tested.storage.cleanup({ olderThan: new Date(T0 + 3000) });
      expect(result).toMatchObject({ deletedCount: 2, keptPinned: 1, more: false, dryRun: false });
      expect(await left()).toEqual([1, 3, 4]);
    });

    it('keeps the newest so many, not counting what is pinned', async () => {
      await tested.storage.cleanup({ keepCount: 2 });
      expect(await left()).toEqual([1, 3, 4]);
    });

    it('keeps the newest that fit into so many bytes', async () => {
      const sizes = (await tested.storage.list()).map((item) => item.size);
      await tested.storage.cleanup({ keepBytes: sizes[0]! + sizes[1]! });
      expect(await left()).toEqual([1, 3, 4]);
    });

    it('protects what any criterion protects', async () => {
      await tested.storage.cleanup({ olderThan: new Date(T0 + 4000), keepCount: 3 });
      expect(await left()).toEqual([1, 2, 3, 4]);
    });

    it('looks only at the model it is told', async () => {
      await tested.storage.cleanup({ keepCount: 1, model: 'even' });
      expect(await left()).toEqual([1, 3, 4]);
    });

    it('tells in a dry run exactly what it then does', async () => {
      const { plan: _, ...plan } = await tested.storage.cleanup({ keepCount: 1, dryRun: true });
      expect(await left()).toEqual([0, 1, 2, 3, 4]);
      const done = await tested.storage.cleanup({ keepCount: 1 });
      const { restorableUntil } = done;
      expect({ ...plan, dryRun: false, restorableUntil }).toEqual({ ...done, restorableUntil });
      expect(done.filenames).toHaveLength(3);
    });

    it('stops at the most deletes, the oldest first', async () => {
      expect(await tested.storage.cleanup({ keepCount: 0, maxDeletes: 2 })).toMatchObject({
        deletedCount: 2,
        more: true,
      });
      expect(await left()).toEqual([1, 3, 4]);
    });

    it('counts what only its pin spares', async () => {
      expect(await tested.storage.cleanup({ keepCount: 0 })).toMatchObject({ deletedCount: 4, keptPinned: 1 });
      expect(await tested.storage.cleanup({ keepCount: 0 })).toMatchObject({ deletedCount: 0, keptPinned: 1 });
      expect(await tested.storage.cleanup({ keepCount: 1 })).toMatchObject({ deletedCount: 0, keptPinned: 0 });
    });

    it('keeps what is dated after now, and counts it for no criterion', async () => {
      for (const at of [6, 7, 8]) await tested.saveAt(at, { timestamp: new Date(Date.UTC(2099, 0, at)) });
      expect(await tested.storage.cleanup({ keepCount: 2 })).toMatchObject({ deletedCount: 2, keptFuture: 3 });
      expect((await left()).slice(0, 3)).toEqual([1, 3, 4]);
      expect(await tested.storage.cleanup({ keepCount: 0 })).toMatchObject({ deletedCount: 2, keptFuture: 3 });
      expect(await tested.storage.list()).toHaveLength(4);
    });

    it('refuses filters without a criterion', async () => {
      await expect(tested.storage.cleanup({ model: 'even' })).rejects.toMatchObject({
        reason: 'CLEANUP_WITHOUT_CRITERION',
      });
    });
  });
}
