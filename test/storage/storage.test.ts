/** The storage library as its user meets it: the configuration, dates as people write them, several providers at once. */
import { mkdtemp, readdir, rename, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import {
  createStorage,
  type ImageList,
  type Page,
  type StorageConfig,
  type StorageDependencies,
} from '../../src/storage/index.ts';
import { withDefaults } from '../../src/storage/settings.ts';
import { pngOf } from '../support/images.ts';

const PNG = pngOf({ width: 8, height: 8 });
const FOX = { prompt: 'a red fox', model: 'flux-schnell' };

async function newFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'image-storage-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

async function open(config: StorageConfig, dependencies?: StorageDependencies) {
  const storage = await createStorage(config, dependencies);
  onTestFinished(() => storage.close());
  return storage;
}

/** Providers `a` and `b` in folders of their own, with an image from each of these days. */
async function openTwo(...days: string[]) {
  const folder = await newFolder();
  const folderOf = (name: string) => join(folder, name);
  const [a, b] = ['a', 'b'].map((name) => ({ type: 'local' as const, basePath: folderOf(name) }));
  const now = () => Date.parse('2024-09-27T12:00:00Z');
  const storage = await open({ defaultProvider: 'a', providers: { a: a!, b: b! } }, { now });
  for (const day of days) {
    for (const provider of ['a', 'b']) await storage.save(PNG, { ...FOX, timestamp: new Date(day) }, { provider });
  }
  return { storage, folderOf };
}

async function pagesOf(list: ImageList): Promise<Page[]> {
  const pages: Page[] = [];
  for await (const page of list.pages()) pages.push(page);
  return pages;
}

/** Providers `a` and `b` in the bucket `i`. */
function twoInABucket(a: object, b: object): StorageConfig {
  const bucket = { type: 's3', bucket: 'i', region: 'r', endpoint: 'http://h' } as const;
  return {
    defaultProvider: 'a',
    providers: { a: { ...bucket, ...a }, b: { ...bucket, endpoint: 'http://h:80/', ...b } },
  };
}

describe('the configuration', () => {
  const DEFAULTS = {
    type: 'local',
    create: true,
    lockWaitSeconds: 30,
    required: true,
    onFull: 'refuse',
    trash: { days: 7 },
  };
  const refusal = (config: object) => {
    try {
      withDefaults(config);
    } catch (error) {
      return error;
    }
  };

  it('needs no more than a folder', async () => {
    const basePath = await newFolder();
    const storage = await open({ defaultProvider: 'local', providers: { local: { basePath } } });
    expect(await storage.save(PNG, FOX)).toMatchObject({ provider: 'local', storageType: 'local' });
    expect(await storage.list({ provider: 'project' })).toHaveLength(1);
  });

  it('needs nothing at all', () => {
    const { defaultProvider, providers } = withDefaults({});
    expect({ defaultProvider, providers: [...providers] }).toEqual({
      defaultProvider: 'local',
      providers: [['local', { ...DEFAULTS, basePath: join(process.cwd(), 'outputs') }]],
    });
  });

  it('takes project for local, as a name and as a type', () => {
    const { defaultProvider, providers } = withDefaults({
      defaultProvider: 'project',
      providers: { project: { basePath: '/a' }, archive: { type: 'project', basePath: '/b' } },
    });
    expect(defaultProvider).toBe('local');
    expect([...providers]).toEqual([
      ['local', { ...DEFAULTS, basePath: '/a' }],
      ['archive', { ...DEFAULTS, basePath: '/b' }],
    ]);
  });

  it.each<[string, object, string]>([
    ['a name', { providers: { 'My-Store': {} } }, 'providers.My-Store: a name is lower-case letters and digits'],
    ['a type', { providers: { archive: {} } }, 'providers.archive.type: "archive" is no type of provider'],
    ['a type that objects have', { providers: { constructor: {} } }, '"constructor" is no type of provider'],
    ['a default', { defaultProvider: 's3', providers: { local: {} } }, 'no provider is named "s3"; configured: local'],
    ['no default of two', { providers: { a: { type: 'memory' }, b: { type: 'memory' } } }, 'must be set'],
    ['no provider', { providers: {} }, 'name at least one'],
    ['local twice', { providers: { local: { basePath: 'a' }, project: { basePath: 'b' } } }, 'another name of local'],
    ['one folder twice', { providers: { local: {}, b: { type: 'local', basePath: 'outputs/' } } }, 'folder of local'],
    [
      'one bucket twice',
      twoInABucket({ prefix: 'x' }, { prefix: '/x/' }),
      'providers.b.bucket: s3://i/x at http://h is',
    ],
    ['one bucket twice', twoInABucket({ shared: true, required: false }, {}), 'store of a already'],
    ['an empty folder', { providers: { local: { basePath: '' } } }, 'providers.local.basePath'],
    ['no bucket', { providers: { s3: { region: 'auto' } } }, 'providers.s3.bucket: must be set'],
    ['no region', { providers: { s3: { bucket: 'images' } } }, 'providers.s3.region: must be set'],
    [
      'an empty region',
      { providers: { s3: { bucket: 'images', region: '' } } },
      'providers.s3.region: must not be empty',
    ],
    [
      'a setting that the type does not have',
      { providers: { local: { basepath: '/a' } } },
      'providers.local.basepath: unknown for a provider of this type',
    ],
    [
      'half a pair of keys',
      { providers: { s3: { bucket: 'images', region: 'auto', accessKey: 'id' } } },
      'providers.s3.secretKey: must be set, too, where accessKey is',
    ],
  ])('refuses %s', (_, config, message) => {
    expect(refusal(config)).toMatchObject({
      name: 'StoreOpenError',
      kind: 'config',
      message: expect.stringContaining(message),
    });
  });
});

it('takes one bucket twice where both providers follow it, or have a prefix of their own', () => {
  for (const b of [{ shared: true }, { prefix: 'b' }]) {
    const { providers } = withDefaults(twoInABucket({ shared: true }, b));
    expect([...providers.keys()]).toEqual(['a', 'b']);
  }
});

it.each(['catalog', 'lock'])('keeps a bucket named %s apart from the folder that its state shares', async (name) => {
  const basePath = await newFolder();
  const bucket = {
    type: 'memory',
    bucket: new Map(),
    stateDir: join(basePath, 'metadata'),
    lockWaitSeconds: 0,
  } as const;
  const config = { defaultProvider: 'local', providers: { local: { basePath }, [name]: bucket } };
  for (const count of [1, 2]) {
    const storage = await createStorage(config);
    for (const provider of ['local', name]) await storage.save(PNG, FOX, { provider });
    expect((await storage.getStatistics('*')).map((statistics) => statistics.count)).toEqual([count, count]);
    await storage.close();
  }
  const aside = (await readdir(join(basePath, 'metadata'))).filter((file) => file.includes('lost'));
  expect(aside).toEqual([]);
});

it('warns of a bucket that turns out to be the store of another provider', async () => {
  const [bucket, folder] = [new Map(), await newFolder()];
  const warned = async (a: object, b: object) => {
    const messages: string[] = [];
    const log = { debug() {}, info() {}, error() {}, warn: (_: object, message: string) => messages.push(message) };
    const memory = { type: 'memory', bucket, stateDir: folder } as const;
    const providers = { a: { ...memory, ...a }, b: { ...memory, ...b } };
    await (await createStorage({ defaultProvider: 'a', providers }, { log })).close();
    return messages.filter((message) => message.includes('the same store as'));
  };
  expect(await warned({ shared: true }, {})).toHaveLength(1);
  expect(await warned({ shared: true }, { shared: true })).toEqual([]);
});

describe('dates', () => {
  const DAYS = ['2024-08-01T10:00:00Z', '2024-09-26T23:59:59.999Z', '2024-09-27T00:00:00Z'];

  it('may be written: RFC 3339, a day, which as an end is inside, or an age', async () => {
    const { storage } = await openTwo(...DAYS);
    const count = async (start?: string, end?: string) => (await storage.list({ dateRange: { start, end } })).length;
    expect(await count('2024-09-26', '2024-09-26')).toBe(1);
    expect(await count('2024-09-27T02:00:00+02:00')).toBe(1);
    expect(await count('30d')).toBe(2);
    expect(await count(undefined, '1d')).toBe(1);
    expect(await storage.cleanup({ olderThan: '12h' })).toMatchObject({ deletedCount: 2 });
  });

  it('are a list’s own filter on every page, also an age', async () => {
    const { storage } = await openTwo(...DAYS);
    const options = { dateRange: { start: '30d' }, pageSize: 1 };
    const [first] = await pagesOf(storage.list(options));
    expect(await storage.list({ ...options, pageToken: first!.nextPageToken })).toHaveLength(1);
  });

  it('are refused by the name of their field', async () => {
    const { storage } = await openTwo();
    const beyond = '+012024-01-01T00:00:00Z';
    for (const date of ['yesterday', '', new Date(Number.NaN), 1727446522000, null, beyond, '9999w'] as Date[]) {
      const refusals: [string, PromiseLike<unknown>][] = [
        ['date_range.start', storage.list({ dateRange: { start: date } })],
        ['date_range.end', storage.list({ dateRange: { end: date } })],
        ['older_than', storage.cleanup({ olderThan: date })],
        ['metadata.timestamp', storage.save(PNG, { ...FOX, timestamp: date })],
      ];
      for (const [field, answer] of refusals) {
        await expect(answer, `${field}: ${date}`).rejects.toMatchObject({ reason: 'FIELD_INVALID', field });
      }
    }
  });
});

it('refuses what has another type, or no bound, by the name of its field', async () => {
  const { storage } = await openTwo();
  const cyclic: Record<string, unknown> = {};
  cyclic.self = cyclic;
  const saves: [string, object, object?][] = [
    ['metadata.prompt', { prompt: 5 }],
    ['metadata.model', { model: null }],
    ['metadata.category', { category: {} }],
    ['metadata.tags', { tags: 'fox' }],
    ['metadata.tags', { tags: [1] }],
    ['metadata.parameters', { parameters: cyclic }],
    ['metadata.parameters_json', { parameters: [] }],
    ['metadata.parameters_json', { parametersJson: 5 }],
    ['content_type', {}, { contentType: 5 }],
    ['content_type', {}, { contentType: 'x'.repeat(5000) }],
  ];
  for (const [field, metadata, options] of saves) {
    const answer = storage.save(PNG, { ...FOX, ...metadata }, options);
    await expect(answer, field).rejects.toMatchObject({ reason: 'FIELD_INVALID', field });
  }
});

it('repeats a declared type only where it is one', async () => {
  const { storage } = await openTwo();
  const messageFor = (contentType: string) => storage.save(PNG, FOX, { contentType }).catch((error) => error.message);
  expect(await messageFor('image/webp')).toBe('image/webp was declared, the bytes are image/png');
  expect(await messageFor('a\nb/\u202ec')).toBe('another type was declared, the bytes are image/png');
});

describe('over several providers', () => {
  it('refuses the page token of another choice', async () => {
    const { storage } = await openTwo('2024-09-26', '2024-09-27');
    const [page] = await pagesOf(storage.list({ provider: 'a', pageSize: 1 }));
    const resume = async (provider?: string) => storage.list({ provider, pageToken: page!.nextPageToken });
    expect(await resume('a')).toHaveLength(1);
    expect(await resume()).toHaveLength(1);
    for (const other of ['b', '*']) await expect(resume(other)).rejects.toMatchObject({ reason: 'PAGE_TOKEN_INVALID' });
  });

  it('counts the url and path of an image into the size of its page', async () => {
    const basePath = await newFolder();
    const publicUrl = `https://example.com/${'x'.repeat(400_000)}`;
    const storage = await open({ publicUrl, providers: { local: { basePath } } });
    for (let count = 0; count < 3; count += 1) await storage.save(PNG, FOX);
    const pages = await pagesOf(storage.list());
    expect(pages.map(({ items }) => items.length)).toEqual([2, 1]);
  });

  it('counts their images together', async () => {
    const { storage } = await openTwo('2024-08-31', '2024-09-27');
    await storage.save(PNG, { ...FOX, model: 'sdxl', timestamp: new Date('2024-09-27') }, { provider: 'b' });
    const { groups, ...total } = await storage.totals({ provider: '*', by: 'month', query: 'fox', limit: 1 });
    const dates = { oldest: new Date('2024-08-31'), newest: new Date('2024-09-27') };
    expect(total).toEqual({ count: 5, bytes: 5 * PNG.length, ...dates, more: false });
    expect(groups).toEqual([
      { name: '2024-09', count: 3, bytes: 3 * PNG.length, rest: false },
      { name: '', count: 2, bytes: 2 * PNG.length, rest: true },
    ]);
    expect(await storage.hints({ provider: '*', model: 'sd_xl' })).toEqual([{ field: 'model', values: ['sdxl'] }]);
  });

  it('deletes nothing once one takes no writes, and says which', async () => {
    const { storage, folderOf } = await openTwo('2024-09-26', '2024-09-27');
    await rename(folderOf('b'), folderOf('away'));
    await expect(storage.save(PNG, FOX, { provider: 'b' })).rejects.toMatchObject({ reason: 'STORE_REPLACED' });
    const down = { code: 'unavailable', reason: 'BACKEND_UNAVAILABLE', message: expect.stringMatching(/^b: /) };
    await expect(storage.cleanup({ provider: '*', keepCount: 0 })).rejects.toMatchObject(down);
    expect(await storage.list({ provider: 'a' })).toHaveLength(2);
    await rename(folderOf('away'), folderOf('b'));
  });

  it('says which one does not know its images', async () => {
    const [basePath, stateDir] = [await newFolder(), await newFolder()];
    const storage = await open({
      providers: { local: { basePath }, memory: { type: 'memory', bucket: new UnlistableBucket(), stateDir } },
    });
    await storage.save(PNG, FOX);
    const down = { code: 'unavailable', message: expect.stringMatching(/^memory: /) };
    await expect(storage.list({ provider: '*' })).rejects.toMatchObject(down);
    await expect(storage.getStatistics('*')).rejects.toMatchObject(down);
    await expect(storage.cleanup({ provider: '*', keepCount: 0 })).rejects.toMatchObject(down);
    expect(await storage.list()).toHaveLength(1);
  });
});

/** Its catalog never gets complete. */
class UnlistableBucket extends Map {
  override keys(): MapIterator<string> {
    // A bucket that cannot be listed at all would not become a store.
    if (!this.has('outputs/metadata/FORMAT')) return super.keys();
    throw new Error('the bucket cannot be listed');
  }
}
