/** What stores do with the previews and ThumbHashes of their images: both go with the image, and previews give way to saves. */
import { access, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { describe, expect, it, onTestFinished } from 'vitest';
import { PreviewCache } from '../../src/previews/cache.ts';
import { PREVIEW_WIDTHS, previewFile } from '../../src/storage/domain/preview.ts';
import type { MemoryBucket } from '../../src/storage/providers/memory-storage.ts';
import { openStorage, type Surroundings } from '../../src/storage/storage.ts';
import type { Storage } from '../../src/storage/types.ts';
import { collect } from '../support/bytes.ts';
import { fill, loseCatalog } from '../support/files.ts';
import { noise, pngOf } from '../support/images.ts';
import { canMountTmpfs, openTmpfs } from '../support/mounts.ts';
import { requires } from '../support/requires.ts';

const MIB = 1024 * 1024;
const META = { prompt: 'a red fox', model: 'flux' };
const HASH = new Uint8Array([1, 2, 3]);

async function newFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'image-storage-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  return folder;
}

type Provider = NonNullable<Parameters<typeof openStorage>[0]['providers']>[string];

const opened = (settings: Provider, surroundings: Surroundings = {}): Promise<Storage> =>
  openStorage({ defaultProvider: 'main', providers: { main: settings } }, surroundings);

async function open(settings: Provider, surroundings?: Surroundings): Promise<Storage> {
  const storage = await opened(settings, surroundings);
  onTestFinished(() => storage.close());
  return storage;
}

/** Puts previews of these bytes where the store keeps them. */
async function keepPreviews(storage: Storage, { sha256 }: { sha256: string }, sizeBytes = 100): Promise<string[]> {
  const { path } = storage.previewed().previewFolder;
  const files = PREVIEW_WIDTHS.map((width) => join(path, previewFile(sha256, width)));
  for (const file of files) {
    await mkdir(dirname(file), { recursive: true });
    await writeFile(file, Buffer.alloc(sizeBytes, 1));
  }
  return files;
}

async function thereAre(files: string[]): Promise<number> {
  const found = await Promise.allSettled(files.map((file) => access(file)));
  return found.filter(({ status }) => status === 'fulfilled').length;
}

const kinds: [string, (days: number) => Promise<Provider>][] = [
  ['a folder', async (days) => ({ type: 'local', basePath: join(await newFolder(), 'outputs'), trash: { days } })],
  [
    'a bucket',
    async (days) =>
      ({ type: 'memory', bucket: new Map() as MemoryBucket, stateDir: await newFolder(), trash: { days } }) as Provider,
  ],
];

describe.each(kinds)('previews of %s', (_, settingsOf) => {
  it('stay with an image in the trash, and go when it is purged', async () => {
    const storage = await open(await settingsOf(7));
    const saved = await storage.save(pngOf({ width: 8, height: 8 }), META);
    const files = await keepPreviews(storage, saved);
    await expect(storage.get(saved.filename, { trashed: true })).rejects.toMatchObject({ reason: 'IMAGE_NOT_FOUND' });
    await storage.delete(saved.filename);
    expect(await thereAre(files)).toBe(3);
    const { item, body } = await storage.get(saved.filename, { trashed: true });
    expect(item.deleteTime).toBeInstanceOf(Date);
    expect((await collect(body)).equals(pngOf({ width: 8, height: 8 }))).toBe(true);
    await storage.restore(saved.filename);
    await storage.delete(saved.filename);
    await storage.purge({ filenames: [saved.filename] });
    expect(await thereAre(files)).toBe(0);
  });

  it('go when it is deleted for good', async () => {
    const storage = await open(await settingsOf(0));
    const [gone, stays] = [
      await storage.save(pngOf({ width: 8, height: 8, seed: 1 }), META),
      await storage.save(pngOf({ width: 8, height: 8, seed: 2 }), META),
    ];
    const files = [await keepPreviews(storage, gone), await keepPreviews(storage, stays)];
    await storage.delete(gone.filename);
    expect(await Promise.all(files.map(thereAre))).toEqual([0, 3]);
  });
});

