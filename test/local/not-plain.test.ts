/** Links, pipes and folders in the place of what a store wrote: nobody waits for them, and nothing leaves the base path. */
import { execFileSync } from 'node:child_process';
import { lstat, mkdir, mkdtemp, readdir, readFile, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { recordKey } from '../../src/storage/domain/naming.ts';
import type { StorageResult } from '../../src/storage/index.ts';
import { diagnose } from '../doctor/diagnosis.ts';
import { collect } from '../support/bytes.ts';
import { startDaemonProcess } from '../support/daemon-process.ts';
import { loseCatalog, untilNothingIsStaged } from '../support/files.ts';
import { pngOf } from '../support/images.ts';
import { type MaintainedStore, openFolder, verified } from '../support/maintained-store.ts';

const FOX = { prompt: 'a red fox', model: 'flux', timestamp: new Date('2024-09-27T14:15:22Z') };
const BYTES = pngOf({ width: 8, height: 8, seed: 7 });
const READERS = 12;

const pipe = async (path: string) => void execFileSync('mkfifo', [path]);

/** A folder outside of every store. */
async function newOutside(): Promise<string> {
  const outside = await mkdtemp(join(tmpdir(), 'image-storage-outside-'));
  onTestFinished(() => rm(outside, { recursive: true, force: true }));
  return outside;
}

async function saveFox(store: MaintainedStore, metadata = {}): Promise<StorageResult> {
  const fox = await store.storage.save(BYTES, { ...FOX, ...metadata });
  await untilNothingIsStaged(store.folder);
  return fox;
}

const pathOf = (store: MaintainedStore, key: string) => join(store.folder, key.slice('outputs/'.length));
const readAll = async (store: MaintainedStore, filename: string) => collect((await store.storage.get(filename)).body);

describe.skipIf(process.platform === 'win32')('in the place of an image', () => {
  it.each([
    { what: 'a pipe', found: 'a pipe, socket or device is in its place', make: pipe },
    { what: 'a folder', found: 'a folder is in its place', make: (path: string) => mkdir(path) },
    {
      what: 'a link to another file',
      found: 'a link is in its place',
      make: async (path: string) => {
        const secret = join(await newOutside(), 'secret.png');
        await writeFile(secret, BYTES);
        await symlink(secret, path);
      },
    },
    { what: 'a link to itself', found: 'a link is in its place', make: (path: string) => symlink(path, path) },
  ])('$what is DATA_LOSS for its readers at once, and disturbs nobody', async ({ found, make }) => {
    const store = await openFolder();
    const [fox, other] = [await saveFox(store), await saveFox(store)];
    await rm(pathOf(store, fox.key));
    await make(pathOf(store, fox.key));
    const reads = await Promise.allSettled(Array.from({ length: READERS }, () => readAll(store, fox.filename)));
    const reason = { reason: 'BYTES_CORRUPT', message: `the stored file cannot be read: ${found}` };
    for (const read of reads) expect(read).toMatchObject({ status: 'rejected', reason });
    await saveFox(store);
    expect(await readAll(store, other.filename)).toEqual(BYTES);
    const { findings } = await verified(store.storage, { deep: true, repair: true, forgetMissing: true });
    expect(findings).toMatchObject([
      { problem: 'checksum_differs', remedy: 'none', filename: fox.filename, detail: expect.stringContaining(found) },
    ]);
    expect(await store.storage.list()).toHaveLength(3);
    await store.close();
  });
});

describe('a folder that is a link', () => {
  it('is written to by no save and read by nobody, and verify names it', async () => {
    const store = await openFolder();
    const fox = await saveFox(store);
    await store.close();
    const [folder, outside] = [dirname(pathOf(store, fox.key)), await newOutside()];
    const elsewhere = join(outside, 'elsewhere');
    await rename(folder, elsewhere);
    await symlink(elsewhere, folder);
    await writeFile(join(elsewhere, 'notes.txt'), 'mine');
    await store.open();
    await expect(readAll(store, fox.filename)).rejects.toMatchObject({
      reason: 'BYTES_CORRUPT',
      message: 'the stored file cannot be read: a link is in the place of its folder',
    });
    await expect(store.storage.save(BYTES, FOX)).rejects.toMatchObject({ reason: 'STORAGE_IO', outcomeUnknown: false });
    await saveFox(store, { model: 'sdxl' });
    const { findings } = await verified(store.storage, { deep: true, repair: true, forgetMissing: true });
    expect(findings).toMatchObject([
      { problem: 'checksum_differs', remedy: 'none', filename: fox.filename },
      { problem: 'foreign', remedy: 'none', key: dirname(fox.key), detail: expect.stringContaining('it is a link') },
    ]);
    expect(await store.storage.list()).toHaveLength(2);
    expect(await readdir(elsewhere)).toEqual([fox.filename, 'notes.txt'].sort());
  });

  it.each(['images/generations', 'metadata/generations', 'metadata/staging', 'metadata/logs'])(
    'keeps a store from starting when it is %s, and doctor says so',
    async (name) => {
      const store = await openFolder();
      await saveFox(store);
      await store.close();
      const elsewhere = join(await newOutside(), basename(name));
      await rename(join(store.folder, name), elsewhere);
      await symlink(elsewhere, join(store.folder, name));
      const message = `${join(store.folder, name)}: a link is in its place; put the file or folder itself there`;
      await expect(store.open()).rejects.toMatchObject({ kind: 'config', message: expect.stringContaining(message) });
      const { store: said } = await diagnose({ type: 'local', basePath: store.folder });
      expect(said).toBe(`failed: ${message}`);
    },
  );

  it('is the operator’s where it is the folder of all images or of all metadata', async () => {
    const store = await openFolder();
    const fox = await saveFox(store);
    await store.close();
    const outside = await newOutside();
    for (const name of ['images', 'metadata']) {
      await rename(join(store.folder, name), join(outside, name));
      await symlink(join(outside, name), join(store.folder, name));
    }
    await store.open();
    expect(await readAll(store, fox.filename)).toEqual(BYTES);
    await saveFox(store);
    expect((await verified(store.storage, { deep: true })).findings).toEqual([]);
  });
});

describe('a file of the store itself that is a link', () => {
  it.each(['FORMAT', 'catalog.db', 'lock.db', 'CLEAN', 'reserve', 'logs/audit.jsonl'])(
    'keeps it from starting when it is %s, and what it leads to stays as it is',
    async (name) => {
      const store = await openFolder();
      await saveFox(store);
      await store.storage.delete((await saveFox(store)).filename);
      await store.close();
      const [path, elsewhere] = [join(store.folder, 'metadata', name), join(await newOutside(), 'elsewhere')];
      await rename(path, elsewhere);
      await symlink(elsewhere, path);
      const before = await readFile(elsewhere);
      const message = `${path}: a link is in its place; put the file or folder itself there`;
      await expect(store.open()).rejects.toMatchObject({ kind: 'config', message: expect.stringContaining(message) });
      expect((await diagnose({ type: 'local', basePath: store.folder })).store).toBe(`failed: ${message}`);
      expect(await readFile(elsewhere)).toEqual(before);
    },
  );
});

describe.skipIf(process.platform === 'win32')('in the place of a record', () => {
  it.each([
    { what: 'a pipe', make: pipe },
    { what: 'a link', make: async (path: string) => symlink(join(await newOutside(), 'nothing'), path) },
  ])('$what is reported by verify, and a repair writes the record', async ({ make }) => {
    const store = await openFolder();
    const fox = await saveFox(store);
    const path = pathOf(store, recordKey(fox.filename));
    await rm(path);
    await make(path);
    const damaged = { problem: 'record_damaged', filename: fox.filename };
    expect((await verified(store.storage)).findings).toMatchObject([{ ...damaged, remedy: 'none' }]);
    expect((await verified(store.storage, { repair: true })).findings).toMatchObject([
      { ...damaged, remedy: 'restored' },
    ]);
    expect((await lstat(path)).isFile()).toBe(true);
    expect((await verified(store.storage)).findings).toEqual([]);
  });

  it.each([
    { what: 'a pipe', remedy: 'adopted', make: pipe },
    {
      what: 'a link',
      remedy: 'adopted',
      make: async (path: string) => symlink(join(await newOutside(), 'nothing'), path),
    },
    { what: 'a folder', remedy: 'none', make: (path: string) => mkdir(path) },
  ])('$what keeps no store from starting, with its catalog or without', async ({ make, remedy }) => {
    const store = await openFolder();
    const [fox, other] = [await saveFox(store), await saveFox(store)];
    const path = pathOf(store, recordKey(fox.filename));
    await rm(path);
    await make(path);
    await store.close();
    await store.open();
    expect(await store.storage.list()).toHaveLength(2);
    await store.close();
    await loseCatalog(store.folder);
    await store.open();
    expect((await store.storage.list()).map(({ filename }) => filename)).toEqual([other.filename]);
    expect((await verified(store.storage, { repair: true })).findings).toMatchObject([{ remedy }]);
  });
});

describe.skipIf(process.platform === 'win32')('a daemon', () => {
  it('serves and ends although pipes are all over its store', async () => {
    const store = await openFolder();
    const fox = await saveFox(store);
    await store.close();
    const staging = join(store.folder, 'metadata/staging');
    await rm(pathOf(store, fox.key));
    for (const path of [
      pathOf(store, fox.key),
      join(staging, `${fox.filename}.part`),
      join(staging, `${fox.filename}.json`),
      join(staging, '20240927_141522_flux_zzzzzz.png.part'),
      join(staging, '20240927_141522_flux_zzzzzz.png.json'),
    ]) {
      await pipe(path);
    }
    const daemon = await startDaemonProcess(store.folder);
    onTestFinished(() => void daemon.process.kill('SIGKILL'));
    expect(await daemon.stop('SIGTERM')).toBe(0);
    expect(await readdir(staging)).toHaveLength(4);
    await store.open();
    const { findings } = await verified(store.storage);
    expect(findings.filter(({ problem }) => problem === 'foreign')).toHaveLength(4);
  });
});
