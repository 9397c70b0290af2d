/** What `verify` finds in a store of any kind, and how it repairs that: everything is found, and nothing is lost by it. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Finding, Problem, Remedy } from '../../src/storage/domain/maintenance.ts';
import { imageFilename, imageKey, recordKey } from '../../src/storage/domain/naming.ts';
import type { StorageItem, StorageResult } from '../../src/storage/index.ts';
import { contentsOf, type Hands } from '../support/behind-the-back.ts';
import { blindIndexIn } from '../support/blind-index.ts';
import { collect, sha256Of } from '../support/bytes.ts';
import { untilNothingIsStaged } from '../support/files.ts';
import { jpegOf, pngOf, sharedImages } from '../support/images.ts';
import { endlessImages, random } from '../support/load.ts';
import {
  type MaintainedStore,
  openFolder,
  openMemoryBucket,
  openS3Bucket,
  verified,
} from '../support/maintained-store.ts';
import { requires } from '../support/requires.ts';
import { full } from '../support/scale.ts';
import { type S3Server, startVersitygw, versitygwAvailable } from '../support/versitygw.ts';

const BUILD_TIMEOUT_MS = 600_000;
const OPERATIONS = full ? 1_000 : 150;
const HOUR_MS = 60 * 60 * 1000;
const DAY_MS = 24 * HOUR_MS;
const T0 = Date.UTC(2024, 8, 27, 14, 15, 22);
const FOLDER = 'outputs/images/generations/2024-09-27/flux-schnell';
/** A name that no image has. */
const NAME = '20240927_141522_flux-schnell_zzzzzz.png';

const BROUGHT_BACK = 'a deleted image that was brought back';

/** Damages the store; gives the key that the finding must name. */
type Harm = (hands: Hands, fox: StorageResult, store: MaintainedStore) => Promise<string>;

interface Damage {
  what: string;
  problem: Problem;
  /** What repair does about it. */
  remedy: Remedy;
  /** Sizes alone do not show it. */
  onlyDeep?: boolean;
  harm: Harm;
}

const DAMAGES: Damage[] = [
  {
    what: 'bytes that are gone',
    problem: 'bytes_missing',
    remedy: 'none',
    async harm(hands, { key }) {
      await hands.remove(key);
      return key;
    },
  },
  {
    what: 'bytes that were cut',
    problem: 'size_differs',
    remedy: 'none',
    async harm(hands, { key }) {
      await hands.write(key, (await hands.read(key)).subarray(0, -1));
      return key;
    },
  },
  {
    what: 'a bit that changed',
    problem: 'checksum_differs',
    remedy: 'none',
    onlyDeep: true,
    async harm(hands, { key }) {
      const bytes = await hands.read(key);
      bytes[100]! ^= 1;
      await hands.write(key, bytes);
      return key;
    },
  },
  {
    what: 'a record that is gone',
    problem: 'record_damaged',
    remedy: 'restored',
    async harm(hands, { filename }) {
      await hands.remove(recordKey(filename));
      return recordKey(filename);
    },
  },
  {
    what: 'a record that is torn',
    problem: 'record_damaged',
    remedy: 'restored',
    async harm(hands, { filename }) {
      const bytes = await hands.read(recordKey(filename));
      await hands.write(recordKey(filename), bytes.subarray(0, 100));
      return recordKey(filename);
    },
  },
  {
    what: 'an image without a record',
    problem: 'not_committed',
    remedy: 'adopted',
    harm: leaving(pngOf({ width: 9, height: 9 })),
  },
  {
    what: 'half an image without a record',
    problem: 'not_committed',
    remedy: 'quarantined',
    harm: leaving(pngOf({ width: 9, height: 9 }).subarray(0, -1)),
  },
  {
    what: 'an image of another type than its name says',
    problem: 'not_committed',
    remedy: 'quarantined',
    harm: leaving(jpegOf({ width: 9, height: 9 })),
  },
  {
    what: BROUGHT_BACK,
    problem: 'deleted_before',
    remedy: 'quarantined',
    async harm(hands, { key, filename }, store) {
      const bytes = await hands.read(key);
      await store.storage.delete(filename);
      // Nothing of the delete is under way any more.
      await store.close();
      await store.open();
      await hands.age?.(recordKey(filename), 2 * HOUR_MS);
      await hands.write(key, bytes);
      return key;
    },
  },
  {
    what: 'a record without an image',
    problem: 'record_alone',
    remedy: 'quarantined',
    harm: putting(recordKey(NAME), Buffer.from('{"prompt": "a lost fox"')),
  },
  {
    what: 'a file that is none of the store',
    problem: 'foreign',
    remedy: 'quarantined',
    harm: putting(`${FOLDER}/notes.txt`, Buffer.from('to be printed')),
  },
  {
    what: 'an image in the folder of another day',
    problem: 'foreign',
    remedy: 'quarantined',
    harm: putting(`outputs/images/generations/2024-09-28/flux-schnell/${NAME}`, pngOf({ width: 9, height: 9 })),
  },
];