describe.each(kinds)('a ThumbHash in %s', (_, settingsOf) => {
  it('is in every answer, through updates, trash and restarts, and in no record', async () => {
    const settings = await settingsOf(7);
    const first = await opened(settings);
    const options = { idempotencyKey: 'k' };
    const bytes = pngOf({ width: 8, height: 8 });
    const { filename } = await first.save(bytes, META, options);
    expect((await first.list())[0]!.thumbHash).toBeUndefined();
    await first.previewed().setThumbHashes([
      { filename, thumbHash: HASH },
      { filename: '20240927_141522_flux_zzzzzz.png', thumbHash: HASH },
    ]);
    await first.close();
    const storage = await open(settings);
    const hashes = async () => [
      (await storage.list())[0]!.thumbHash,
      (await storage.get(filename)).item.thumbHash,
      (await storage.save(bytes, META, options)).thumbHash,
    ];
    const all = Array(3).fill(Buffer.from(HASH));
    expect(await hashes()).toEqual(all);
    expect((await storage.update(filename, { addTags: ['kept'] })).thumbHash).toEqual(Buffer.from(HASH));
    expect(await hashes()).toEqual(all);
    await storage.delete(filename);
    expect((await storage.listTrash())[0]!.thumbHash).toEqual(Buffer.from(HASH));
    await storage.restore(filename);
    expect(await hashes()).toEqual(all);
    const found = [];
    for await (const event of storage.verify()) if (event.kind === 'finding') found.push(event);
    expect(found).toEqual([]);
  });

  it('may be that none can be made, until one is, which stays', async () => {
    const storage = await open(await settingsOf(7));
    const { filename } = await storage.save(pngOf({ width: 8, height: 8 }), META);
    const provider = storage.previewed();
    for (const [thumbHash, kept] of [
      [undefined, Buffer.alloc(0)],
      [HASH, Buffer.from(HASH)],
      [new Uint8Array([4]), Buffer.from(HASH)],
      [undefined, Buffer.from(HASH)],
    ] as const) {
      await provider.setThumbHashes([{ filename, thumbHash }]);
      expect((await storage.list())[0]!.thumbHash).toEqual(kept);
    }
  });
});

describe('a folder', () => {
  it('tells which images have no ThumbHash, the newest first', async () => {
    const storage = await open({ type: 'local', basePath: join(await newFolder(), 'outputs') });
    const saved: string[] = [];
    for (let seed = 0; seed < 5; seed += 1) {
      saved.push((await storage.save(pngOf({ width: 8, height: 8, seed }), META)).filename);
    }
    const provider = storage.previewed();
    await provider.setThumbHashes([{ filename: saved[1]!, thumbHash: HASH }]);
    await storage.delete(saved[3]!);
    const found: string[] = [];
    for (let before = Number.MAX_SAFE_INTEGER; before > 0; ) {
      const page = await provider.unhashed!(before, 2);
      found.push(...page.images.map(({ filename }) => filename));
      before = page.before;
    }
    expect(found).toEqual([saved[4], saved[2], saved[0]]);
  });

  it('with previews is counted, verified, copied and rebuilt as without', async () => {
    const [basePath, other] = [join(await newFolder(), 'outputs'), join(await newFolder(), 'outputs')];
    const first = await opened({ type: 'local', basePath });
    const saved = await first.save(pngOf({ width: 8, height: 8 }), META);
    const before = (await first.getStatistics())[0]!.bytes;
    const files = await keepPreviews(first, saved, 100_000);
    expect((await first.getStatistics())[0]!.bytes).toBe(before);
    await first.close();
    await loseCatalog(basePath);
    const storage = await openStorage({
      defaultProvider: 'main',
      providers: { main: { type: 'local', basePath }, other: { type: 'local', basePath: other } },
    });
    onTestFinished(() => storage.close());
    expect((await storage.list()).map(({ filename }) => filename)).toEqual([saved.filename]);
    const findings = [];
    for await (const event of storage.verify({ repair: true })) if (event.kind === 'finding') findings.push(event);
    expect([findings, await thereAre(files)]).toEqual([[], 3]);
    for await (const _ of storage.copy({ from: 'main', to: 'other' }));
    expect(await storage.list({ provider: 'other' })).toHaveLength(1);
    await expect(access(join(other, 'metadata/previews'))).rejects.toThrow('ENOENT');
  });
});

