/** The trash in a folder: where its files lie, and what a catalog that was lost or put back makes of them. */
import { appendFile, copyFile, cp, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Finding } from '../../src/storage/domain/maintenance.ts';
import { createStorage, type Storage, type StorageResult } from '../../src/storage/index.ts';
import { openStorage } from '../../src/storage/storage.ts';
import { plain } from '../providers/tested-provider.ts';
import { filesBelow, loseCatalog, untilNothingIsStaged } from '../support/files.ts';
import { imageOf } from '../support/ledger.ts';

const HOUR_MS = 60 * 60 * 1000;
const DAY_MS = 24 * HOUR_MS;
/** Longer than upkeep takes to look again. */
const LOOKED_MS = 2500;

let folder: string;
let basePath: string;
let storage: Storage;
let image: StorageResult;

const open = (days = 7) => createStorage({ providers: { local: { basePath, trash: { days } } } });

const save = (id: number) => {
  const { bytes, metadata, options } = imageOf(id, { sizeBytes: 300 });
  return storage.save(bytes, metadata, { ...options, pinned: true });
};

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'image-storage-'));
  basePath = join(folder, 'outputs');
  storage = await open();
  image = await save(1);
});
afterEach(async () => {
  await storage.close();
  await rm(folder, { recursive: true });
});

async function reopen(between: () => Promise<unknown> = async () => {}): Promise<void> {
  await storage.close();
  await between();
  storage = await open();
}

const trash = async () => (await storage.listTrash()).map(({ filename }) => filename);
const live = async () => (await storage.list()).map(({ filename }) => filename);

/** Returns the paths of the image's files below the base path, without those of the catalog. */
async function filesOf({ filename }: { filename: string }): Promise<string[]> {
  return (await filesBelow(basePath)).filter((path) => path.includes(filename)).sort();
}

async function findings(options: { repair?: boolean; deep?: boolean } = {}): Promise<Finding[]> {
  const found: Finding[] = [];
  for await (const event of storage.verify(options)) if (event.kind === 'finding') found.push(event.finding);
  return found;
}

/** Returns the files that an image has in the live tree, or in the trash. */
function placesOf({ key, filename }: StorageResult): { live: string[]; trashed: string[] } {
  const inFolder = key.replace('outputs/images/', '');
  const names = [`images/${inFolder}`, `metadata/${inFolder}.json`];
  expect(inFolder).toContain(filename);
  return { live: names, trashed: [`metadata/trash/${inFolder}.json`, `metadata/trash/images/${inFolder}`] };
}

it('has the files of an image apart from the live tree until it is restored', async () => {
  await untilNothingIsStaged(basePath);
  const places = placesOf(image);
  expect(await filesOf(image)).toEqual(places.live);
  const { deleted, restorableUntil } = await storage.remove(image.filename);
  expect(deleted).toBe(true);
  expect(restorableUntil!.getTime()).toBeGreaterThan(Date.now() + 6.9 * DAY_MS);
  expect(await filesOf(image)).toEqual(places.trashed);
  expect([await live(), await trash()]).toEqual([[], [image.filename]]);
  const restored = await storage.restore(image.filename);
  expect(plain(restored)).toEqual(plain(image));
  expect(await filesOf(image)).toEqual(places.live);
  expect([await live(), await trash()]).toEqual([[image.filename], []]);
  expect(await findings({ deep: true })).toEqual([]);
});

it('trashes an image whose save or update is not settled yet with the record as it is', async () => {
  await storage.update(image.filename, { addTags: ['new'] });
  await storage.remove(image.filename);
  await reopen();
  expect((await storage.listTrash())[0]!.metadata.tags).toContain('new');
  expect(await filesOf(image)).toEqual(placesOf(image).trashed);
  expect((await storage.restore(image.filename)).metadata.tags).toContain('new');
  await reopen();
  expect(await findings({ deep: true })).toEqual([]);
});

it('is emptied of what is purged', async () => {
  await storage.remove(image.filename);
  expect(await storage.purge({ filenames: [image.filename, 'none.png'] })).toMatchObject({ count: 1, more: false });
  expect(await filesOf(image)).toEqual([]);
  await expect(storage.restore(image.filename)).rejects.toMatchObject({ reason: 'IMAGE_NOT_FOUND' });
  await reopen(() => loseCatalog(basePath));
  expect([await live(), await trash()]).toEqual([[], []]);
});

