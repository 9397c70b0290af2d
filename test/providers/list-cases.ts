/** What lists and counts of every provider must show. */
import { describe, expect, it } from 'vitest';
import type { GroupBy, StorageItem, TotalsOptions } from '../../src/storage/index.ts';
import { DAY, plain, T0, type TestedProvider } from './tested-provider.ts';

export function describeLists(tested: TestedProvider): void {
  describe('list', () => {
    it('shows the newest first, or the oldest, and at most as many as asked', async () => {
      const saved = await Promise.all([3, 1, 2, 2].map((at) => tested.saveAt(at)));
      const newest = saved.sort(byTimestamp).map((item) => item.filename);
      expect(await names({})).toEqual(newest);
      expect(await names({ order: 'oldest' })).toEqual(newest.toReversed());
      expect(await names({ limit: 3 })).toEqual(newest.slice(0, 3));
    });

    it('finds by date, model, category, tags and pin', async () => {
      const fox = await tested.saveAt(
        0,
        { model: 'black-forest-labs/FLUX.1 [dev]', category: 'fox', tags: ['a', 'b'] },
        { pinned: true },
      );
      const owl = await tested.saveAt(DAY / 1000, { model: 'sdxl', category: 'owl', tags: ['b'] });
      const day = (n: number) => new Date(Date.UTC(2024, 8, 27 + n));
      expect(await names({ dateRange: { start: day(0), end: day(1) } })).toEqual([fox.filename]);
      expect(await names({ dateRange: { start: new Date(T0 + DAY) } })).toEqual([owl.filename]);
      expect(await names({ dateRange: { end: new Date(T0 + DAY) } })).toEqual([fox.filename]);
      expect(await names({ model: 'black-forest-labs/FLUX.1 [dev]' })).toEqual([fox.filename]);
      expect(await names({ model: 'black-forest-labs-flux-1-dev' })).toEqual([fox.filename]);
      expect(await names({ model: 'black-forest-labs/flux.1 [dev]' })).toEqual([]);
      expect(await names({ category: 'owl' })).toEqual([owl.filename]);
      expect(await names({ tags: ['b'] })).toEqual([owl.filename, fox.filename]);
      expect(await names({ tags: ['a', 'b'] })).toEqual([fox.filename]);
      expect(await names({ pinned: true })).toEqual([fox.filename]);
      expect(await names({ pinned: false, category: 'fox' })).toEqual([]);
    });

    it('never takes models of other scripts together', async () => {
      const [one, two] = [await tested.saveAt(1, { model: '模型一' }), await tested.saveAt(2, { model: 'модель' })];
      expect([one, two].map((saved) => saved.key.split('/')[4])).toEqual(['unknown', 'unknown']);
      expect(await names({ model: 'unknown' })).toEqual([]);
      expect(await names({ model: '模型一' })).toEqual([one.filename]);
    });

    it('finds words of the prompt: beginnings, any case, without accents, in scripts without spaces', async () => {
      const fox = await tested.saveAt(1, { prompt: 'A Café terrace, red fox (masterpiece:1.2), 4k' });
      const cat = await tested.saveAt(2, { prompt: '一只猫坐在窗台上' });
      expect(await names({ query: 'cafe FOX' })).toEqual([fox.filename]);
      expect(await names({ query: 'terr mast' })).toEqual([fox.filename]);
      expect(await names({ query: 'fox owl' })).toEqual([]);
      expect(await names({ query: '猫' })).toEqual([cat.filename]);
      expect(await names({ query: '窗台' })).toEqual([cat.filename]);
      expect(await names({ query: '台窗' })).toEqual([]);
      for (const syntax of ['"', 'a AND', 'NEAR(', 'x*', '-fox', 'prompt:fox', '(((']) await names({ query: syntax });
      await tested.storage.delete(fox.filename);
      expect(await names({ query: 'fox' })).toEqual([]);
    });

    it('finds phrases, alternatives, what is not there, fields and ranges', async () => {
      const fox = await tested.saveAt(
        1,
        {
          prompt: 'a portrait of a sailor, <lora:ink:0.8>',
          parametersJson: '{"seed":18446744073709551615,"steps":28,"cfg_scale":3.5,"negative_prompt":"blurry"}',
        },
        { pinned: true },
      );
      const owl = await tested.saveAt(2, {
        prompt: 'an owl of a sail, 붉은고양이 🦊',
        model: '',
        tags: ['Blue Hour'],
        parametersJson: '{"seed":42,"steps":20,"sampler_name":"euler"}',
      });
      for (const query of [
        ...['"a sailor"', 'sailor', '-owl', '"of a sail" OR portrait -owl', 'seed:18446744073709551615', 'steps:>=21'],
        ...['cfg:3..4', 'lora:ink', '<lora:ink:0.8>', 'negative:blur', '-tag:"blue hour"', 'is:pinned', 'model:flux'],
        ...[fox.filename.slice(0, 20), fox.filename.split(/[_.]/).at(-2)!, `sha256:${fox.sha256.slice(0, 8)}`],
      ])
        expect(await names({ query }), query).toEqual([fox.filename]);
      for (const query of [
        '고양',
        '🦊',
        'tag:"blue hour"',
        'sampler:EULER',
        'model:unknown',
        'size:<=8 steps:20',
        '-sailor',
      ])
        expect(await names({ query }), query).toEqual([owl.filename]);
      for (const query of ['after:2024-09-27', '-before:2024-09-27', 'sail', 'type:png', '-blurry', 'owl OR sailor'])
        expect(await names({ query }), query).toEqual([owl.filename, fox.filename]);
      for (const query of ['seed:1844', 'blurry', 'before:2024-09-27', 'has:workflow', 'steps:>28', '-', '"a phrase'])
        expect(await names({ query }), query).toEqual([]);
    });

    it('resumes by token, unmoved by saves and deletes in between', async () => {
      const saved = (await Promise.all(Array.from({ length: 25 }, (_, at) => tested.saveAt(at)))).sort(byTimestamp);
      const seen: string[] = [];
      for (let pageToken: string | undefined; pageToken !== ''; ) {
        const page = await firstPage({ pageSize: 10, pageToken });
        seen.push(...page.items.map((item) => item.filename));
        pageToken = page.nextPageToken;
        await tested.saveAt(100 + seen.length);
        await tested.storage.delete(saved[seen.length - 1]!.filename);
      }
      expect(seen).toEqual(saved.map((item) => item.filename));
    });

    it('refuses a token of other filters, and one that is none', async () => {
      await Promise.all([1, 2].map((at) => tested.saveAt(at)));
      const { nextPageToken } = await firstPage({ pageSize: 1 });
      for (const options of [
        { pageToken: nextPageToken, model: 'x' },
        { pageToken: 'nonsense' },
        { pageToken: 'W10' },
      ]) {
        await expect(firstPage(options)).rejects.toMatchObject({ reason: 'PAGE_TOKEN_INVALID' });
      }
    });

    it('shows as rows what a table needs, without parameters, texts cut between characters', async () => {
      const parametersJson = JSON.stringify({
        seed: 42,
        negative_prompt: '🌫'.repeat(500),
        workflow: 'x'.repeat(50_000),
      });
      await tested.saveAt(2, { prompt: `${'a'.repeat(299)}🦊🦊 fox`, tags: ['t'], parametersJson }, { pinned: true });
      await tested.saveAt(1, { prompt: '🦊'.repeat(300), parametersJson: '{"seed":7}' });
      const full = await tested.storage.list();
      const rows = await tested.storage.list({ view: 'row' });
      const cut = { prompt: `${'a'.repeat(299)}🦊`, parametersJson: '' };
      expect(rows.map(plain)).toEqual([
        {
          ...plain(full[0]!),
          metadata: { ...(plain(full[0]!) as StorageItem).metadata, ...cut },
          generation: { ...full[0]!.generation, negativePrompt: '🌫'.repeat(300) },
        },
        {
          ...plain(full[1]!),
          metadata: { ...(plain(full[1]!) as StorageItem).metadata, parametersJson: '' },
        },
      ]);
      // By walking an index, by the text index, and by testing each image.
      for (const query of [undefined, 'fox', 'steps:>=0 OR seed:42'])
        expect((await tested.storage.list({ view: 'row', query, pinned: true })).map(plain)).toEqual([plain(rows[0]!)]);
      await expect(firstPage({ view: 'cell' as 'row' })).rejects.toMatchObject({ field: 'view' });
    });

    it('goes on with rows where a page of whole images ended', async () => {
      await Promise.all([1, 2].map((at) => tested.saveAt(at, { parametersJson: '{"seed":1}' })));
      const { nextPageToken: pageToken } = await firstPage({ pageSize: 1 });
      const { items } = await firstPage({ pageToken, view: 'row' });
      expect(items.map(({ metadata }) => metadata.parametersJson)).toEqual(['']);
    });

    it('keeps a page below 1 MiB', async () => {
      const parametersJson = JSON.stringify({ workflow: 'x'.repeat(300_000) });
      await Promise.all(Array.from({ length: 8 }, (_, at) => tested.saveAt(at, { parametersJson })));
      const sizes: number[] = [];
      for await (const page of tested.storage.list().pages()) sizes.push(page.items.length);
      expect(sizes).toEqual([3, 3, 2]);
    });
  });

  it('counts by model, category and day, the same after a restart', async () => {
    await tested.saveAt(0, { category: 'a' }, { pinned: true });
    await tested.saveAt(1, { category: 'b', model: 'sdxl' });
    const gone = await tested.saveAt(2, { category: 'b' });
    const kept = await tested.saveAt(DAY / 1000, {});
    await tested.storage.delete(gone.filename);
    const items = await tested.storage.list();
    const statistics = (await tested.storage.getStatistics())[0]!;
    expect(statistics).toMatchObject({
      count: 3,
      bytes: items.reduce((sum, item) => sum + item.size, 0),
      pinnedCount: 1,
    });
    expect(statistics).toMatchObject({ oldest: new Date(T0), newest: kept.metadata.timestamp });
    expect(counts(statistics.byModel)).toEqual({ 'flux-schnell': 2, sdxl: 1 });
    expect(counts(statistics.byCategory)).toEqual({ '': 1, a: 1, b: 1 });
    expect(statistics.byDate.map((group) => group.name)).toEqual(['2024-09-28', '2024-09-27']);
    await tested.reopen();
    const { freeBytes: _, ...before } = statistics;
    expect((await tested.storage.getStatistics())[0]).toMatchObject(before);
    expect((await tested.storage.list()).map(plain)).toEqual(items.map(plain));
  });

  describe('totals', () => {
    it('count what matches, in total and by group', async () => {
      const fox = await tested.saveAt(0, { category: 'fox', tags: ['a', 'b'], prompt: 'a red fox <lora:ink:1>' });
      const owl = await tested.saveAt(DAY / 1000, { model: 'sdxl', tags: ['b'], prompt: 'a red owl' });
      const car = await tested.saveAt((40 * DAY) / 1000, { model: 'sdxl', prompt: 'a blue car' });
      const bytes = fox.size + owl.size;
      const [oldest, newest] = [fox, owl].map(({ metadata }) => metadata.timestamp);
      const found = { count: 2, bytes, oldest, newest, more: false };
      expect(await tested.storage.totals()).toMatchObject({ count: 3, bytes: bytes + car.size, groups: [] });
      expect(await tested.storage.totals({ query: 'red' })).toEqual({ ...found, groups: [] });
      const groupsOf = async (options: TotalsOptions) =>
        (await tested.storage.totals(options)).groups.map(({ name, count, rest }) => [name, count, rest]);
      expect(await groupsOf({ by: 'day', query: 'red' })).toEqual([
        ['2024-09-28', 1, false],
        ['2024-09-27', 1, false],
      ]);
      expect(await groupsOf({ by: 'month', timeZone: 'Pacific/Auckland' })).toEqual([
        ['2024-11', 1, false],
        ['2024-09', 2, false],
      ]);
      expect(await groupsOf({ by: 'model', limit: 1 })).toEqual([
        ['sdxl', 2, false],
        ['', 1, true],
      ]);
      expect(await groupsOf({ by: 'tag', startsWith: 'B' })).toEqual([['b', 2, false]]);
      expect(await groupsOf({ by: 'lora', model: 'flux-schnell' })).toEqual([['ink', 1, false]]);
      await tested.storage.delete(fox.filename);
      expect(await groupsOf({ by: 'tag' })).toEqual([
        ['', 1, false],
        ['b', 1, false],
      ]);
    });

    it.each([
      ['time_zone', { timeZone: 'Mars/Base' }],
      ['by', { by: 'colour' as GroupBy }],
      ['limit', { limit: 10_001 }],
      ['starts_with', { startsWith: 'x'.repeat(1025) }],
      ['date_range.start', { dateRange: { start: new Date(Number.NaN) } }],
    ])('refuse a wrong %s by its name', async (field, options: TotalsOptions) => {
      await expect(tested.storage.totals(options)).rejects.toMatchObject({ reason: 'FIELD_INVALID', field });
    });
  });

  it('hints at what there is in place of what no image has', async () => {
    const labels = { category: 'animals', tags: ['fox', 'forest'] };
    await tested.saveAt(0, { model: 'dreamshaper_8', ...labels });
    for (const at of [1, 2]) await tested.saveAt(at, { model: 'black-forest-labs/FLUX.1 [dev]', ...labels });
    await tested.saveAt(3, { model: 'sdxl', tags: ['forests'] });
    const hintsFor = (filter: object) => tested.storage.hints(filter);
    expect(await hintsFor({ model: 'dreamshaper' })).toEqual([{ field: 'model', values: ['dreamshaper_8'] }]);
    expect(await hintsFor({ model: 'Flux' })).toEqual([{ field: 'model', values: ['black-forest-labs/FLUX.1 [dev]'] }]);
    expect(await hintsFor({ category: 'Animal', tags: ['forest', 'Fores'] })).toEqual([
      { field: 'category', values: ['animals'] },
      { field: 'tag', values: ['forest', 'forests'] },
    ]);
    // Nothing is similar: those of most images.
    const { values } = (await hintsFor({ model: 'pony' }))[0]!;
    expect(values).toEqual(['black-forest-labs/FLUX.1 [dev]', 'dreamshaper_8', 'sdxl']);
    expect(await hintsFor({ model: 'sdxl', category: 'animals' })).toEqual([]);
    expect(await hintsFor({ query: 'fox model:dreamshapr tag:"forrest"' })).toEqual([
      { field: 'model', values: ['dreamshaper_8'] },
      { field: 'tag', values: ['forest'] },
    ]);
    for (const query of ['model:sd', '-model:none', 'tag:none OR tag:fox', 'none']) {
      expect(await hintsFor({ query }), query).toEqual([]);
    }
  });

  const names = async (options: object) => (await tested.storage.list(options)).map((item) => item.filename);
  const firstPage = async (options: object) => {
    for await (const page of tested.storage.list(options).pages()) return page;
    throw new Error('no page');
  };
}

function byTimestamp(a: StorageItem, b: StorageItem): number {
  const order = b.metadata.timestamp.getTime() - a.metadata.timestamp.getTime();
  return order || (a.filename < b.filename ? 1 : -1);
}

function counts(groups: { name: string; count: number }[]): Record<string, number> {
  return Object.fromEntries(groups.map(({ name, count }) => [name, count]));
}