/** What a save or a copy may have left more than a day ago. */
function leaving(bytes: Uint8Array): Harm {
  return async (hands, _, store) => {
    await hands.write(imageKey(NAME), bytes);
    await outlast(store, hands, imageKey(NAME));
    return imageKey(NAME);
  };
}

/** Lets a day and more pass over what was written there. */
async function outlast(store: MaintainedStore, hands: Hands, key: string): Promise<void> {
  if (hands.age) await hands.age(key, 2 * DAY_MS);
  else store.aheadMs = 2 * DAY_MS;
}

function putting(key: string, bytes: Uint8Array): Harm {
  return async (hands) => {
    await hands.write(key, bytes);
    return key;
  };
}

function describeVerify(title: string, open: () => Promise<MaintainedStore>, damages = DAMAGES): void {
  describe(title, () => {
    const save = ({ storage }: MaintainedStore, seed: number, options = {}) =>
      storage.save(
        pngOf({ width: 8, height: 8, seed }),
        { prompt: `fox ${seed}`, model: 'flux-schnell', timestamp: new Date(T0 + seed), category: 'a', tags: ['t'] },
        options,
      );

    /** With a fox to be harmed among others that must stay as they are. */
    async function openWithFox() {
      const store = await open();
      const others = [await save(store, 1), await save(store, 2)];
      const fox = await save(store, 3, { idempotencyKey: 'fox' });
      await untilIdle(store);
      return { store, fox, others, hands: store.hands };
    }

    it('finds nothing in a healthy store, whatever was deleted from it', async () => {
      const { store } = await openWithFox();
      const gone = await save(store, 4);
      await store.storage.delete(gone.filename);
      await store.storage.cleanup({ keepCount: 2 });
      const before = await contentsOf(store.hands);
      const items = await store.storage.list();
      const bytes = items.reduce((sum, { size }) => sum + size, 0);
      const nothing = { findings: [], summary: { images: 2, bytes, findings: 0, remedied: 0, undecided: 0 } };
      expect(await verified(store.storage)).toEqual(nothing);
      expect(await verified(store.storage, { deep: true, repair: true, forgetMissing: true })).toEqual(nothing);
      expect(await contentsOf(store.hands)).toEqual(before);
    });

    it.each(damages)('finds $what', async ({ problem, remedy, onlyDeep = false, harm }) => {
      const { store, fox, others, hands } = await openWithFox();
      const key = await harm(hands, fox, store);
      const found = { problem, key, ...(problem !== 'foreign' && { filename: nameIn(key) }) };
      const asFound = await contentsOf(hands);

      expect((await verified(store.storage)).findings).toMatchObject(onlyDeep ? [] : [{ ...found, remedy: 'none' }]);
      expect((await verified(store.storage, { deep: true })).findings).toMatchObject([{ ...found, remedy: 'none' }]);
      expect(await contentsOf(hands)).toEqual(asFound);

      const { findings, summary } = await verified(store.storage, { deep: true, repair: true });
      expect(findings).toMatchObject([{ ...found, remedy }]);
      expect(summary).toMatchObject({ findings: 1, remedied: remedy === 'none' ? 0 : 1 });
      const repaired = await contentsOf(hands);
      expect([...repaired.values()]).toEqual(expect.arrayContaining([...asFound.values()]));
      if (remedy === 'quarantined') expect(repaired.get(quarantined(key))).toBe(asFound.get(key));
      expect((await verified(store.storage, { deep: true })).findings).toHaveLength(remedy === 'none' ? 1 : 0);
      for (const { filename, sha256: wanted } of others) expect(await shaOf(store, filename)).toBe(wanted);
    });

    it.each(['gone', 'torn'])('restores a record that is %s as it was, key and all', async (how) => {
      const { store, fox, hands } = await openWithFox();
      const record = await hands.read(recordKey(fox.filename));
      await DAMAGES.find(({ what }) => what === `a record that is ${how}`)!.harm(hands, fox, store);
      await verified(store.storage, { repair: true });
      expect(JSON.parse(String(await hands.read(recordKey(fox.filename))))).toEqual(JSON.parse(String(record)));
      await store.close();
      await store.open({ rebuildCatalog: true });
      await expect.poll(() => save(store, 3, { idempotencyKey: 'fox' })).toMatchObject({ replayed: true });
      const { replayed: _, deleted: __, ...item } = fox;
      expect(withoutUrl((await store.storage.get(fox.filename)).item)).toEqual(withoutUrl(item));
    });

    it('finds all that is wrong at once, each at its place', async () => {
      const { store, fox, hands } = await openWithFox();
      const harms = damages.filter(({ remedy }) => remedy === 'quarantined' || remedy === 'adopted');
      const wanted: string[] = [];
      for (const [at, { problem, harm }] of harms.entries()) {
        const key = await harm(aside(hands, at), await save(store, 10 + at), store);
        wanted.push(`${problem} ${key.replaceAll('zzzzzz', `zzzzz${at}`)}`);
      }
      await hands.remove(fox.key);
      wanted.push(`bytes_missing ${fox.key}`);
      const { findings } = await verified(store.storage, { repair: true });
      expect(findings.map(({ problem, key }) => `${problem} ${key}`).sort()).toEqual(wanted.sort());
      expect((await verified(store.storage)).findings).toMatchObject([{ problem: 'bytes_missing' }]);
    });

    it.runIf(sharedImages().length > 0)('adopts real images with what their makers left in them', async () => {
      const store = await open();
      const images = sharedImages().map((image, at) => {
        const extension = image.name.split('.').at(-1)!;
        const filename = imageFilename(T0 + at * 1000, 'some-model', `aaaaa${at}`, extension);
        return { ...image, filename };
      });
      for (const { filename, bytes } of images) {
        await store.hands.write(imageKey(filename), bytes);
        await outlast(store, store.hands, imageKey(filename));
      }
      const { findings } = await verified(store.storage, { repair: true });
      expect(findings.map(({ remedy }) => remedy)).toEqual(images.map(() => 'adopted'));
      for (const [at, { filename, bytes }] of images.entries()) {
        const { item, body } = await store.storage.get(filename);
        expect(sha256Of(await collect(body))).toBe(sha256Of(bytes));
        expect(item).toMatchObject({ size: bytes.length, key: imageKey(filename) });
        expect(item.metadata).toMatchObject({ timestamp: new Date(T0 + at * 1000), model: 'some-model' });
      }
      const singer = images.find(({ name }) => name.startsWith('chroma'))!;
      const found = await store.storage.list({ query: 'fennec microphone' });
      expect(found.map((item) => item.filename)).toEqual([singer.filename]);
      expect(found[0]!.metadata.parameters).toHaveProperty('comfyui');
      expect((await verified(store.storage, { deep: true })).findings).toEqual([]);
    });

    it('never overwrites what lies in quarantine', async () => {
      const { store, hands } = await openWithFox();
      const key = `${FOLDER}/notes.txt`;
      for (const text of ['one', 'two', 'three']) {
        await hands.write(key, Buffer.from(text));
        expect((await verified(store.storage, { repair: true })).findings).toMatchObject([{ remedy: 'quarantined' }]);
      }
      const kept = (await hands.keys()).filter((name) => name.startsWith(quarantined(key)));
      const texts = await Promise.all(kept.map(async (name) => String(await hands.read(name))));
      expect(texts.sort()).toEqual(['one', 'three', 'two']);
    });

    it('forgets images whose bytes are gone, exactly those, and for good', async () => {
      const { store, fox, others, hands } = await openWithFox();
      const [kept, cut] = others as [StorageResult, StorageResult];
      await hands.remove(fox.key);
      await hands.write(cut.key, Buffer.from('cut'));
      const { findings, summary } = await verified(store.storage, { forgetMissing: true });
      expect(outlines(findings)).toEqual([`bytes_missing ${fox.key} forgotten`, `size_differs ${cut.key} none`].sort());
      expect(summary).toMatchObject({ findings: 2, remedied: 1 });
      await store.close();
      await store.open();
      const names = (await store.storage.list()).map((item) => item.filename).sort();
      expect(names).toEqual([kept.filename, cut.filename].sort());
      expect((await verified(store.storage)).findings).toMatchObject([{ problem: 'size_differs' }]);
      // A delete as any other: its key answers for a while.
      expect(await save(store, 3, { idempotencyKey: 'fox' })).toMatchObject({ replayed: true, filename: fox.filename });
    });

    it(`finds nothing beside ${OPERATIONS} saves, deletes and cleanups, and costs none of them`, async () => {
      const store = await open();
      let [working, runs] = [true, 0];
      const load = underLoad(store, () => runs > 1).finally(() => {
        working = false;
      });
      for (; working; runs += 1) {
        const options = { deep: runs % 2 === 0, repair: runs % 3 > 0, forgetMissing: runs % 4 === 3 };
        expect((await verified(store.storage, options)).findings).toEqual([]);
      }
      const left = await load;
      await untilIdle(store);
      const items = await store.storage.list();
      expect(items.map((item) => item.sha256).sort()).toEqual(left);
      expect((await verified(store.storage, { deep: true })).findings).toEqual([]);
      const keys = await store.hands.keys();
      expect(keys.filter((key) => !key.includes('/metadata/generations/'))).toEqual(items.map(({ key }) => key).sort());
    });

    it('works on a store whose catalog was lost', async () => {
      const { store, fox, hands } = await openWithFox();
      await store.close();
      await store.open({ rebuildCatalog: true });
      expect((await verified(store.storage, { deep: true, repair: true })).findings).toEqual([]);
      await hands.remove(fox.key);
      expect((await verified(store.storage)).findings).toMatchObject([{ problem: 'bytes_missing', key: fox.key }]);
    });

    it('says when searches do not find what the catalog has, until it is rebuilt', async () => {
      const { store, fox } = await openWithFox();
      await store.close();
      await blindIndexIn(store.folder);
      await store.open();
      const { filename, key } = fox;
      const finding = { problem: 'index_blind', remedy: 'none', filename, key, detail: 'not by "fox" of its prompt' };
      expect(await verified(store.storage, { repair: true })).toMatchObject({ findings: [finding] });
      await store.close();
      await store.open({ rebuildCatalog: true });
      expect((await verified(store.storage)).findings).toEqual([]);
    });

    it.each([
      '1girl, solo',
      '4kuhd',
      'e\u0301tudiante',
      'ab\u200dcdef',
      '\u092e\u093f\u0932\u0915\u0930 \u0928\u0917\u0930',
      '狐狸在雪中',
    ])('searches for %s by a whole word', async (prompt) => {
      const store = await open();
      const image = Buffer.from(pngOf({ width: 8, height: 8 }));
      await store.storage.save(image, { prompt, model: 'flux' });
      expect((await verified(store.storage)).findings).toEqual([]);
    });

    it('ends when it is cancelled, and when the store closes', async () => {
      const { store, hands } = await openWithFox();
      for (let name = 0; name < 30; name += 1) await hands.write(`${FOLDER}/${name}.txt`, Buffer.from('text'));
      const aborter = new AbortController();
      const cancelled = store.storage.verify({ repair: true, signal: aborter.signal });
      await expect(afterFirst(cancelled, async () => aborter.abort())).rejects.toMatchObject({ reason: 'CANCELLED' });
      const closed = afterFirst(store.storage.verify(), () => store.close());
      await expect(closed).rejects.toMatchObject({ reason: 'BACKEND_UNAVAILABLE', message: 'the store is closing' });
    });

    /** Gives the sha256 of what is left, in order. */
    /** Goes on beyond the operations until it is told that this is enough. */
    async function underLoad({ storage }: MaintainedStore, isEnough: () => boolean): Promise<string[]> {
      const images = endlessImages();
      const [saved, gone] = [new Map<string, string>(), new Set<string>()];
      let left = OPERATIONS;
      const worker = async () => {
        while (left-- > 0 || !isEnough()) {
          const live = [...saved.keys()].filter((filename) => !gone.has(filename));
          const dice = random();
          if (dice < 0.6 || live.length === 0) {
            const image = images.next().value;
            const { filename } = await storage.save(image.bytes, image.metadata, image.options);
            saved.set(filename, image.sha256);
          } else if (dice < 0.97) {
            const victim = live[Math.floor(random() * live.length)]!;
            await storage.delete(victim);
            gone.add(victim);
          } else {
            const { filenames } = await storage.cleanup({ keepCount: Math.ceil(live.length * 0.8) });
            for (const filename of filenames) gone.add(filename);
          }
        }
      };
      await Promise.all(Array.from({ length: 8 }, worker));
      return [...saved].flatMap(([filename, hash]) => (gone.has(filename) ? [] : [hash])).sort();
    }
  });
}

