/** What the catalog of an object store takes over from a bucket, and what it lets pass; over each implementation. */
import { afterEach, beforeEach, expect, it } from 'vitest';
import type {
  BucketCatalog,
  FoundChange,
  FoundRecord,
  RecordTombstone,
} from '../../src/storage/catalog/bucket-catalog.ts';
import { recordKey } from '../../src/storage/domain/naming.ts';
import type { ImageRecord } from '../../src/storage/domain/record.ts';
import { recordOf, T0 } from './catalogs.ts';

/** A catalog that is empty at first, and can be opened again as after a crash. */
export interface TestedBucketCatalog {
  open(): Promise<BucketCatalog>;
  release(): Promise<void> | void;
}

/** To be called in a `describe`. */
export function itIsABucketCatalog(create: () => Promise<TestedBucketCatalog> | TestedBucketCatalog): void {
  let tested: TestedBucketCatalog;
  let catalog: BucketCatalog;

  beforeEach(async () => {
    tested = await create();
    catalog = await tested.open();
  });
  afterEach(async () => {
    await catalog.close(true);
    await tested.release();
  });

  const FOX = recordOf(1, { prompt: 'a fox', idempotencyKey: 'k', tags: ['a'] });
  const live = (record: ImageRecord, etag: string): FoundRecord => ({ kind: 'live', etag, record });
  const gone = (record: ImageRecord, etag: string, kind: RecordTombstone['kind'] = 'deleted'): FoundRecord => {
    const { filename, idempotencyKey, fingerprint, createTime, timestamp, pinned } = record;
    const image = { filename, idempotencyKey, fingerprint, createTime, timestamp, pinned, nonce: 'n' };
    return { kind: 'tombstone', etag, tombstone: { ...image, kind, deleteTime: T0, deleteNonce: 'd' } };
  };
  const find = (record: ImageRecord, found: FoundRecord, over?: string): FoundChange => ({
    kind: 'found',
    filename: record.filename,
    found,
    sweepTime: T0 + 1000,
    ...(over !== undefined && { over }),
  });
  const listed = async (query = '') => {
    await catalog.apply([{ kind: 'filled' }]);
    const { records } = await catalog.page({ order: 'oldest', query }, { limit: 100, maxBytes: 1e6 });
    return records.map(({ filename }) => filename);
  };

  it('never brings back what was deleted since it was read', async () => {
    await catalog.apply([find(FOX, live(FOX, 'e1'))]);
    await catalog.apply([find(FOX, gone(FOX, 'e2'))]);
    await catalog.apply([
      find(FOX, live(FOX, 'e1')),
      find(FOX, live(FOX, 'e1'), 'e1'),
      find(FOX, { kind: 'absent' }, 'e1'),
    ]);
    expect(await listed()).toEqual([]);
    expect(await catalog.known(FOX.filename)).toEqual({ filename: FOX.filename, etag: 'e2' });
    expect(await catalog.findByKey('k')).toMatchObject({ deleted: true, record: { fingerprint: FOX.fingerprint } });
    expect((await catalog.statistics()).count).toBe(0);
    expect(await catalog.wasDeleted(FOX.sha256)).toBe(true);
  });

  it('takes a newer record over the one that it was compared with, and over no other', async () => {
    const pinned = { ...FOX, pinned: true, prompt: 'an owl' };
    await catalog.apply([
      find(FOX, live(FOX, 'e1')),
      find(FOX, live(pinned, 'e2'), 'e1'),
      find(FOX, live(FOX, 'e3'), 'e1'),
    ]);
    expect(await catalog.find(FOX.filename)).toMatchObject({ pinned: true, prompt: 'an owl' });
    expect([await listed('owl'), await listed('fox')]).toEqual([[FOX.filename], []]);
    expect(await catalog.statistics()).toMatchObject({ count: 1, pinnedCount: 1, bytes: FOX.size });
  });

  it('knows the key of an image that it only ever saw deleted, and nothing of a save that failed', async () => {
    const failed = recordOf(2, { idempotencyKey: 'f' });
    await catalog.apply([find(FOX, gone(FOX, 'e1')), find(failed, gone(failed, 'e2', 'failed'))]);
    expect(await catalog.findByKey('k')).toMatchObject({
      deleted: true,
      record: { filename: FOX.filename, timestamp: FOX.timestamp },
    });
    expect(await catalog.findByKey('f')).toBeUndefined();
  });

  it('lists both of two images that were saved with one key apart from each other', async () => {
    const other = recordOf(2, { idempotencyKey: 'k' });
    await catalog.apply([find(FOX, live(FOX, 'e1')), find(other, live(other, 'e2'))]);
    expect(await listed()).toEqual([FOX.filename, other.filename]);
    expect(await catalog.findByKey('k')).toMatchObject({ record: { filename: FOX.filename } });
  });

  it('forgets a tombstone that has expired, with its key', async () => {
    await catalog.apply([find(FOX, gone(FOX, 'e1'))]);
    expect(await catalog.dueSweeps(T0, 10)).toEqual([]);
    expect(await catalog.dueSweeps(T0 + 1000, 10)).toEqual([{ filename: FOX.filename, etag: 'e1', deleteTime: T0 }]);
    await catalog.apply([{ kind: 'sweep', filename: FOX.filename, sweepTime: T0 + 5000 }]);
    expect(await catalog.dueSweeps(T0 + 1000, 10)).toEqual([]);
    await catalog.apply([find(FOX, { kind: 'absent' }, 'e1')]);
    expect(await catalog.findByKey('k')).toBeUndefined();
    await catalog.apply([find(FOX, live(FOX, 'e9'))]);
    expect(await listed()).toEqual([FOX.filename]);
  });

  it('gives what it knows in the order of the keys in the bucket', async () => {
    const records = [recordOf(1, { model: 'b' }), recordOf(2, { model: 'a' }), recordOf(90_000, { model: 'a' })];
    await catalog.apply(records.map((record, index) => find(record, live(record, `e${index}`))));
    const keys = records.map(({ filename }) => recordKey(filename)).sort();
    const all = await catalog.knownBetween({ limit: 10 });
    expect(all.map(({ filename }) => recordKey(filename))).toEqual(keys);
    expect(await catalog.knownBetween({ after: keys[0]!, upTo: keys[1]!, limit: 10 })).toEqual([all[1]]);
    expect(await catalog.knownBetween({ limit: 2 })).toEqual(all.slice(0, 2));
  });

  it('keeps over a crash what was begun and not ended, and whether it was ever filled', async () => {
    const operation = {
      nonce: 'n',
      kind: 'save',
      filename: FOX.filename,
      idempotencyKey: 'k',
      fingerprint: 'f',
    } as const;
    await catalog.apply([
      { kind: 'begin', operation },
      { kind: 'begin', operation: { ...operation, nonce: 'm' } },
    ]);
    await catalog.apply([{ kind: 'end', nonce: 'm' }]);
    expect(await catalog.isFilled()).toBe(false);
    await catalog.apply([{ kind: 'filled' }]);
    await catalog.close(false);
    catalog = await tested.open();
    expect(await catalog.pendingOperations()).toEqual([operation]);
    expect(await catalog.isFilled()).toBe(true);
  });

  it('is filled by several groups at once, past what changed since they were read, and keeps what is filled', async () => {
    const records = Array.from({ length: 6 }, (_, id) =>
      recordOf(id, { prompt: `fox ${id}`, idempotencyKey: `${id}` }),
    );
    const [first, second, ...others] = records as [ImageRecord, ImageRecord, ...ImageRecord[]];
    const again = { ...recordOf(9, { prompt: 'fox', idempotencyKey: '5' }) };
    await catalog.apply([find(first, live({ ...first, pinned: true }, 'new')), find(second, gone(second, 'gone'))]);
    await Promise.all([
      catalog.fill([first, ...others.slice(0, 2)].map((record) => find(record, live(record, 'e')))),
      catalog.fill([second, ...others.slice(2), again].map((record) => find(record, live(record, 'e')))),
    ]);
    const expected = [first, ...others, again].map(({ filename }) => filename);
    expect(await listed('fox')).toEqual(expected);
    expect(await catalog.find(first.filename)).toMatchObject({ pinned: true });
    const { count, pinnedCount } = await catalog.statistics();
    expect({ count, pinnedCount }).toEqual({ count: 6, pinnedCount: 1 });
    await catalog.close(false);
    catalog = await tested.open();
    expect(await catalog.isFilled()).toBe(true);
    expect(await listed('fox')).toEqual(expected);
  });

  it('does not begin a save whose key an image has, and says which', async () => {
    await catalog.apply([find(FOX, live(FOX, 'e1'))]);
    const save = {
      nonce: 'n',
      kind: 'save',
      filename: recordOf(7).filename,
      idempotencyKey: 'k',
      fingerprint: 'f',
    } as const;
    const [earlier, other] = await catalog.apply([
      { kind: 'begin', operation: save },
      { kind: 'begin', operation: { ...save, nonce: 'm', idempotencyKey: 'other' } },
    ]);
    expect(earlier).toMatchObject({ record: { filename: FOX.filename }, deleted: false });
    expect(other).toBeUndefined();
    expect((await catalog.pendingOperations()).map(({ nonce }) => nonce)).toEqual(['m']);
  });

  const trashed = (record: ImageRecord, etag: string): FoundRecord => ({
    kind: 'trashed',
    etag,
    trashed: { record, deleteTime: T0, purgeTime: T0 + 1000, deleteNonce: etag },
  });

  it('puts an image into its trash and out of it, in the order of its revisions, however late it learns of them', async () => {
    const [one, two] = [FOX, { ...FOX, revision: 1 }];
    const course = [live(one, 'e0'), trashed(one, 'e1'), live(two, 'e2'), trashed(two, 'e3'), gone(two, 'e4')];
    for (const [at, found] of course.entries()) {
      await catalog.apply([find(FOX, found)]);
      for (const late of course.slice(0, at)) await catalog.apply([find(FOX, late)]);
      const state = found.kind === 'live' ? ['fox'] : [];
      expect(await listed('fox')).toEqual(state.map(() => FOX.filename));
      expect((await catalog.findTrashed(FOX.filename))?.deleteTime).toBe(found.kind === 'trashed' ? T0 : undefined);
      const { count, trashCount, trashBytes } = await catalog.statistics();
      const isTrashed = Number(found.kind === 'trashed');
      expect([count, trashCount, trashBytes]).toEqual([state.length, isTrashed, isTrashed * FOX.size]);
      expect(await catalog.findByKey('k')).toMatchObject({ deleted: found.kind !== 'live' });
    }
  });

  it('keeps of an operation what decides whether it is still to be carried out', async () => {
    const operation = { nonce: 'n', filename: FOX.filename, idempotencyKey: '', fingerprint: '' };
    const begun = [
      { ...operation, kind: 'delete', lastDelete: 'd', keepMs: 5 },
      { ...operation, nonce: 'm', kind: 'purge', lastDelete: 'd' },
      { ...operation, nonce: 'l', kind: 'update' },
    ] as const;
    await catalog.apply(begun.map((each) => ({ kind: 'begin', operation: each })));
    expect(await catalog.pendingOperations()).toEqual(expect.arrayContaining([...begun]));
  });
}
