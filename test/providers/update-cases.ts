/** What an update of every provider must change, and leave alone. */
import { describe, expect, it } from 'vitest';
import { collect } from '../support/bytes.ts';
import { pngOf } from '../support/images.ts';
import { plain, type TestedProvider } from './tested-provider.ts';

const MANY_TAGS = Array.from({ length: 64 }, (_, number) => `tag ${number}`);

export function describeUpdates(tested: TestedProvider): void {
  describe('update', () => {
    const filenames = async (query: object) => (await tested.storage.list(query)).map(({ filename }) => filename);

    it('changes pin, tags and category, finds the image by them, and counts it', async () => {
      const saved = await tested.saveAt(1, { prompt: 'a fox', category: 'draft', tags: ['old', 'kept'] });
      await tested.saveAt(2, { prompt: 'a fox' });
      const changes = {
        pinned: true,
        addTags: ['new', 'kept', 'new'],
        removeTags: ['old', 'never'],
        category: 'final',
      };
      const updated = await tested.storage.update(saved.filename, changes);
      const { metadata, ...rest } = plain(saved) as { metadata: object };
      expect(plain(updated)).toEqual({
        ...rest,
        pinned: true,
        metadata: { ...metadata, category: 'final', tags: ['kept', 'new'] },
      });
      await tested.reopen();
      const { item, body } = await tested.storage.get(saved.filename);
      expect(plain(item)).toEqual(plain(updated));
      expect((await collect(body)).length).toBe(saved.size);
      for (const query of [{ tags: ['new', 'kept'] }, { category: 'final' }, { pinned: true }]) {
        expect(await filenames(query)).toEqual([saved.filename]);
        expect(await filenames({ ...query, query: 'fox' })).toEqual([saved.filename]);
      }
      expect(await filenames({ query: 'tag:new is:pinned category:final' })).toEqual([saved.filename]);
      for (const query of [{ tags: ['old'] }, { category: 'draft' }, { query: 'tag:old' }]) {
        expect(await filenames(query)).toEqual([]);
      }
      const [counted] = await tested.storage.getStatistics();
      expect(counted).toMatchObject({ count: 2, pinnedCount: 1 });
      expect(counted!.byCategory.map(({ name, count }) => [name, count]).sort()).toEqual([
        ['', 1],
        ['final', 1],
      ]);
      const { groups } = await tested.storage.totals({ by: 'tag' });
      expect(groups.map(({ name, count }) => [name, count]).sort()).toEqual([
        ['', 1],
        ['kept', 1],
        ['new', 1],
      ]);
    });

    it('changes nothing more when it is repeated, and takes all away again', async () => {
      const { filename, ...saved } = await tested.saveAt(1);
      const changes = { pinned: true, addTags: ['a'], category: 'c' };
      const once = await tested.storage.update(filename, changes);
      expect(plain(await tested.storage.update(filename, changes))).toEqual(plain(once));
      expect(plain(await tested.storage.update(filename, {}))).toEqual(plain(once));
      const back = await tested.storage.update(filename, { pinned: false, removeTags: ['a'], category: '' });
      expect(plain(back)).toEqual(plain({ filename, ...saved }));
    });

    it('loses none of many at once', async () => {
      const { filename } = await tested.saveAt(1);
      const tags = MANY_TAGS.slice(0, 12);
      await Promise.all(tags.map((tag) => tested.storage.update(filename, { addTags: [tag] })));
      expect([...(await tested.storage.get(filename)).item.metadata.tags].sort()).toEqual([...tags].sort());
    });

    it('refuses what cannot be, and changes nothing then', async () => {
      const { filename } = await tested.saveAt(1, { tags: MANY_TAGS });
      const refusals = [
        { addTags: ['one more'], pinned: true },
        { addTags: ['tag 1'], removeTags: ['tag 1'] },
        { addTags: [''] },
        { removeTags: ['\0'] },
        { category: 'x'.repeat(257) },
      ];
      for (const changes of refusals) {
        await expect(tested.storage.update(filename, changes)).rejects.toMatchObject({ reason: 'FIELD_INVALID' });
      }
      expect((await tested.storage.get(filename)).item).toMatchObject({ pinned: false, metadata: { tags: MANY_TAGS } });
      const swapped = await tested.storage.update(filename, { addTags: ['one more'], removeTags: ['tag 1'] });
      expect(swapped.metadata.tags).toHaveLength(64);
      for (const missing of ['20240927_141522_flux-schnell_zzzzzz.png', 'no-image', '../x']) {
        const update = tested.storage.update(missing, { pinned: true });
        await expect(update).rejects.toMatchObject({ reason: 'IMAGE_NOT_FOUND' });
      }
    });

    it('leaves its key to the save, which returns the image as it is now when it is repeated', async () => {
      const again = (category: string) =>
        tested.saveAt(1, { category, tags: ['t'] }, { idempotencyKey: 'key', pinned: true });
      const { filename } = await again('draft');
      const updated = await tested.storage.update(filename, { pinned: false, category: 'final', removeTags: ['t'] });
      const replayed = await again('draft');
      expect(replayed.replayed).toBe(true);
      expect(plain(replayed)).toEqual(plain(updated));
      await expect(again('final')).rejects.toMatchObject({ reason: 'IDEMPOTENCY_KEY_REUSED' });
      await tested.reopen();
      expect(plain(await again('draft'))).toEqual(plain(updated));
    });

    it('decides what cleanup spares', async () => {
      const [one, other] = [await tested.saveAt(1, {}, { pinned: true }), await tested.saveAt(2)];
      await tested.storage.update(one.filename, { pinned: false });
      await tested.storage.update(other.filename, { pinned: true });
      expect(await tested.storage.cleanup({ keepCount: 0 })).toMatchObject({
        filenames: [one.filename],
        keptPinned: 1,
      });
    });

    it('leaves nothing behind when the image is deleted, and does not bring it back', async () => {
      const { filename } = await tested.storage.save(pngOf({ width: 8, height: 8 }), { prompt: '', model: 'm' });
      await tested.storage.update(filename, { pinned: true });
      await Promise.allSettled([
        tested.storage.update(filename, { addTags: ['late'] }),
        tested.storage.delete(filename),
        tested.storage.update(filename, { addTags: ['later'] }),
      ]);
      await expect(tested.storage.update(filename, { pinned: false })).rejects.toMatchObject({
        reason: 'IMAGE_NOT_FOUND',
      });
      await tested.reopen();
      expect(await tested.storage.list()).toEqual([]);
      expect(await tested.leftovers()).toEqual([]);
    });
  });
}
