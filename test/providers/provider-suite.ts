/** What every provider must do, written once: run over each of them with its own way to open a store. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { shortId } from '../../src/storage/domain/naming.ts';
import {
  createStorage,
  type ImageMetadata,
  type ProviderSettings,
  type Storage,
  type StorageConfig,
  type StorageItem,
  type StorageResult,
} from '../../src/storage/index.ts';
import { chunked, collect, sha256Of } from '../support/bytes.ts';
import { pngOf, sharedImages } from '../support/images.ts';

export interface OpenedProvider {
  /** The one that was opened last. */
  readonly storage: Storage;
  /** Closes it and opens it again over the same data. */
  reopen(): Promise<Storage>;
  /** Every object below the root that is no live image's, by name; empty when nothing was left behind. */
  leftovers(): Promise<string[]>;
  close(): Promise<void>;
}

export interface Opening {
  /** The settings of the provider `main`, given the folder that is its own. */
  settings(folder: string): ProviderSettings;
  leftovers(storage: Storage, folder: string): Promise<string[]>;
  shortIds?: string[] | undefined;
}

/** Opens a storage of one provider, `main`, in a folder that its `close` removes. */
export async function openMain({ settings, leftovers, shortIds = [] }: Opening) {
  const folder = await mkdtemp(join(tmpdir(), 'image-storage-'));
  const config: StorageConfig = {
    defaultProvider: 'main',
    providers: { main: { ...settings(folder), lockWaitSeconds: 1 } },
    // So that a size can be declared that no disk has room for.
    limits: { maxImageBytes: Number.MAX_SAFE_INTEGER },
  };
  const open = () => createStorage(config, { shortId: () => shortIds.shift() ?? shortId() });
  let storage = await open();
  return {
    folder,
    config,
    get storage() {
      return storage;
    },
    async reopen() {
      await storage.close();
      storage = await open();
      return storage;
    },
    leftovers: () => leftovers(storage, folder),
    async close() {
      await storage.close();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

export interface ProviderSuite {
  /** Opens an empty store; `shortIds` are handed out in order before random ones. */
  open(options?: { shortIds?: string[] }): Promise<OpenedProvider>;
  storageType: string;
  /** The URL an image of that key gets. */
  urlOf(key: string): RegExp;
}

const DAY = 24 * 60 * 60 * 1000;
const T0 = Date.UTC(2024, 8, 27, 14, 15, 22);

export function describeProvider(title: string, suite: ProviderSuite): void {
  describe(title, () => {
    let opened: OpenedProvider;
    let storage: Storage;

    beforeEach(async () => {
      opened = await suite.open();
      storage = opened.storage;
    });
    afterEach(() => opened.close());

    /** Saves a small image whose timestamp is `at` seconds after T0. */
    const saveAt = (at: number, metadata: Partial<ImageMetadata> = {}, options = {}): Promise<StorageResult> =>
      storage.save(
        pngOf({ width: 8, height: 8, seed: at }),
        { prompt: '', model: 'flux-schnell', timestamp: new Date(T0 + at * 1000), ...metadata },
        options,
      );

    describe('save and get', () => {
      it('keeps every real image byte for byte under its dated, readable name', async () => {
        for (const { name, bytes } of sharedImages()) {
          const saved = await storage.save(bytes, { prompt: name, model: 'FLUX.1 [schnell]', timestamp: new Date(T0) });
          const extension = name.split('.').at(-1);
          expect(saved.filename).toMatch(new RegExp(`^20240927_141522_flux-1-schnell_[0-9a-z]{6}\\.${extension}$`));
          expect(saved.key).toBe(`outputs/images/generations/2024-09-27/flux-1-schnell/${saved.filename}`);
          expect(saved.url).toMatch(suite.urlOf(saved.key));
          expect(saved).toMatchObject({
            size: bytes.length,
            sha256: sha256Of(bytes),
            provider: 'main',
            replayed: false,
          });
          expect(saved.storageType).toBe(suite.storageType);
          const { item, body } = await storage.get(saved.filename);
          expect(sha256Of(await collect(body))).toBe(saved.sha256);
          expect(plain(item)).toEqual(plain(saved));
        }
      });

      it('takes a stream in chunks of any size', async () => {
        const bytes = pngOf({ width: 64, height: 64, seed: 1 });
        for (const chunkBytes of [1, 1000, bytes.length]) {
          const saved = await storage.save(chunked(bytes, chunkBytes), { prompt: '', model: 'm' });
          expect(saved).toMatchObject({ sha256: sha256Of(bytes), width: 64, height: 64, contentType: 'image/png' });
        }
      });

      it('takes a stream whose chunks are all in one buffer, as a file is read', async () => {
        const bytes = pngOf({ width: 64, height: 64, seed: 1 });
        const reused = Buffer.alloc(5);
        const inOneBuffer = async function* () {
          for (let at = 0; at < bytes.length; at += reused.length) {
            yield reused.subarray(0, bytes.copy(reused, 0, at));
            reused.fill(0);
          }
        };
        const { filename } = await storage.save(inOneBuffer(), META);
        expect((await collect((await storage.get(filename)).body)).equals(bytes)).toBe(true);
      });

      it('returns the metadata as it was sent, a 64-bit seed and odd model names included', async () => {
        const parametersJson = '{"seed": 18446744073709551615, "steps":4.0}';
        const sent = {
          prompt: 'ein Füchslein 🦊 "quoted"\n',
          category: 'Tiere',
          tags: ['b', 'a', 'b'],
          parametersJson,
        };
        for (const [model, slug] of ODD_MODELS) {
          const { filename, key } = await storage.save(pngOf({ width: 8, height: 8 }), { ...sent, model });
          expect(key.split('/')[4]).toBe(slug);
          const { metadata } = (await storage.get(filename)).item;
          expect(metadata).toMatchObject({ ...sent, model, tags: ['b', 'a'] });
          expect(metadata.parameters.seed).toBe(18446744073709551615n);
        }
      });

      it('accepts parameters as an object, big integers exact', async () => {
        const saved = await saveAt(0, { parameters: { seed: 2n ** 64n - 1n, cfg: 3.5 } });
        expect(saved.metadata.parametersJson).toBe('{"seed":18446744073709551615,"cfg":3.5}');
      });

      it('reads ranges, the empty one at the end included', async () => {
        const bytes = pngOf({ width: 64, height: 64, seed: 2 });
        const { filename } = await storage.save(bytes, { prompt: '', model: 'm' });
        const read = async (offset: number, limit?: number) =>
          collect((await storage.get(filename, { offset, limit })).body);
        expect(await read(10, 20)).toEqual(bytes.subarray(10, 30));
        expect(await read(bytes.length - 5)).toEqual(bytes.subarray(-5));
        expect(await read(bytes.length - 5, 1000)).toEqual(bytes.subarray(-5));
        expect(await read(bytes.length)).toEqual(Buffer.alloc(0));
        await expect(storage.get(filename, { offset: bytes.length + 1 })).rejects.toMatchObject({
          reason: 'OFFSET_OUT_OF_RANGE',
        });
      });

      it('gives the bytes in chunks that fit into a message, whatever their size was in the save', async () => {
        const bytes = pngOf({ width: 64, height: 64, sizeBytes: 1_000_000 });
        const { filename } = await storage.save(bytes, META);
        for (const range of [{}, { offset: 1, limit: 700_000 }]) {
          const sizes: number[] = [];
          for await (const chunk of (await storage.get(filename, range)).body) sizes.push(chunk.length);
          expect(sizes.reduce((sum, size) => sum + size, 0)).toBe(range.limit ?? bytes.length);
          expect(Math.min(...sizes)).toBeGreaterThan(0);
          expect(Math.max(...sizes)).toBeLessThanOrEqual(256 * 1024);
        }
      });

      it('does not know a name that was never given', async () => {
        for (const name of ['', 'x.png', '../../etc/passwd', '20240927_141522_m_000000.png', '\0']) {
          await expect(storage.get(name)).rejects.toMatchObject({ reason: 'IMAGE_NOT_FOUND' });
          expect(await storage.delete(name)).toBe(false);
        }
      });

      it('never overwrites: a short id that is taken tries another', async () => {
        await opened.close();
        const shortIds = 'aaaaaa aaaaaa aaaaaa bbbbbb aaaaaa cccccc dddddd dddddd eeeeee'.split(' ');
        opened = await suite.open({ shortIds });
        storage = opened.storage;
        const idOf = ({ filename }: StorageResult) => filename.slice(-10, -4);
        const first = await saveAt(0);
        // Nothing is staged under that name any more: the next save meets the image itself.
        expect(await opened.leftovers()).toEqual([]);
        const second = await saveAt(1, { timestamp: new Date(T0) });
        expect([first, second].map(idOf)).toEqual(['aaaaaa', 'bbbbbb']);
        for (const saved of [first, second]) {
          expect(sha256Of(await collect((await storage.get(saved.filename)).body))).toBe(saved.sha256);
        }
        await storage.delete(first.filename);
        expect(idOf(await saveAt(0))).toBe('cccccc');
        // In a bucket each of the two may find the other's half-made image, and both then take another name.
        const both = await Promise.all([saveAt(2), saveAt(2)]);
        expect(new Set(both.map(idOf)).size).toBe(2);
        for (const saved of both) {
          expect(sha256Of(await collect((await storage.get(saved.filename)).body))).toBe(saved.sha256);
        }
        expect(await opened.leftovers()).toEqual([]);
      });
    });

    describe('refusals leave nothing behind', () => {
      const png = pngOf({ width: 32, height: 32, seed: 3 });
      const refused: [string, string, () => Promise<unknown>][] = [
        ['no bytes', 'IMAGE_EMPTY', () => storage.save(Buffer.alloc(0), META)],
        ['text', 'TYPE_NOT_ALLOWED', () => storage.save(Buffer.from('hello, I am no image at all'), META)],
        ['SVG', 'TYPE_NOT_ALLOWED', () => storage.save(Buffer.from('<svg xmlns="http://www.w3.org/2000/svg"/>'), META)],
        ['a cut image', 'IMAGE_TRUNCATED', () => storage.save(png.subarray(0, -1), META)],
        ['another type', 'TYPE_MISMATCH', () => storage.save(png, META, { contentType: 'image/jpeg' })],
        ['another size', 'SIZE_MISMATCH', () => storage.save(png, META, { size: png.length + 1 })],
        ['another sha256', 'CHECKSUM_MISMATCH', () => storage.save(png, META, { sha256: '0'.repeat(64) })],
        [
          'another sha256 at the end',
          'CHECKSUM_MISMATCH',
          () => storage.save(png, META, { trailer: () => ({ sha256: '0'.repeat(64) }) }),
        ],
        ['more than there is room for', 'DISK_FULL', () => storage.save(png, META, { size: 2 ** 52 })],
        ['a lone surrogate', 'FIELD_INVALID', () => storage.save(png, { ...META, prompt: '\ud800' })],
        ['NUL', 'FIELD_INVALID', () => storage.save(png, { ...META, model: 'a\0b' })],
        ['a prompt of 1 MB', 'FIELD_INVALID', () => storage.save(png, { ...META, prompt: 'x'.repeat(1e6) })],
        ['parameters that are no object', 'FIELD_INVALID', () => storage.save(png, { ...META, parametersJson: '[1]' })],
        ['an empty tag', 'FIELD_INVALID', () => storage.save(png, { ...META, tags: [''] })],
        ['the year 10000', 'FIELD_INVALID', () => storage.save(png, { ...META, timestamp: new Date(8.64e15) })],
        ['a key of 257 bytes', 'FIELD_INVALID', () => storage.save(png, META, { idempotencyKey: 'k'.repeat(257) })],
        ['an unknown provider', 'PROVIDER_NOT_FOUND', () => storage.save(png, META, { provider: 'nowhere' })],
        ['all providers', 'FIELD_INVALID', () => storage.save(png, META, { provider: '*' })],
        ['a cancelled call', 'CANCELLED', () => storage.save(chunked(png, 100), META, { signal: AbortSignal.abort() })],
      ];
      it.each(refused)('%s: %s', async (_what, reason, save) => {
        const noUseToRetry = { retryAfterMs: undefined, outcomeUnknown: false };
        await expect(save()).rejects.toMatchObject({ name: 'StorageError', reason, ...noUseToRetry });
        expect(await storage.list()).toEqual([]);
        expect(await opened.leftovers()).toEqual([]);
      });

      it('a source that fails in the middle keeps its own error', async () => {
        const broken = async function* () {
          yield png.subarray(0, 100);
          throw new RangeError('the generator crashed');
        };
        await expect(storage.save(broken(), META)).rejects.toThrow('the generator crashed');
        expect(await opened.leftovers()).toEqual([]);
      });
    });

    describe('idempotency keys', () => {
      it('make one image of many attempts, before and after a delete and a restart', async () => {
        const attempts = await Promise.all(Array.from({ length: 20 }, () => saveAt(1, {}, { idempotencyKey: 'k' })));
        expect(new Set(attempts.map((attempt) => attempt.filename)).size).toBe(1);
        expect(attempts.filter((attempt) => !attempt.replayed)).toHaveLength(1);
        storage = await opened.reopen();
        expect((await saveAt(1, {}, { idempotencyKey: 'k' })).replayed).toBe(true);
        await storage.delete(attempts[0]!.filename);
        expect((await saveAt(1, {}, { idempotencyKey: 'k' })).replayed).toBe(true);
        expect(await storage.list()).toEqual([]);
      });

      it('refuse other bytes and other metadata', async () => {
        await saveAt(1, {}, { idempotencyKey: 'k' });
        const reused = { code: 'already_exists', reason: 'IDEMPOTENCY_KEY_REUSED' };
        await expect(saveAt(2, { timestamp: new Date(T0 + 1000) }, { idempotencyKey: 'k' })).rejects.toMatchObject(
          reused,
        );
        await expect(saveAt(1, { prompt: 'other' }, { idempotencyKey: 'k' })).rejects.toMatchObject(reused);
        expect(await opened.leftovers()).toEqual([]);
      });
    });

    describe('list', () => {
      it('shows the newest first, or the oldest, and at most as many as asked', async () => {
        const saved = await Promise.all([3, 1, 2, 2].map((at) => saveAt(at)));
        const newest = saved.sort(byTimestamp).map((item) => item.filename);
        expect(await names({})).toEqual(newest);
        expect(await names({ order: 'oldest' })).toEqual(newest.toReversed());
        expect(await names({ limit: 3 })).toEqual(newest.slice(0, 3));
      });

      it('finds by date, model, category, tags and pin', async () => {
        const fox = await saveAt(
          0,
          { model: 'black-forest-labs/FLUX.1 [dev]', category: 'fox', tags: ['a', 'b'] },
          { pinned: true },
        );
        const owl = await saveAt(DAY / 1000, { model: 'sdxl', category: 'owl', tags: ['b'] });
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
        const [one, two] = [await saveAt(1, { model: '模型一' }), await saveAt(2, { model: 'модель' })];
        expect([one, two].map((saved) => saved.key.split('/')[4])).toEqual(['unknown', 'unknown']);
        expect(await names({ model: 'unknown' })).toEqual([]);
        expect(await names({ model: '模型一' })).toEqual([one.filename]);
      });

      it('finds words of the prompt: beginnings, any case, without accents, in scripts without spaces', async () => {
        const fox = await saveAt(1, { prompt: 'A Café terrace, red fox (masterpiece:1.2), 4k' });
        const cat = await saveAt(2, { prompt: '一只猫坐在窗台上' });
        expect(await names({ query: 'cafe FOX' })).toEqual([fox.filename]);
        expect(await names({ query: 'terr mast' })).toEqual([fox.filename]);
        expect(await names({ query: 'fox owl' })).toEqual([]);
        expect(await names({ query: '猫' })).toEqual([cat.filename]);
        expect(await names({ query: '窗台' })).toEqual([cat.filename]);
        expect(await names({ query: '台窗' })).toEqual([]);
        for (const syntax of ['"', 'a AND', 'NEAR(', 'x*', '-fox', 'prompt:fox', '(((']) await names({ query: syntax });
        await storage.delete(fox.filename);
        expect(await names({ query: 'fox' })).toEqual([]);
      });

      it('resumes by token, unmoved by saves and deletes in between', async () => {
        const saved = (await Promise.all(Array.from({ length: 25 }, (_, at) => saveAt(at)))).sort(byTimestamp);
        const seen: string[] = [];
        for (let pageToken: string | undefined; pageToken !== ''; ) {
          const page = await firstPage({ pageSize: 10, pageToken });
          seen.push(...page.items.map((item) => item.filename));
          pageToken = page.nextPageToken;
          await saveAt(100 + seen.length);
          await storage.delete(saved[seen.length - 1]!.filename);
        }
        expect(seen).toEqual(saved.map((item) => item.filename));
      });

      it('refuses a token of other filters, and one that is none', async () => {
        await Promise.all([1, 2].map((at) => saveAt(at)));
        const { nextPageToken } = await firstPage({ pageSize: 1 });
        for (const options of [
          { pageToken: nextPageToken, model: 'x' },
          { pageToken: 'nonsense' },
          { pageToken: 'W10' },
        ]) {
          await expect(firstPage(options)).rejects.toMatchObject({ reason: 'PAGE_TOKEN_INVALID' });
        }
      });

      it('keeps a page below 1 MiB', async () => {
        const parametersJson = JSON.stringify({ workflow: 'x'.repeat(300_000) });
        await Promise.all(Array.from({ length: 8 }, (_, at) => saveAt(at, { parametersJson })));
        const sizes: number[] = [];
        for await (const page of storage.list().pages()) sizes.push(page.items.length);
        expect(sizes).toEqual([3, 3, 2]);
      });
    });

    describe('delete', () => {
      it('is final, also for a pinned image, and leaves no file', async () => {
        const { filename } = await saveAt(1, {}, { pinned: true });
        expect(await storage.delete(filename)).toBe(true);
        expect(await storage.delete(filename)).toBe(false);
        await expect(storage.get(filename)).rejects.toMatchObject({ reason: 'IMAGE_NOT_FOUND' });
        storage = await opened.reopen();
        expect(await storage.list()).toEqual([]);
        expect(await opened.leftovers()).toEqual([]);
      });
    });

    describe('cleanup', () => {
      beforeEach(async () => {
        for (const at of [0, 1, 2, 3, 4]) await saveAt(at, { model: at % 2 ? 'odd' : 'even' }, { pinned: at === 1 });
      });
      const left = async () =>
        (await storage.list({ order: 'oldest' })).map((item) => (item.metadata.timestamp.getTime() - T0) / 1000);

      it('takes what is older than asked, and spares what is pinned', async () => {
        const result = await storage.cleanup({ olderThan: new Date(T0 + 3000) });
        expect(result).toMatchObject({ deletedCount: 2, keptPinned: 1, more: false, dryRun: false });
        expect(await left()).toEqual([1, 3, 4]);
      });

      it('keeps the newest so many, not counting what is pinned', async () => {
        await storage.cleanup({ keepCount: 2 });
        expect(await left()).toEqual([1, 3, 4]);
      });

      it('keeps the newest that fit into so many bytes', async () => {
        const sizes = (await storage.list()).map((item) => item.size);
        await storage.cleanup({ keepBytes: sizes[0]! + sizes[1]! });
        expect(await left()).toEqual([1, 3, 4]);
      });

      it('protects what any criterion protects', async () => {
        await storage.cleanup({ olderThan: new Date(T0 + 4000), keepCount: 3 });
        expect(await left()).toEqual([1, 2, 3, 4]);
      });

      it('looks only at the model it is told', async () => {
        await storage.cleanup({ keepCount: 1, model: 'even' });
        expect(await left()).toEqual([1, 3, 4]);
      });

      it('tells in a dry run exactly what it then does', async () => {
        const plan = await storage.cleanup({ keepCount: 1, dryRun: true });
        expect(await left()).toEqual([0, 1, 2, 3, 4]);
        const done = await storage.cleanup({ keepCount: 1 });
        expect({ ...plan, dryRun: false }).toEqual(done);
        expect(done.filenames).toHaveLength(3);
      });

      it('stops at the most deletes, the oldest first', async () => {
        expect(await storage.cleanup({ keepCount: 0, maxDeletes: 2 })).toMatchObject({ deletedCount: 2, more: true });
        expect(await left()).toEqual([1, 3, 4]);
      });

      it('counts what only its pin spares', async () => {
        expect(await storage.cleanup({ keepCount: 0 })).toMatchObject({ deletedCount: 4, keptPinned: 1 });
        expect(await storage.cleanup({ keepCount: 0 })).toMatchObject({ deletedCount: 0, keptPinned: 1 });
        expect(await storage.cleanup({ keepCount: 1 })).toMatchObject({ deletedCount: 0, keptPinned: 0 });
      });

      it('keeps what is dated after now, and counts it for no criterion', async () => {
        for (const at of [6, 7, 8]) await saveAt(at, { timestamp: new Date(Date.UTC(2099, 0, at)) });
        expect(await storage.cleanup({ keepCount: 2 })).toMatchObject({ deletedCount: 2, keptFuture: 3 });
        expect((await left()).slice(0, 3)).toEqual([1, 3, 4]);
        expect(await storage.cleanup({ keepCount: 0 })).toMatchObject({ deletedCount: 2, keptFuture: 3 });
        expect(await storage.list()).toHaveLength(4);
      });

      it('refuses filters without a criterion', async () => {
        await expect(storage.cleanup({ model: 'even' })).rejects.toMatchObject({ reason: 'CLEANUP_WITHOUT_CRITERION' });
      });
    });

    it('counts by model, category and day, the same after a restart', async () => {
      await saveAt(0, { category: 'a' }, { pinned: true });
      await saveAt(1, { category: 'b', model: 'sdxl' });
      const gone = await saveAt(2, { category: 'b' });
      const kept = await saveAt(DAY / 1000, {});
      await storage.delete(gone.filename);
      const items = await storage.list();
      const statistics = (await storage.getStatistics())[0]!;
      expect(statistics).toMatchObject({
        count: 3,
        bytes: items.reduce((sum, item) => sum + item.size, 0),
        pinnedCount: 1,
      });
      expect(statistics).toMatchObject({ oldest: new Date(T0), newest: kept.metadata.timestamp });
      expect(counts(statistics.byModel)).toEqual({ 'flux-schnell': 2, sdxl: 1 });
      expect(counts(statistics.byCategory)).toEqual({ '': 1, a: 1, b: 1 });
      expect(statistics.byDate.map((group) => group.name)).toEqual(['2024-09-28', '2024-09-27']);
      storage = await opened.reopen();
      const { freeBytes: _, ...before } = statistics;
      expect((await storage.getStatistics())[0]).toMatchObject(before);
      expect((await storage.list()).map(plain)).toEqual(items.map(plain));
    });

    const names = async (options: object) => (await storage.list(options)).map((item) => item.filename);
    const firstPage = async (options: object) => {
      for await (const page of storage.list(options).pages()) return page;
      throw new Error('no page');
    };
  });
}

const META = { prompt: 'p', model: 'm' };

const ODD_MODELS: [model: string, slug: string][] = [
  ['black-forest-labs/FLUX.1 [dev]', 'black-forest-labs-flux-1-dev'],
  ['../../etc/passwd', 'etc-passwd'],
  ['CON', 'con-model'],
  ['🦊', 'unknown'],
  ['', 'unknown'],
  ['Crème Brûlée', 'creme-brulee'],
  ['m'.repeat(300), 'm'.repeat(64)],
];

/** An item without the answer to one save, and with its parameters evaluated. */
function plain(item: StorageItem & { replayed?: boolean }): object {
  const { replayed: _, metadata, ...rest } = item;
  return { ...rest, metadata: { ...metadata } };
}

function byTimestamp(a: StorageItem, b: StorageItem): number {
  const order = b.metadata.timestamp.getTime() - a.metadata.timestamp.getTime();
  return order || (a.filename < b.filename ? 1 : -1);
}

function counts(groups: { name: string; count: number }[]): Record<string, number> {
  return Object.fromEntries(groups.map(({ name, count }) => [name, count]));
}
