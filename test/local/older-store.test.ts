/** Stores whose catalog is not the newest of their folder, as a user meets them; test/crash/mixed-store has all mixes. */
import { execFileSync } from 'node:child_process';
import { cp, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { expect, it, onTestFinished } from 'vitest';
import type { Storage } from '../../src/storage/index.ts';
import { openStorage } from '../../src/storage/storage.ts';
import { forkStore } from '../crash/forked-store.ts';
import { diagnose } from '../doctor/diagnosis.ts';
import { collect } from '../support/bytes.ts';
import { loseCatalog, strayFiles } from '../support/files.ts';
import { pngOf } from '../support/images.ts';
import { verified } from '../support/maintained-store.ts';

/** As version 0.1.0 left it at a clean stop: five images with the keys key-0 to key-4, and a sixth that was deleted. */
const WITHOUT_GENERATION = fileURLToPath(new URL('./store-without-generation', import.meta.url));
const SAVE = { prompt: 'a red fox', model: 'flux', timestamp: new Date('2024-09-27T14:15:22Z') };

async function newFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'image-storage-older-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

/** Opens the store and closes it after the work. Returns what it logged from `info` on. */
async function within(basePath: string, work: (storage: Storage) => Promise<void> = async () => {}): Promise<string[]> {
  const logged: string[] = [];
  const write = (_: object, message: string) => void logged.push(message);
  const log = { debug() {}, info: write, warn: write, error: write };
  const storage = await openStorage({ providers: { local: { basePath } } }, { log });
  await work(storage).finally(() => storage.close());
  return logged;
}

const DAY_MS = 24 * 60 * 60 * 1000;
const saveOne = (storage: Storage, seed: number, day = 0) => {
  const timestamp = new Date(SAVE.timestamp.getTime() + day * DAY_MS);
  return storage.save(pngOf({ width: 8, height: 8, seed }), { ...SAVE, timestamp }, { idempotencyKey: `key-${seed}` });
};
const save = (from: number, to: number) => async (storage: Storage) => {
  for (let seed = from; seed < to; seed += 1) await saveOne(storage, seed);
};
const count = async (storage: Storage) => (await storage.list()).length;
const copy = (from: string, to: string) => execFileSync('cp', ['-a', `${from}/.`, to]);

it('serves a store of a version without generations, deletes and keys included', async () => {
  const basePath = await newFolder();
  await cp(WITHOUT_GENERATION, basePath, { recursive: true });
  for (const times of [1, 2]) {
    const logged = await within(basePath, async (storage) => {
      expect(await count(storage)).toBe(5);
      for (const { filename, size } of await storage.list())
        expect(await collect((await storage.get(filename)).body)).toHaveLength(size);
      expect((await verified(storage)).findings).toEqual([]);
      const deleted = '20240927_141505_flux_iefxzp.png';
      await expect(storage.get(deleted)).rejects.toMatchObject({ reason: 'IMAGE_NOT_FOUND' });
    });
    // Its times changed with the copy: the first start compares, the second does not.
    if (times === 2) expect(logged).toEqual([]);
  }
});

it('compares with the records when a version that notes nothing ran, and its commits are lost', async () => {
  const [basePath, before] = [await newFolder(), await newFolder()];
  let deleted = '';
  await within(basePath, async (storage) => {
    await save(0, 3)(storage);
    deleted = (await storage.list())[0]!.filename;
  });
  copy(basePath, before);
  await within(basePath, async (storage) => {
    await save(3, 6)(storage);
    await storage.delete(deleted);
  });
  // Such a version leaves these as they were; the first two are as a lost write-ahead log leaves them.
  for (const name of ['catalog.db', 'CLEAN', 'GENERATION'])
    execFileSync('cp', ['-a', join(before, 'metadata', name), join(basePath, 'metadata', name)]);
  execFileSync('sh', ['-c', `rm -r ${basePath}/images/.gen* && cp -a ${before}/images/.gen* ${basePath}/images`]);
  const logged = await within(basePath, async (storage) => {
    expect(await count(storage)).toBe(5);
    await expect(storage.get(deleted)).rejects.toMatchObject({ reason: 'IMAGE_NOT_FOUND' });
    expect(await saveOne(storage, 5)).toMatchObject({ replayed: true });
  });
  expect(logged.join('\n')).toMatch(/the catalog was older: records were taken in/);
  expect(await within(basePath)).toEqual([]);
});

it('does so in whatever folder such a version saved, after a stop and after a kill', async () => {
  for (const how of ['stopped', 'killed']) {
    const [basePath, before] = [await newFolder(), await newFolder()];
    // More folders than anybody would look into, all newer than the one that is saved to later.
    await within(basePath, async (storage) => {
      await save(0, 2)(storage);
      for (let day = 1; day <= 110; day += 1) await saveOne(storage, 100 + day, day);
    });
    if (how === 'killed') {
      const store = await forkStore({ basePath });
      await store.settled();
      copy(basePath, before);
      await store.kill();
    } else copy(basePath, before);
    await within(basePath, save(2, 4));
    execFileSync('sh', ['-c', `rm -rf ${basePath}/metadata/catalog.db* ${basePath}/images/.gen*`]);
    execFileSync('sh', ['-c', `cp -a ${before}/images/.gen* ${basePath}/images`]);
    for (const name of ['catalog.db', 'CLEAN', 'GENERATION', ...(how === 'killed' ? ['catalog.db-wal'] : [])])
      execFileSync('cp', ['-a', join(before, 'metadata', name), join(basePath, 'metadata', name)]);
    const logged = await within(basePath, async (storage) => expect(await count(storage)).toBe(114));
    expect(logged.join('\n'), how).toMatch(/the catalog was older: records were taken in/);
    expect(await within(basePath)).toEqual([]);
  }
}, 60_000);

it('does not take a doctor beside the store for such a version', async () => {
  const basePath = await newFolder();
  await within(basePath, save(0, 2));
  expect((await diagnose({ type: 'local', basePath })).links).toMatch(/^ok/);
  expect(await within(basePath)).toEqual([]);
});

it('keeps a row whose record and bytes are gone: Get is DATA_LOSS, and verify names it', async () => {
  const [basePath, before] = [await newFolder(), await newFolder()];
  await within(basePath, save(0, 4));
  copy(basePath, before);
  const lost: string[] = [];
  await within(basePath, async (storage) => {
    const [kept, deleted] = await storage.list();
    lost.push(kept!.filename, deleted!.filename);
    await storage.delete(deleted!.filename);
  });
  await cp(join(before, 'metadata/catalog.db'), join(basePath, 'metadata/catalog.db'));
  const day = '2024-09-27/flux';
  await rm(join(basePath, 'images/generations', day, lost[0]!));
  await rm(join(basePath, 'metadata/generations', day, `${lost[0]}.json`));
  const logged = await within(basePath, async (storage) => {
    expect(await count(storage)).toBe(3);
    await expect(storage.get(lost[0]!).then(({ body }) => collect(body))).rejects.toMatchObject({
      code: 'data_loss',
      reason: 'BYTES_MISSING',
    });
    await expect(storage.get(lost[1]!)).rejects.toMatchObject({ reason: 'IMAGE_NOT_FOUND' });
    const { findings } = await verified(storage);
    expect(findings).toContainEqual(expect.objectContaining({ problem: 'bytes_missing', filename: lost[0] }));
  });
  expect(logged.join('\n')).toMatch(/listed images have no file: `verify` names them/);
});

it('finishes a delete that a crash interrupted before the catalog got older', async () => {
  const [basePath, before] = [await newFolder(), await newFolder()];
  await within(basePath, save(0, 3));
  await cp(join(basePath, 'metadata/catalog.db'), join(before, 'catalog.db'));
  const store = await forkStore({ basePath, crash: { step: 'unlinked', nth: 1 } });
  const { filename } = (await store.list())[0]!;
  await store.delete(filename, { permanent: true }).catch(() => {});
  expect(await store.ended).toBe('SIGKILL');
  await loseCatalog(basePath);
  await cp(join(before, 'catalog.db'), join(basePath, 'metadata/catalog.db'));
  await within(basePath, async (storage) => {
    expect(await count(storage)).toBe(2);
    expect(await strayFiles(storage, basePath)).toEqual([]);
  });
});

it('does not bring back deletes, nor remove what a backup brought back to disk', async () => {
  const [basePath, before] = [await newFolder(), await newFolder()];
  await within(basePath, save(0, 3));
  copy(basePath, before);
  let deleted = '';
  await within(basePath, async (storage) => {
    deleted = (await storage.list())[0]!.filename;
    await storage.delete(deleted, { permanent: true });
  });
  const log = await readFile(join(basePath, 'metadata/logs/audit.jsonl'));
  copy(before, basePath);
  await writeFile(join(basePath, 'metadata/logs/audit.jsonl'), log);
  const logged = await within(basePath, async (storage) => {
    expect(await count(storage)).toBe(2);
    expect((await verified(storage)).findings).toMatchObject([{ problem: 'deleted_before', filename: deleted }]);
  });
  expect(logged.join('\n')).toMatch(/files of deleted images are there: `verify --repair` moves them away/);
});

it('does not bring back what was deleted after a copy of the running catalog, when nothing was saved since', async () => {
  const [basePath, before] = [await newFolder(), await newFolder()];
  const store = await forkStore({ basePath });
  for (const seed of [0, 1, 2]) await store.save(pngOf({ width: 8, height: 8, seed }), SAVE);
  await store.settled();
  // Until the saves are noted beside the images.
  await sleep(2500);
  copy(join(basePath, 'metadata'), before);
  const { filename } = (await store.list())[0]!;
  await store.delete(filename);
  await store.settled();
  await store.kill();
  for (const name of ['catalog.db', 'catalog.db-wal'])
    execFileSync('cp', ['-a', join(before, name), join(basePath, 'metadata', name)]);
  const logged = await within(basePath, async (storage) => {
    expect(await count(storage)).toBe(2);
    await expect(storage.get(filename)).rejects.toMatchObject({ reason: 'IMAGE_NOT_FOUND' });
  });
  expect(logged.join('\n')).toMatch(/the catalog was older/);
});

it('goes on where a start that takes records in was interrupted', async () => {
  const [basePath, before] = [await newFolder(), await newFolder()];
  await within(basePath, save(0, 2));
  copy(basePath, before);
  await within(basePath, save(2, 9));
  await cp(join(before, 'metadata/catalog.db'), join(basePath, 'metadata/catalog.db'));
  for (const step of ['deletes-taken-in', 'records-taken-in', 'generation-raised']) {
    const failpoint = (reached: string) => {
      if (reached === step) throw new Error('interrupted');
    };
    await expect(openStorage({ providers: { local: { basePath } } }, { failpoint })).rejects.toThrow('interrupted');
  }
  await within(basePath, async (storage) => expect(await count(storage)).toBe(9));
});

it('puts FORMAT back from the catalog', async () => {
  const basePath = await newFolder();
  await within(basePath, save(0, 2));
  const format = join(basePath, 'metadata/FORMAT');
  const before = await readFile(format, 'utf8');
  await rm(format);
  expect((await diagnose({ type: 'local', basePath })).store).toMatch(/^note: .*FORMAT is gone/);
  const logged = await within(basePath, async (storage) => expect(await count(storage)).toBe(2));
  expect(logged.join('\n')).toMatch(/FORMAT is gone; it is written again from the catalog/);
  expect(await readFile(format, 'utf8')).toBe(before);
});

it('counts the images of a folder without metadata/, and says what adopts them', async () => {
  const basePath = await newFolder();
  await within(basePath, save(0, 3));
  await rename(join(basePath, 'metadata'), `${basePath}-away`);
  onTestFinished(() => rm(`${basePath}-away`, { recursive: true }));
  const told = new RegExp(`3 images in ${basePath}/images/generations without a record: .*verify --repair`);
  expect((await diagnose({ type: 'local', basePath })).store).toMatch(told);
  for (const _ of [1, 2]) expect((await within(basePath)).join('\n')).toMatch(told);
  expect((await diagnose({ type: 'local', basePath })).store).toMatch(told);
  await within(basePath, async (storage) => {
    await verified(storage, { repair: true });
    expect(await count(storage)).toBe(3);
  });
  expect(await within(basePath)).toEqual([]);
});