describe('a catalog that was lost', () => {
  it('has what was deleted in the trash again, until the same time', async () => {
    const kept = await save(2);
    const { restorableUntil } = await storage.remove(image.filename);
    await reopen(() => loseCatalog(basePath));
    expect([await live(), await trash()]).toEqual([[kept.filename], [image.filename]]);
    expect((await storage.listTrash())[0]!.purgeTime).toEqual(restorableUntil);
    expect(plain(await storage.restore(image.filename))).toEqual(plain(image));
  });

  it('has what was restored live, and what was purged nowhere', async () => {
    const gone = await save(2);
    await storage.remove(image.filename);
    await storage.restore(image.filename);
    await storage.remove(gone.filename);
    await storage.purge({ all: true });
    await reopen(() => loseCatalog(basePath));
    expect([await live(), await trash()]).toEqual([[image.filename], []]);
    expect(await findings({ deep: true })).toEqual([]);
  });

  it('takes a file of the trash that no line tells of for deleted when it came there', async () => {
    await storage.remove(image.filename);
    await reopen(async () => {
      await loseCatalog(basePath);
      await rm(join(basePath, 'metadata/logs/audit.jsonl'));
    });
    const [found] = await storage.listTrash();
    expect(Math.abs(found!.deleteTime!.getTime() - Date.now())).toBeLessThan(60_000);
    expect(found!.purgeTime!.getTime() - found!.deleteTime!.getTime()).toBe(7 * DAY_MS);
  });

  it('trashes what its last line has there, although its files were not moved', async () => {
    await storage.remove(image.filename);
    const places = placesOf(image);
    await reopen(async () => {
      await loseCatalog(basePath);
      for (const [at, path] of places.trashed.entries()) {
        await rename(join(basePath, path), join(basePath, places.live.at(-1 - at)!));
      }
    });
    expect([await live(), await trash()]).toEqual([[], [image.filename]]);
    expect(await filesOf(image)).toEqual(places.trashed);
  });

  it('keeps what it trashes by an old line, of before a restore, for its whole time from now on', async () => {
    const log = join(basePath, 'metadata/logs/audit.jsonl');
    await storage.remove(image.filename);
    const line = JSON.parse(await readFile(log, 'utf8'));
    await storage.restore(image.filename);
    await reopen(async () => {
      await loseCatalog(basePath);
      await writeFile(log, `${JSON.stringify({ ...line, purgeTime: new Date(Date.now() - DAY_MS) })}\n`);
    });
    const [found] = await storage.listTrash();
    expect(found!.purgeTime!.getTime()).toBeGreaterThan(Date.now() + 6.9 * DAY_MS);
  });
});

