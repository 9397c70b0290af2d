/** What only a folder can show to `verify`: record files, links, and folders that are not there. */
import { mkdir, readFile, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { recordKey } from '../../src/storage/domain/naming.ts';
import { createStorage, type StorageResult } from '../../src/storage/index.ts';
import { collect } from '../support/bytes.ts';
import { loseCatalog, untilNothingIsStaged } from '../support/files.ts';
import { pngOf } from '../support/images.ts';
import { type MaintainedStore, openFolder, verified } from '../support/maintained-store.ts';

const FOX = {
  prompt: 'a red fox',
  model: 'FLUX.1 [dev]',
  timestamp: new Date('2024-09-27T14:15:22.123Z'),
  category: 'animals',
  tags: ['a', 'b'],
  parametersJson: '{"seed": 18446744073709551615}',
};
const BYTES = pngOf({ width: 8, height: 8, seed: 7 });
const DAY_MS = 24 * 60 * 60 * 1000;

async function saveFox({ storage, folder }: MaintainedStore, options = {}): Promise<StorageResult> {
  const fox = await storage.save(BYTES, FOX, { idempotencyKey: 'fox', pinned: true, ...options });
  await untilNothingIsStaged(folder);
  return fox;
}

/** Two stores, and a fox in the first; `bringOver` copies its image into the second by hand, and its record unless told not to. */
async function openTwo() {
  const [from, store] = [await openFolder(), await openFolder()];
  const fox = await saveFox(from);
  const bringOver = async (withRecord = true) => {
    for (const key of withRecord ? [fox.key, recordKey(fox.filename)] : [fox.key]) {
      await store.hands.write(key, await from.hands.read(key));
    }
  };
  return { from, store, fox, bringOver };
}

const plain = ({ replayed: _, deleted: __, path: ___, metadata, ...rest }: StorageResult) => ({
  ...rest,
  metadata: { ...metadata },
});

describe('verify of a folder', () => {
  it('writes an edited record again, and keeps what somebody wrote', async () => {
    const store = await openFolder();
    const { filename } = await saveFox(store);
    const key = recordKey(filename);
    const original = String(await store.hands.read(key));
    await store.hands.write(key, Buffer.from(original.replace('a red fox', 'a blue fox')));
    const damaged = { problem: 'record_damaged', key, detail: 'it tells something else' };
    expect((await verified(store.storage, { repair: true })).findings).toMatchObject([
      { ...damaged, remedy: 'restored' },
    ]);
    expect(JSON.parse(String(await store.hands.read(key)))).toEqual(JSON.parse(original));
    const aside = await store.hands.read(key.replace('outputs/', 'outputs/metadata/quarantine/'));
    expect(String(aside)).toContain('a blue fox');
    expect((await verified(store.storage)).findings).toEqual([]);
  });

  it('adopts an image by its record, as it was saved: metadata, pin, date and key', async () => {
    const { store, fox, bringOver } = await openTwo();
    await bringOver();
    const adopted = { problem: 'not_committed', key: fox.key, remedy: 'adopted' };
    expect((await verified(store.storage, { repair: true })).findings).toMatchObject([adopted]);
    const again = await saveFox(store);
    expect(again.replayed).toBe(true);
    expect(plain(again)).toEqual(plain(fox));
    expect(await store.storage.list({ query: 'red fox', tags: ['a'], category: 'animals' })).toHaveLength(1);
    expect((await verified(store.storage, { deep: true })).findings).toEqual([]);
  });

  it('adopts without its key an image whose key another has, and leaves it to that one', async () => {
    const { store, fox, bringOver } = await openTwo();
    const own = await store.storage.save(BYTES, { ...FOX, timestamp: new Date() }, { idempotencyKey: 'fox' });
    await bringOver();
    expect((await verified(store.storage, { repair: true })).findings).toMatchObject([{ remedy: 'adopted' }]);
    expect((await verified(store.storage)).findings).toEqual([]);
    await store.close();
    await loseCatalog(store.folder);
    const rebuilt = await store.open();
    expect(await rebuilt.list()).toHaveLength(2);
    const again = rebuilt.save(BYTES, { ...FOX, timestamp: own.metadata.timestamp }, { idempotencyKey: 'fox' });
    expect(await again).toMatchObject({ replayed: true, filename: own.filename });
    expect((await rebuilt.get(fox.filename)).item.metadata.prompt).toBe('a red fox');
  });

  it('does not believe a record of other bytes, and puts it aside', async () => {
    const { store, fox, bringOver } = await openTwo();
    await bringOver();
    await store.hands.write(fox.key, pngOf({ width: 9, height: 9 }));
    expect((await verified(store.storage, { repair: true })).findings).toMatchObject([{ remedy: 'adopted' }]);
    const { metadata, width } = (await store.storage.get(fox.filename)).item;
    expect({ width, ...metadata }).toMatchObject({ width: 9, prompt: '', model: 'flux-1-dev' });
    expect(await store.hands.keys()).toContain(
      recordKey(fox.filename).replace('outputs/', 'outputs/metadata/quarantine/'),
    );
    expect((await verified(store.storage, { deep: true })).findings).toEqual([]);
  });

  it('brings back for good what was deleted long ago: no rebuild takes it for deleted', async () => {
    const { from, store, fox, bringOver } = await openTwo();
    await bringOver();
    await verified(store.storage, { repair: true });
    expect(await store.storage.delete(fox.filename, { permanent: true })).toBe(true);
    await store.close();
    store.aheadMs = 2 * DAY_MS;
    await store.open();
    // Nothing is forgotten in the first hour.
    store.aheadMs += DAY_MS / 12;
    await bringOver();
    const problem = async () => (await verified(store.storage)).findings[0]?.problem;
    await expect.poll(problem).toBe('not_committed');
    expect((await verified(store.storage, { repair: true })).findings).toMatchObject([{ remedy: 'adopted' }]);
    await store.close();
    await loseCatalog(store.folder);
    const rebuilt = await store.open();
    expect((await rebuilt.list()).map((item) => item.filename)).toEqual([fox.filename]);
    expect(await collect((await rebuilt.get(fox.filename)).body)).toEqual(await from.hands.read(fox.key));
    // And a delete is a delete again.
    expect(await rebuilt.delete(fox.filename)).toBe(true);
    await store.close();
    await loseCatalog(store.folder);
    expect(await (await store.open()).list()).toEqual([]);
  });

  it('leaves folders alone that are links, and reports them and the images behind them', async () => {
    const store = await openFolder();
    const { key, filename } = await saveFox(store);
    const folder = join(store.folder, dirname(key.slice('outputs/'.length)));
    const elsewhere = join(store.folder, 'elsewhere');
    await rename(folder, elsewhere);
    await symlink(elsewhere, folder);
    await writeFile(join(elsewhere, 'notes.txt'), 'mine');
    const findings = [
      { problem: 'checksum_differs', remedy: 'none', key, filename },
      {
        problem: 'foreign',
        remedy: 'none',
        key: dirname(key),
        detail: 'it is a link, neither a plain file nor a folder',
      },
    ];
    for (const options of [{}, { deep: true, repair: true, forgetMissing: true }]) {
      expect((await verified(store.storage, options)).findings).toMatchObject(findings);
    }
    expect(await readFile(join(elsewhere, 'notes.txt'), 'utf8')).toBe('mine');
    await rm(folder);
    await rename(elsewhere, folder);
    await rm(join(folder, 'notes.txt'));
    expect((await verified(store.storage, { deep: true })).findings).toEqual([]);
  });

  it('goes on behind a file that it cannot read', async () => {
    const store = await openFolder();
    const fox = await saveFox(store);
    const other = await saveFox(store, { idempotencyKey: 'other' });
    await store.hands.remove(recordKey(fox.filename));
    await mkdir(join(store.folder, recordKey(fox.filename).slice('outputs/'.length)));
    await store.hands.remove(other.key);
    const { findings } = await verified(store.storage, { repair: true });
    expect(findings.map(({ problem, filename }) => `${problem} ${filename}`).sort()).toEqual([
      `bytes_missing ${other.filename}`,
      `record_damaged ${fox.filename}`,
    ]);
    expect(findings).toContainEqual(
      expect.objectContaining({ remedy: 'none', detail: expect.stringMatching('EISDIR') }),
    );
  });
});

describe('verify that is to forget', () => {
  const forget = { forgetMissing: true, repair: true };
  const refused = { name: 'StorageError', reason: 'STORE_REPLACED' };
  const images = ({ folder }: MaintainedStore) => join(folder, 'images/generations');

  /** Two foxes; nothing of them may be forgotten. */
  async function openWithFoxes() {
    const store = await openFolder();
    for (const idempotencyKey of ['one', 'two']) await saveFox(store, { idempotencyKey });
    return store;
  }
  const count = async ({ storage }: MaintainedStore) => (await storage.list()).length;

  it('refuses when the folder of the store is another', async () => {
    const store = await openWithFoxes();
    await rename(store.folder, `${store.folder}-away`);
    onTestFinished(() => rm(`${store.folder}-away`, { recursive: true }));
    const another = await createStorage({ providers: { local: { basePath: store.folder } } });
    onTestFinished(() => another.close());
    await expect(verified(store.storage, forget)).rejects.toMatchObject(refused);
    await expect(count(store)).rejects.toMatchObject(refused);
    await store.close();
    const away = await createStorage({ providers: { local: { basePath: `${store.folder}-away` } } });
    onTestFinished(() => away.close());
    expect(await away.list()).toHaveLength(2);
  });

  it('refuses when the images are gone, also when saves have made their folder again', async () => {
    const store = await openWithFoxes();
    await rename(images(store), `${images(store)}-away`);
    await expect(verified(store.storage)).rejects.toMatchObject(refused);
    await expect(verified(store.storage, forget)).rejects.toMatchObject(refused);
    await store.storage.save(pngOf({ width: 3, height: 3 }), FOX);
    await expect(verified(store.storage, forget)).rejects.toMatchObject(refused);
    expect(await count(store)).toBe(3);
  });

  it('refuses when most images have no bytes', async () => {
    const store = await openWithFoxes();
    await store.close();
    await rm(images(store), { recursive: true });
    await store.open();
    expect((await verified(store.storage)).findings).toMatchObject([
      { problem: 'bytes_missing' },
      { problem: 'bytes_missing' },
    ]);
    await expect(verified(store.storage, forget)).rejects.toMatchObject(refused);
    // A save makes the folder again.
    await saveFox(store, { idempotencyKey: 'three' });
    await expect(verified(store.storage, forget)).rejects.toMatchObject(refused);
    expect(await count(store)).toBe(3);
  });
});

it('says over all providers which one is not to be verified', async () => {
  const [one, two] = [await openFolder(), await openFolder()];
  await Promise.all([one.close(), two.close()]);
  const places = {
    one: { type: 'local' as const, basePath: one.folder },
    two: { type: 'local' as const, basePath: two.folder },
  };
  const storage = await createStorage({ defaultProvider: 'one', providers: places });
  onTestFinished(() => storage.close());
  for (const provider of ['one', 'two']) await storage.save(BYTES, FOX, { provider });
  expect((await verified(storage, { provider: '*' })).summary).toMatchObject({ images: 2, findings: 0 });
  await rm(join(two.folder, 'metadata/FORMAT'));
  const down = { code: 'unavailable', message: expect.stringMatching(/^two: /) };
  await expect(verified(storage, { provider: '*' })).rejects.toMatchObject(down);
  await expect(verified(storage, { provider: 'three' })).rejects.toMatchObject({ reason: 'PROVIDER_NOT_FOUND' });
});