requires('root, to mount a tmpfs', canMountTmpfs)('on a disk that previews have filled', () => {
  it.each<[string, number, (basePath: string) => Promise<Provider>]>([
    ['a folder', 3, async (basePath) => ({ type: 'local', basePath, trash: { days: 7 } })],
    [
      'a folder that wants room to stay free',
      3,
      async (basePath) => ({ type: 'local', basePath, minFreeBytes: 6 * MIB }),
    ],
    [
      'the state of a bucket',
      9,
      async (stateDir) => ({ type: 'memory', bucket: new Map() as MemoryBucket, stateDir }) as Provider,
    ],
  ])('a save into %s takes them away, and goes on; the trash stays', async (_, sizeMib, settingsOf) => {
    await using mount = await openTmpfs('size=24m');
    const settings = await settingsOf(join(mount.path, 'outputs'));
    const storage = await opened(settings);
    const trashed = await storage.save(pngOf({ width: 8, height: 8 }), META);
    await storage.delete(trashed.filename);
    const files = await keepPreviews(storage, trashed);
    await fill(join(dirname(files[0]!), 'filler'));
    const image = pngOf({ width: 8, height: 8, sizeBytes: sizeMib * MIB });
    const saved = await storage.save(image, META, { size: image.length });
    expect([saved.size, await thereAre(files)]).toEqual([image.length, 0]);
    const hasTrash = settings.type === 'local';
    expect((await storage.listTrash()).map(({ filename }) => filename)).toEqual(hasTrash ? [trashed.filename] : []);
    await storage.close();
  });
});

requires('root, to mount a tmpfs', canMountTmpfs)('on a disk that fills while previews are made', () => {
  /** Returns how many images a new store took until it was full. */
  async function savesUntilFull(beside: (storage: Storage) => Promise<() => Promise<void>>): Promise<number> {
    await using mount = await openTmpfs('size=24m');
    const storage = await opened({ type: 'local', basePath: join(mount.path, 'outputs') });
    const stop = await beside(storage);
    let count = 0;
    const saveNext = () => storage.save(pngOf({ width: 8, height: 8, seed: count, sizeBytes: 400_000 }), META);
    await expect(
      (async () => {
        for (; count < 1000; count += 1) await saveNext();
      })(),
    ).rejects.toMatchObject({ reason: 'DISK_FULL' });
    await stop();
    await storage.close();
    return count;
  }

  it('a folder takes as many images as without them', async () => {
    const alone = await savesUntilFull(async () => async () => {});
    let kept = 0;
    const beside = await savesUntilFull(async (storage) => {
      const { path: folder } = storage.previewed().previewFolder;
      const cache = new PreviewCache({ folder, maxBytes: Number.MAX_SAFE_INTEGER, spareBytesOf: () => 4 * MIB });
      let isOver = false;
      const making = (async () => {
        for (; !isOver; kept += 1) {
          await cache.keep(kept.toString(16).padStart(64, '0'), 320, noise(50_000, kept));
          // Where there is no room, nothing else is waited for.
          await nextTurn();
        }
      })();
      return async () => {
        isOver = true;
        await making;
      };
    });
    expect(kept).toBeGreaterThan(10);
    expect(beside).toBeGreaterThanOrEqual(alone);
  });
});