describe('a catalog of another moment that was put back', () => {
  /** Puts the catalog of this moment back after the work. */
  async function after(work: () => Promise<unknown>): Promise<void> {
    const kept = join(folder, 'kept.db');
    await reopen(() => copyFile(join(basePath, 'metadata/catalog.db'), kept));
    await work();
    await reopen(() => copyFile(kept, join(basePath, 'metadata/catalog.db')));
  }

  it('of before the delete: it stays deleted', async () => {
    await after(() => storage.remove(image.filename));
    expect([await live(), await trash()]).toEqual([[], [image.filename]]);
    expect(plain(await storage.restore(image.filename))).toEqual(plain(image));
  });

  it('of before an update and the delete: it comes back as it was updated', async () => {
    const other = await save(2);
    await storage.remove(other.filename);
    await after(async () => {
      await storage.restore(other.filename);
      for (const { filename } of [image, other]) {
        await storage.update(filename, { addTags: ['new'] });
        await storage.remove(filename);
      }
    });
    for (const { filename } of [image, other]) {
      expect((await storage.restore(filename)).metadata.tags).toContain('new');
    }
    await reopen();
    expect(await findings({ deep: true })).toEqual([]);
  });

  it('of before the delete and the restore of an image with a ttl: it no longer goes by itself', async () => {
    const { bytes, metadata } = imageOf(3, { sizeBytes: 300 });
    const { filename } = await storage.save(bytes, metadata, { ttlMs: DAY_MS });
    expect((await storage.get(filename)).item.expireTime).toBeDefined();
    await after(async () => {
      await storage.remove(filename);
      await storage.restore(filename);
    });
    expect((await storage.get(filename)).item.expireTime).toBeUndefined();
  });

  it('whose trash was put back, too, with the catalog lost: what was restored stays live', async () => {
    await storage.remove(image.filename);
    await storage.close();
    await cp(join(basePath, 'metadata/trash'), join(folder, 'trash'), { recursive: true });
    storage = await open();
    await storage.restore(image.filename);
    await reopen(async () => {
      await loseCatalog(basePath);
      await cp(join(folder, 'trash'), join(basePath, 'metadata/trash'), { recursive: true });
    });
    expect([await live(), await trash()]).toEqual([[image.filename], []]);
  });

  it('of before a restore that a crash interrupted: its files are in the trash again', async () => {
    await storage.remove(image.filename);
    const places = placesOf(image);
    await after(async () => {
      await storage.close();
      await rename(join(basePath, places.trashed[1]!), join(basePath, places.live[0]!));
      storage = await open();
    });
    expect([await live(), await trash()]).toEqual([[], [image.filename]]);
    expect(await filesOf(image)).toEqual(places.trashed);
  });

  it('of before a purge that a crash interrupted: its files are removed', async () => {
    await storage.remove(image.filename);
    const [, bytes] = placesOf(image).trashed.map((path) => join(basePath, path));
    await after(async () => {
      await copyFile(bytes!, join(folder, 'bytes'));
      await storage.purge({ all: true });
      await storage.close();
      await copyFile(join(folder, 'bytes'), bytes!);
      storage = await open();
    });
    expect(await filesOf(image)).toEqual([]);
    expect(await findings({ deep: true })).toEqual([]);
  });

  it('of between: it stays restored', async () => {
    await storage.remove(image.filename);
    await after(() => storage.restore(image.filename));
    expect([await live(), await trash()]).toEqual([[image.filename], []]);
    expect(await findings({ deep: true })).toEqual([]);
  });

  it('of after the restore: it is deleted again, and kept for its time', async () => {
    await storage.remove(image.filename);
    await storage.restore(image.filename);
    let until: Date | undefined;
    await after(async () => {
      ({ restorableUntil: until } = await storage.remove(image.filename));
    });
    expect([await live(), await trash()]).toEqual([[], [image.filename]]);
    expect((await storage.listTrash())[0]!.purgeTime).toEqual(until);
  });

  it('of before the purge: it stays purged', async () => {
    await storage.remove(image.filename);
    await after(() => storage.purge({ all: true }));
    expect([await live(), await trash()]).toEqual([[], []]);
  });
});

it('deletes for good where it is turned off, and keeps what it has', async () => {
  const other = await save(2);
  await storage.remove(image.filename);
  await storage.close();
  storage = await open(0);
  expect(await storage.remove(other.filename)).toEqual({ deleted: true });
  expect(await filesOf(other)).toEqual([]);
  expect(await trash()).toEqual([image.filename]);
  expect(plain(await storage.restore(image.filename))).toEqual(plain(image));
});

it('refuses to restore an image of which somebody removed the file', async () => {
  await storage.remove(image.filename);
  await rm(join(basePath, placesOf(image).trashed[1]!));
  await expect(storage.restore(image.filename)).rejects.toMatchObject({ reason: 'BYTES_MISSING' });
  expect(await trash()).toEqual([image.filename]);
});

it.each([
  ['zeros', Buffer.alloc(300)],
  ['a part of a line', Buffer.from('{"time":"2026')],
])('has a restore in the audit log behind %s that a power cut has left', async (_, rest) => {
  await storage.remove(image.filename);
  await reopen(() => appendFile(join(basePath, 'metadata/logs/audit.jsonl'), rest));
  await storage.restore(image.filename);
  await reopen(() => loseCatalog(basePath));
  expect([await live(), await trash()]).toEqual([[image.filename], []]);
});

it('writes lines to the audit log that an older version takes for deletes and images brought back', async () => {
  await storage.remove(image.filename);
  await storage.restore(image.filename);
  await storage.remove(image.filename);
  await storage.purge({ all: true });
  const text = await readFile(join(basePath, 'metadata/logs/audit.jsonl'), 'utf8');
  const lines = text
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line));
  expect(lines.map(({ action, purgeTime }) => [action, purgeTime !== undefined])).toEqual([
    ['delete', true],
    ['adopt', false],
    ['delete', true],
    ['delete', false],
  ]);
});