describeVerify('a folder', openFolder);
describeVerify('a bucket in memory', openMemoryBucket);

requires('Go, to build the S3 server versitygw', versitygwAvailable)('S3', () => {
  let server: S3Server;

  beforeAll(async () => {
    server = await startVersitygw();
  }, BUILD_TIMEOUT_MS);
  afterAll(() => server.stop());

  describeVerify(
    'a bucket on S3',
    async () => openS3Bucket({ ...server.settings, bucket: await server.createBucket(), prefix: 'a-team' }),
    // What is brought back within an hour of the delete is taken for a late write, and nobody can wait for that here.
    DAMAGES.filter(({ what }) => what !== BROUGHT_BACK),
  );
});

/** Nothing of a save is on its way to its place any more. */
async function untilIdle({ storage, folder }: MaintainedStore): Promise<void> {
  const [{ storageType } = { storageType: '' }] = await storage.getStatistics();
  if (storageType === 'local') await untilNothingIsStaged(folder);
}

/** Goes on with the run once something came of it. */
async function afterFirst(events: AsyncIterable<unknown>, work: () => Promise<void>): Promise<void> {
  let working: Promise<void> | undefined;
  for await (const _ of events) working ??= work();
  await working;
}

/** The same hands, to which the name that no image has is another each time. */
function aside(hands: Hands, at: number): Hands {
  const own = (key: string) => key.replaceAll('zzzzzz', `zzzzz${at}`);
  return {
    ...hands,
    read: (key) => hands.read(own(key)),
    write: (key, bytes) => hands.write(own(key), bytes),
    ...(hands.age && { age: (key, ms) => hands.age!(own(key), ms) }),
  };
}

function nameIn(key: string): string {
  return key.slice(key.lastIndexOf('/') + 1).replace(/\.json$/, '');
}

function quarantined(key: string): string {
  return key.replace(/^outputs\//, 'outputs/metadata/quarantine/');
}

function outlines(findings: Finding[]): string[] {
  return findings.map(({ problem, key, remedy }) => `${problem} ${key} ${remedy}`).sort();
}

async function shaOf({ storage }: MaintainedStore, filename: string): Promise<string> {
  return sha256Of(await collect((await storage.get(filename)).body));
}

/** URLs of buckets without an address of their own expire. */
function withoutUrl({ url: _, metadata, ...rest }: StorageItem): object {
  return { ...rest, metadata: { ...metadata } };
}
