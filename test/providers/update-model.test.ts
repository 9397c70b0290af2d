/** Random saves, updates, deletes, restarts and rebuilds against a map: the store shows the image as it was changed last. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { ImageChanges, ProviderSettings, Storage, StorageItem } from '../../src/storage/index.ts';
import type { MemoryBucket } from '../../src/storage/providers/memory-storage.ts';
import { openStorage } from '../../src/storage/storage.ts';
import { imageOf, type Labels } from '../support/ledger.ts';
import { randomOf } from '../support/load.ts';
import { full, seed } from '../support/scale.ts';

const STEPS = full ? 2_000 : 60;
const TAGS = ['a', 'b', 'c', 'd'];
const CATEGORIES = ['', 'draft', 'final'];

interface Place {
  name: string;
  /** The settings of the provider, given its folder. */
  settings(folder: string): ProviderSettings;
  /** Makes the next start build the catalog again. */
  lose(folder: string): Promise<{ rebuildCatalog?: boolean }>;
}

const bucket: MemoryBucket = new Map();
const places: Place[] = [
  {
    name: 'a folder',
    settings: (basePath) => ({ type: 'local', basePath }),
    lose: async () => ({ rebuildCatalog: true }),
  },
  {
    name: 'a bucket',
    settings: (stateDir) => ({ type: 'memory', bucket, stateDir }),
    async lose(folder) {
      await rm(folder, { recursive: true });
      return {};
    },
  },
];

describe.each(places)('$name', ({ settings, lose }) => {
  it(`shows each image as it was changed last, after ${STEPS} steps`, { timeout: 600_000 }, async () => {
    const random = randomOf(seed);
    const oneOf = <T>(items: readonly T[]): T => items[Math.floor(random() * items.length)]!;
    const some = () => TAGS.filter(() => random() < 0.3);
    const folder = await mkdtemp(join(tmpdir(), 'image-storage-'));
    const open = (options = {}) =>
      openStorage({ defaultProvider: 'main', providers: { main: settings(folder) } }, options);
    let storage = await open();
    const model = new Map<string, Labels & { number: number }>();
    let [last, updates] = [0, 0];

    const save = async (number: number) => {
      const { bytes, metadata, options } = imageOf(number, { sizeBytes: 300 });
      return storage.save(bytes, metadata, options);
    };
    const steps: Record<string, () => Promise<unknown>> = {
      async save() {
        last += 1;
        const { filename, pinned, metadata } = await save(last);
        model.set(filename, { number: last, pinned, category: metadata.category, tags: metadata.tags });
      },
      async again() {
        const [filename, { number, ...labels }] = oneOf([...model]);
        expect(shown(await save(number))).toEqual([filename, labels]);
      },
      async update() {
        const [filename, image] = oneOf([...model]);
        const [addTags, removeTags] = [some(), some()];
        const changes: ImageChanges = { addTags, removeTags: removeTags.filter((tag) => !addTags.includes(tag)) };
        if (random() < 0.5) changes.pinned = random() < 0.5;
        if (random() < 0.5) changes.category = oneOf(CATEGORIES);
        const tags = image.tags.filter((tag) => !changes.removeTags!.includes(tag));
        tags.push(...addTags.filter((tag) => !tags.includes(tag)));
        const { pinned = image.pinned, category = image.category } = changes;
        model.set(filename, { number: image.number, pinned, category, tags });
        expect(shown(await storage.update(filename, changes))).toEqual([filename, { pinned, category, tags }]);
        updates += 1;
      },
      async delete() {
        const [filename] = oneOf([...model]);
        expect(await storage.delete(filename)).toBe(true);
        model.delete(filename);
        await expect(storage.update(filename, { pinned: true })).rejects.toMatchObject({ reason: 'IMAGE_NOT_FOUND' });
      },
      async restart() {
        await storage.close();
        storage = await open();
      },
      async rebuild() {
        await storage.close();
        storage = await open(await lose(folder));
      },
    };
    const weighted = ['save', 'save', 'again', 'update', 'update', 'update', 'update', 'update', 'delete'];
    for (let step = 1; step <= STEPS; step += 1) {
      const isRare = step % 20 === 0;
      await steps[model.size === 0 ? 'save' : isRare ? oneOf(['restart', 'rebuild']) : oneOf(weighted)]!();
    }
    await steps.rebuild!();
    expect(updates).toBeGreaterThan(STEPS / 4);
    await check(storage, model);
    await storage.close();
    await rm(folder, { recursive: true });
  });
});

async function check(storage: Storage, model: Map<string, Labels & { number: number }>): Promise<void> {
  const images = [...model].map(([filename, { number: _, ...labels }]) => ({ filename, ...labels }));
  const listed = (await storage.list()).map(shown).sort();
  expect(listed).toEqual(images.map(({ filename, ...labels }) => [filename, labels]).sort());
  const names = async (query: object) => (await storage.list(query)).map(({ filename }) => filename).sort();
  for (const tag of TAGS) {
    const tagged = images.filter(({ tags }) => tags.includes(tag)).map(({ filename }) => filename);
    expect(await names({ tags: [tag] })).toEqual(tagged.sort());
    expect(await names({ query: `tag:${tag}` })).toEqual(tagged.sort());
    const { groups } = await storage.totals({ by: 'tag', startsWith: tag });
    expect(groups.find(({ name }) => name === tag)?.count ?? 0).toBe(tagged.length);
  }
  const [statistics] = await storage.getStatistics();
  const pinned = images.filter((image) => image.pinned).map(({ filename }) => filename);
  expect(await names({ pinned: true })).toEqual(pinned.sort());
  expect(statistics).toMatchObject({ count: images.length, pinnedCount: pinned.length });
  for (const { name, count } of statistics!.byCategory) {
    expect(count, name).toBe(images.filter(({ category }) => category === name).length);
  }
  let problems = 0;
  for await (const event of storage.verify({ provider: 'main' })) if (event.kind === 'finding') problems += 1;
  expect(problems, 'findings of verify').toBe(0);
}

function shown({ filename, pinned, metadata: { category, tags } }: StorageItem): [string, Labels] {
  return [filename, { pinned, category, tags }];
}