it('has a restore after its delete in the audit log, also where the clock went back', async () => {
  await storage.close();
  let clock = Date.now();
  const { filename } = image;
  storage = await openStorage({ providers: { local: { basePath, trash: { days: 7 } } } }, { now: () => clock });
  await storage.remove(filename);
  clock -= HOUR_MS;
  await storage.restore(filename);
  const lines = (await readFile(join(basePath, 'metadata/logs/audit.jsonl'), 'utf8')).trimEnd().split('\n');
  const [deleted, restored] = lines.map((line) => JSON.parse(line).time);
  expect(restored >= deleted).toBe(true);
});

it('writes that an image was brought back with a later time than its delete, also when the clock was set back', async () => {
  let now = Date.now() + HOUR_MS;
  await storage.close();
  storage = await openStorage({ providers: { local: { basePath } } }, { now: () => now });
  for (const minutes of [30, 20]) {
    await storage.remove(image.filename);
    now -= minutes * 60_000;
    await storage.restore(image.filename);
  }
  const lines = (await readFile(join(basePath, 'metadata/logs/audit.jsonl'), 'utf8')).trimEnd().split('\n');
  const [first, , second, last] = lines.map((line) => Date.parse(JSON.parse(line).time));
  expect(lines.length).toBe(4);
  expect(last).toBeGreaterThan(Math.max(first!, second!));
});

it('leaves no catalog to older versions that has as deleted what was restored since', async () => {
  await storage.remove(image.filename);
  await reopen(() => writeFile(join(basePath, 'metadata/REBUILD'), ''));
  await storage.restore(image.filename);
  const lost = async () => (await filesBelow(basePath, 'metadata')).filter((path) => path.includes('catalog-lost-'));
  expect(await lost()).not.toEqual([]);
  await storage.close();
  storage = await openStorage({ providers: { local: { basePath } } }, { formatChange: 'downgrade' });
  await storage.close();
  expect(await lost()).toEqual([]);
});

describe('verify', () => {
  const inStore = (path: string) => join(basePath, path);

  it('reports an image of the trash whose file is gone, changed or torn, and writes its record again', async () => {
    const others = [await save(2), await save(3)] as const;
    for (const { filename } of [image, ...others]) await storage.remove(filename);
    await reopen();
    await rm(inStore(placesOf(image).trashed[1]!));
    await writeFile(inStore(placesOf(others[0]).trashed[1]!), Buffer.alloc(others[0].size));
    await writeFile(inStore(placesOf(others[1]).trashed[0]!), '{');
    expect((await findings({ deep: true, repair: true })).map(({ problem, remedy }) => [problem, remedy])).toEqual(
      expect.arrayContaining([
        ['bytes_missing', 'none'],
        ['checksum_differs', 'none'],
        ['record_damaged', 'restored'],
      ]),
    );
    expect(plain(await storage.restore(others[1].filename))).toEqual(plain(others[1]));
  });

  it('brings a file that was moved to the wrong tree back where its image is', async () => {
    const other = await save(4);
    await untilNothingIsStaged(basePath);
    await storage.remove(image.filename);
    await reopen();
    const [trashed, kept] = [placesOf(image), placesOf(other)];
    await rename(inStore(trashed.trashed[1]!), inStore(trashed.live[0]!));
    await rename(inStore(kept.live[0]!), inStore(kept.trashed[1]!));
    expect(await findings({ repair: true })).toHaveLength(2);
    expect(await findings({ deep: true })).toEqual([]);
    expect(await filesOf(other)).toEqual(kept.live);
    expect(await filesOf(image)).toEqual(trashed.trashed);
  });

  it('takes a file of the trash without a row into the trash from now on, never live', async () => {
    await storage.remove(image.filename);
    const [record, bytes] = placesOf(image).trashed as [string, string];
    await Promise.all([copyFile(inStore(record), join(folder, 'r')), copyFile(inStore(bytes), join(folder, 'b'))]);
    await storage.purge({ all: true });
    await reopen(async () => {
      await loseCatalog(basePath);
      await rm(inStore('metadata/logs/audit.jsonl'));
    });
    await Promise.all([copyFile(join(folder, 'r'), inStore(record)), copyFile(join(folder, 'b'), inStore(bytes))]);
    expect(await findings({ repair: true })).toMatchObject([{ problem: 'not_committed', remedy: 'adopted' }]);
    expect([await live(), await trash()]).toEqual([[], [image.filename]]);
    expect(plain(await storage.restore(image.filename))).toEqual(plain(image));
  });

  it('puts aside what lies in the trash and was purged, or is no image', async () => {
    await storage.remove(image.filename);
    const [, bytes] = placesOf(image).trashed as [string, string];
    await copyFile(inStore(bytes), join(folder, 'b'));
    await storage.purge({ all: true });
    await reopen();
    await copyFile(join(folder, 'b'), inStore(bytes));
    await writeFile(inStore('metadata/trash/images/generations/note.txt'), 'x');
    const found = await findings({ repair: true });
    expect(found.map(({ problem, remedy }) => `${problem} ${remedy}`).sort()).toEqual([
      'deleted_before quarantined',
      'foreign quarantined',
    ]);
    expect(await findings()).toEqual([]);
  });
});

