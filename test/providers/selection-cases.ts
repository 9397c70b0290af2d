/** What a cleanup of a selection takes of every provider, and what it leaves once a plan was made. */
import { beforeEach, describe, expect, it } from 'vitest';
import type { CleanupOptions, Selection, StorageItem } from '../../src/storage/index.ts';
import { DAY, T0, type TestedProvider } from './tested-provider.ts';

const YEAR_2099 = new Date(Date.UTC(2099, 0, 1));

export function describeSelections(tested: TestedProvider): void {
  describe('cleanup of a selection', () => {
    let saved: StorageItem[];
    beforeEach(async () => {
      saved = [];
      for (const at of [0, 1, 2, 3, 4, 5]) {
        const given = { model: at % 2 ? 'odd' : 'even', category: at < 3 ? 'first' : '', tags: [`t${at % 3}`, 'all'] };
        saved.push(await tested.saveAt(at, { prompt: `fox${at} in snow`, ...given }, { pinned: at === 1 }));
      }
    });

    const numberOf = (filename: string) => saved.findIndex((item) => item.filename === filename);
    const cleanUp = (selection: Selection, options: CleanupOptions = {}) =>
      tested.storage.cleanup({ ...options, selection });
    const taken = async (selection: Selection, options?: CleanupOptions) =>
      (await cleanUp(selection, options)).filenames.map(numberOf);
    const plan = async (selection: Selection, options?: CleanupOptions) =>
      (await cleanUp(selection, { ...options, dryRun: true })).plan!;
    const left = async () => (await tested.storage.list({ order: 'oldest' })).map(({ filename }) => numberOf(filename));
    const names = (...numbers: number[]) => numbers.map((number) => saved[number]!.filename);

    it('takes what matches every filter, and is kept by no criterion', async () => {
      const cases: [string, Selection, number[]][] = [
        ['a query', { query: 'fox2 OR fox4' }, [2, 4]],
        ['a model', { model: 'odd' }, [3, 5]],
        ['a category', { category: 'first' }, [0, 2]],
        ['tags', { tags: ['all', 't2'] }, [2, 5]],
        ['dates', { dateRange: { start: new Date(T0 + 2000), end: new Date(T0 + 4000) } }, [2, 3]],
        ['pinned images, none of which goes', { pinned: true }, []],
        ['unpinned images', { pinned: false, category: 'first' }, [0, 2]],
        ['names', { only: names(4, 1, 0, 4) }, [0, 4]],
        ['names that are unknown', { only: ['20240927_141522_m_zzzzzz.png', '..', ''] }, []],
        ['names that match', { only: names(0, 1, 2, 3), query: 'snow', model: 'even', tags: ['t0'] }, [0]],
        ['all but some', { query: 'snow', except: names(0, 3) }, [2, 4, 5]],
        ['a cutoff', { olderThan: new Date(T0 + 3000) }, [0, 2]],
        ['all but the newest that match', { model: 'even', keepCount: 1 }, [0, 2]],
        ['all but the newest of the named', { only: names(0, 2, 3), except: names(3), keepCount: 1 }, [0]],
        ['everything', { dateRange: { end: YEAR_2099 } }, [0, 2, 3, 4, 5]],
      ];
      for (const [what, selection, expected] of cases) {
        const planned = await cleanUp(selection, { dryRun: true });
        expect(planned.filenames.map(numberOf), what).toEqual(expected);
      }
      expect(await left()).toHaveLength(6);
    });

    it('takes what its plan says, and nothing else', async () => {
      for (const [selection, expected] of [
        [{ only: names(5, 1, 0), category: 'first' }, [0]],
        [{ query: 'snow', except: names(3) }, [2, 4, 5]],
      ] as const) {
        const { plan: made, restorableUntil: _, ...told } = await cleanUp(selection, { dryRun: true });
        expect(await cleanUp({ ...selection, plan: made! })).toMatchObject({ ...told, dryRun: false });
        expect(told.filenames.map(numberOf)).toEqual(expected);
      }
      expect(await left()).toEqual([1, 3]);
    });

    it('takes what is dated after now where no criterion stands beside it', async () => {
      const { filename } = await tested.saveAt(9, { timestamp: YEAR_2099 });
      expect(await cleanUp({ only: [filename], keepCount: 0 })).toMatchObject({ deletedCount: 0, keptFuture: 1 });
      expect(await cleanUp({ only: [filename] })).toMatchObject({ deletedCount: 1, keptFuture: 0 });
    });

    it('leaves what came or changed since the plan, and says how many', async () => {
      const all = { tags: ['all'] };
      const planned = await plan(all);
      await tested.storage.update(saved[0]!.filename, { addTags: ['new'] });
      await tested.storage.update(saved[1]!.filename, { pinned: false });
      await tested.storage.update(saved[2]!.filename, { pinned: true });
      await tested.storage.update(saved[3]!.filename, { removeTags: ['all'] });
      await tested.saveAt(-1, { tags: ['all'] });
      await tested.saveAt(7, { tags: ['all'] });
      const result = await cleanUp({ ...all, plan: planned });
      expect(result.filenames.map(numberOf)).toEqual([4, 5]);
      // 0, 1 and both new ones would have gone; 2 is pinned; 3 does not match.
      expect(result).toMatchObject({ keptChanged: 4, keptPinned: 1, more: false });
      expect(await tested.storage.list({ tags: ['all'] })).toHaveLength(5);
    });

    it('sees in its plan what was changed right before it', async () => {
      for (const number of [2, 4]) await tested.storage.update(saved[number]!.filename, { addTags: ['junk'] });
      const planned = await plan({ tags: ['junk'] });
      expect(await taken({ tags: ['junk'], plan: planned })).toEqual([2, 4]);
    });

    it('lets images that came since push no other out of those that are kept', async () => {
      const selection = { keepCount: 2 };
      const planned = await cleanUp(selection, { dryRun: true });
      expect(planned.filenames.map(numberOf)).toEqual([0, 2, 3]);
      for (const at of [7, 8, 9]) await tested.saveAt(at);
      await tested.storage.update(saved[1]!.filename, { pinned: false });
      expect(await cleanUp(selection, { dryRun: true })).toMatchObject({ deletedCount: 7 });
      const done = await cleanUp({ ...selection, plan: planned.plan! });
      expect(done).toMatchObject({ filenames: names(0, 2, 3), keptFuture: 0 });
    });

    it('ends where its plan ended', async () => {
      const planned = await cleanUp({ query: 'snow' }, { dryRun: true, maxDeletes: 2 });
      expect(planned).toMatchObject({ deletedCount: 2, more: true });
      await tested.storage.update(saved[0]!.filename, { pinned: true });
      const again = await cleanUp({ query: 'snow', plan: planned.plan! }, { dryRun: true });
      expect(again).toMatchObject({ filenames: names(2), more: true, keptPinned: 2 });
      expect(await taken({ query: 'snow', plan: again.plan! }, { maxDeletes: 100 })).toEqual([2]);
      expect(await left()).toEqual([0, 1, 3, 4, 5]);
    });

    it('takes nothing by a plan of nothing', async () => {
      expect(await taken({ query: 'snow', plan: await plan({ query: 'snow' }, { maxDeletes: 0 }) })).toEqual([]);
    });

    it('carries out the plan of criteria that stand by themselves', async () => {
      const { plan: planned } = await tested.storage.cleanup({ keepCount: 1, model: 'even', dryRun: true });
      await tested.saveAt(8, { model: 'even' });
      expect(await taken({ keepCount: 1, model: 'even', plan: planned! })).toEqual([0, 2]);
    });

    it('counts ages from its plan', async () => {
      const selection = { olderThan: { ageMs: DAY }, dateRange: { end: { ageMs: 0 } } } as unknown as Selection;
      const planned = await plan(selection);
      expect(await taken({ ...selection, plan: planned })).toEqual([0, 2, 3, 4, 5]);
    });

    it('needs something to select by', async () => {
      for (const selection of [{}, { except: names(0) }, { tags: [], only: [], query: '', model: '' }])
        for (const dryRun of [true, false])
          await expect(cleanUp(selection, { dryRun })).rejects.toMatchObject({ reason: 'CLEANUP_WITHOUT_CRITERION' });
      expect(await left()).toHaveLength(6);
    });

    it('refuses what no selection can be, by its field', async () => {
      const cases: [string, CleanupOptions, string][] = [
        ['another criterion beside it', { keepCount: 1, selection: { query: 'snow' } }, 'keep_count'],
        ['another cutoff', { olderThan: new Date(T0), selection: { query: 'snow' } }, 'older_than'],
        ['another filter', { model: 'odd', selection: { query: 'snow' } }, 'model'],
        ['1,001 names', { selection: { only: Array<string>(1001).fill('a') } }, 'selection.only'],
        ['1,001 exceptions', { selection: { query: 'a', except: Array<string>(1001).fill('a') } }, 'selection.except'],
        ['a name with NUL', { selection: { only: ['a\0'] } }, 'selection.only'],
        ['a long query', { selection: { query: 'x'.repeat(5000) } }, 'selection.query'],
        ['an empty tag', { selection: { tags: [''] } }, 'selection.tags'],
        ['a cutoff in the future', { selection: { olderThan: YEAR_2099 } }, 'selection.older_than'],
        ['a date that is none', { selection: { dateRange: { end: 'soon' as never } } }, 'selection.date_range.end'],
        ['a count below zero', { selection: { keepCount: -1 } }, 'selection.keep_count'],
        ['a plan that is none', { selection: { query: 'snow', plan: Buffer.from('plan') } }, 'selection.plan'],
        ['half a plan', { selection: { query: 'snow', plan: Buffer.from('[1,{"main":"[]"}]') } }, 'selection.plan'],
      ];
      for (const [what, options, field] of cases) {
        const refused = await tested.storage.cleanup(options).catch((error) => error);
        expect([refused.reason, refused.field], what).toEqual(['FIELD_INVALID', field]);
      }
      expect(await left()).toHaveLength(6);
    });

    it('refuses the plan of another selection, and one of before a restart', async () => {
      const planned = await plan({ query: 'fox2 OR fox4' });
      for (const other of [{}, { query: 'snow' }, { query: 'fox2 OR fox4', except: names(2) }])
        await expect(cleanUp({ ...other, plan: planned })).rejects.toMatchObject({ field: 'selection.plan' });
      await tested.reopen();
      const expired = { code: 'failed_precondition', reason: 'PLAN_EXPIRED' };
      const again = cleanUp({ query: 'fox2 OR fox4', plan: planned });
      if (tested.plansLast) await expect(again).resolves.toMatchObject({ deletedCount: 2 });
      else await expect(again).rejects.toMatchObject(expired);
      expect(await left()).toHaveLength(tested.plansLast ? 4 : 6);
    });
  });
}