describe('the time of an image in the trash', () => {
  /** What the clock of the machine shows, and the time that has passed, ahead of the real ones. */
  const ahead = { clock: 0, time: 0 };

  beforeEach(async () => {
    Object.assign(ahead, { clock: 0, time: 0 });
    await storage.close();
    storage = await timed();
    await storage.remove(image.filename);
  });

  const timed = () =>
    openStorage(
      { providers: { local: { basePath, trash: { days: 1 } } } },
      { now: () => Date.now() + ahead.clock, elapsed: () => performance.now() + ahead.time },
    );

  const pass = (ms: number) => {
    ahead.clock += ms;
    ahead.time += ms;
  };

  it('ends: it is purged then, and no sooner', async () => {
    pass(2 * HOUR_MS);
    await sleep(LOOKED_MS);
    pass(21 * HOUR_MS);
    await sleep(LOOKED_MS);
    expect(await trash()).toEqual([image.filename]);
    pass(2 * HOUR_MS);
    await expect.poll(trash).toEqual([]);
    expect(await filesOf(image)).toEqual([]);
  });

  it('ends also when the clock was once set back', async () => {
    ahead.clock -= 30 * DAY_MS;
    await sleep(LOOKED_MS);
    ahead.clock += 30 * DAY_MS;
    pass(2 * DAY_MS);
    await sleep(LOOKED_MS);
    pass(2 * HOUR_MS);
    await expect.poll(trash).toEqual([]);
  });

  it('does not end for a clock that jumps, nor within an hour of a start', async () => {
    pass(2 * HOUR_MS);
    await sleep(LOOKED_MS);
    ahead.clock += 3 * DAY_MS;
    await sleep(LOOKED_MS);
    await storage.close();
    storage = await timed();
    pass(30 * 60 * 1000);
    await sleep(LOOKED_MS);
    expect(await trash()).toEqual([image.filename]);
  });

  it('ends after a clock that was far ahead for a while, which frees no key', async () => {
    const { bytes, metadata, options } = imageOf(1, { sizeBytes: 300 });
    ahead.clock += 300 * DAY_MS;
    await sleep(LOOKED_MS);
    ahead.clock -= 300 * DAY_MS;
    await sleep(LOOKED_MS);
    pass(2 * HOUR_MS);
    await sleep(LOOKED_MS);
    pass(23 * HOUR_MS);
    await expect.poll(trash).toEqual([]);
    ahead.clock += 300 * DAY_MS;
    await sleep(LOOKED_MS);
    ahead.clock -= 300 * DAY_MS;
    const again = await storage.save(bytes, metadata, { ...options, pinned: true });
    expect(again).toMatchObject({ filename: image.filename, replayed: true, deleted: true });
  });

  it('does not end within a day of a start that found no catalog', async () => {
    await storage.close();
    await loseCatalog(basePath);
    pass(2 * DAY_MS);
    storage = await timed();
    pass(20 * HOUR_MS);
    await sleep(LOOKED_MS);
    expect(await trash()).toEqual([image.filename]);
  });
});
