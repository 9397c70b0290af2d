/** Images that vanish from a bucket without a delete: a lifecycle rule, another tool, a bucket that was made anew. */
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { expect, it } from 'vitest';
import { imageKey, recordKey } from '../../src/storage/domain/naming.ts';
import type { Logger } from '../../src/storage/index.ts';
import { collect } from '../support/bytes.ts';
import { pngOf } from '../support/images.ts';
import { type MaintainedStore, openMemoryBucket, openS3Bucket, verified } from '../support/maintained-store.ts';
import { startS3FaultServer } from '../support/s3-fault-server.ts';
import { errorAnswer } from '../support/s3-protocol.ts';

const FOX = { prompt: 'a red fox', model: 'flux-schnell', timestamp: new Date('2024-09-27T14:15:22Z') };
const PNG = pngOf({ width: 8, height: 8 });
const DAY_MS = 24 * 60 * 60 * 1000;

interface Line {
  level: string;
  facts: Record<string, unknown>;
  message: string;
}

function linesOf(): { log: Logger; lines: Line[]; of(message: RegExp): Line[] } {
  const lines: Line[] = [];
  const at = (level: string) => (facts: object, message: string) =>
    void lines.push({ level, facts: facts as Line['facts'], message });
  const log = { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') };
  return { log, lines, of: (pattern) => lines.filter(({ message }) => pattern.test(message)) };
}

/** As a rule of the bucket does: image and record go, FORMAT stays. */
async function expire({ hands }: MaintainedStore, filenames: readonly string[]) {
  const expired = filenames.flatMap((filename) => [imageKey(filename), recordKey(filename)]);
  const objects = await Promise.all(expired.map(async (key) => [key, await hands.read(key)] as const));
  for (const key of expired) await hands.remove(key);
  return async () => {
    for (const [key, bytes] of objects) await hands.write(key, bytes);
  };
}

async function savedIn({ storage }: MaintainedStore, count: number): Promise<string[]> {
  const saved = await Promise.all(Array.from({ length: count }, () => storage.save(PNG, FOX)));
  return saved.map(({ filename }) => filename);
}

const namesIn = async ({ storage }: MaintainedStore) => (await storage.list()).map(({ filename }) => filename).sort();
const bytesOf = async ({ storage }: MaintainedStore, filename: string) => collect((await storage.get(filename)).body);

it('keeps all images of a bucket that a rule emptied, says so, and deletes nothing by counting them', async () => {
  const store = await openMemoryBucket();
  const saved = await savedIn(store, 50);
  await store.close();
  const restore = await expire(store, saved);

  const told = linesOf();
  await store.open({ log: told.log });
  await expect.poll(() => store.storage.health().main).toMatchObject({ serving: false, why: /most images/ });
  expect(await namesIn(store)).toEqual(saved.sort());
  expect(told.of(/records are gone/)).toMatchObject([{ level: 'error', facts: { images: 50, missing: 50 } }]);
  expect(told.of(/most images.*docs\/object-stores\.md#an-emptied-bucket/)).toHaveLength(1);
  await expect(bytesOf(store, saved[0]!)).rejects.toMatchObject({ code: 'data_loss', reason: 'BYTES_MISSING' });
  await expect(store.storage.cleanup({ keepCount: 0 })).rejects.toMatchObject({ reason: 'STORE_REPLACED' });
  const { findings } = await verified(store.storage);
  expect(findings).toHaveLength(50);
  expect(findings[0]).toMatchObject({ problem: 'bytes_missing', detail: 'its record is gone, too' });
  await expect(verified(store.storage, { forgetMissing: true })).rejects.toMatchObject({ reason: 'STORE_REPLACED' });

  // Over a restart, and without asking for each of them again.
  await store.close();
  const again = linesOf();
  await store.open({ log: again.log });
  await expect.poll(() => store.storage.health().main).toMatchObject({ serving: false });
  expect(again.of(/records are gone/)).toEqual([]);
  expect(again.of(/most images/)).toHaveLength(1);
  expect(await namesIn(store)).toEqual(saved);

  await store.close();
  await restore();
  await store.open();
  await expect.poll(async () => (await verified(store.storage)).findings).toEqual([]);
  expect(store.storage.health().main).toEqual({ serving: true });
  expect((await bytesOf(store, saved[0]!)).equals(PNG)).toBe(true);
});

it('serves on when a few records are gone, names them once, and deletes them for good', async () => {
  const store = await openMemoryBucket();
  const saved = await savedIn(store, 5);
  await store.close();
  await expire(store, saved.slice(0, 1));
  await store.hands.remove(recordKey(saved[1]!));
  const told = linesOf();
  await store.open({ log: told.log });
  await expect.poll(() => told.of(/records are gone/)).toHaveLength(1);
  const [line] = told.of(/records are gone/);
  expect(line!.facts).toMatchObject({ images: 2, filenames: expect.arrayContaining(saved.slice(0, 2)) });
  expect(store.storage.health().main).toEqual({ serving: true });
  await expect(bytesOf(store, saved[0]!)).rejects.toMatchObject({ reason: 'BYTES_MISSING' });
  expect((await bytesOf(store, saved[1]!)).equals(PNG)).toBe(true);
  for (const filename of saved.slice(0, 2)) expect(await store.storage.delete(filename)).toBe(true);
  expect(await store.hands.keys()).not.toContain(imageKey(saved[1]!));
  expect(await namesIn(store)).toEqual(saved.slice(2).sort());
  expect((await verified(store.storage)).findings).toEqual([]);
  expect(await store.storage.delete(saved[0]!)).toBe(false);
});

it('names what is gone also where the comparison is throttled after that, and the daemon stops', async () => {
  await using server = await startS3FaultServer({ pageSize: 20 });
  const store = await openS3Bucket(server.settings);
  const saved = (await savedIn(store, 110)).sort();
  await store.close();
  const gone = saved.slice(0, 50);
  for (const filename of gone) server.bucket.delete(recordKey(filename));

  const throttled = Promise.withResolvers<void>();
  server.refuse = ({ operation, key, query }) => {
    if (operation !== 'LIST' || !key.includes('metadata') || !query.has('start-after')) return undefined;
    throttled.resolve();
    return errorAnswer(503, 'SlowDown');
  };
  const told = linesOf();
  await store.open({ log: told.log });
  await throttled.promise;
  await store.close();
  expect(told.of(/records are gone/)).toMatchObject([{ level: 'error', facts: { images: 50, missing: 50 } }]);

  await server.heal();
  const again = linesOf();
  await store.open({ log: again.log });
  expect((await verified(store.storage)).findings).toHaveLength(50);
  expect(again.of(/records are gone/)).toEqual([]);
  expect(store.storage.health().main).toEqual({ serving: true });
});

it('takes a record that comes back', async () => {
  const store = await openMemoryBucket();
  const saved = await savedIn(store, 3);
  await store.close();
  const restore = await expire(store, saved.slice(0, 1));
  const told = linesOf();
  await store.open({ log: told.log });
  await expect.poll(() => told.of(/records are gone/)).toHaveLength(1);
  await restore();
  expect((await verified(store.storage)).findings).toEqual([]);
  await store.close();
  await store.open();
  expect((await verified(store.storage)).findings).toEqual([]);
  expect((await bytesOf(store, saved[0]!)).equals(PNG)).toBe(true);
});

it.each(['26 days', 'unknown'])(
  'fills anew a catalog whose last comparison was %s ago, and counts what went',
  async (age) => {
    const store = await openMemoryBucket();
    const saved = await savedIn(store, 4);
    await store.close();
    await expire(store, saved.slice(0, 3));
    if (age === 'unknown') forgetComparison(store.folder);
    else store.aheadMs = 26 * DAY_MS;
    const told = linesOf();
    await store.open({ log: told.log });
    await expect.poll(() => namesIn(store)).toEqual(saved.slice(3));
    await expect.poll(() => told.of(/left the catalog/)).toMatchObject([{ level: 'warn', facts: { images: 3 } }]);
    expect(told.of(/records are gone/)).toEqual([]);
    expect(store.storage.health().main).toEqual({ serving: true });
  },
);

it('relies on a comparison of 24 days ago', async () => {
  const store = await openMemoryBucket();
  const saved = await savedIn(store, 4);
  await store.close();
  await expire(store, saved.slice(0, 1));
  store.aheadMs = 24 * DAY_MS;
  const told = linesOf();
  await store.open({ log: told.log });
  await expect.poll(() => told.of(/records are gone/)).toHaveLength(1);
  expect(await namesIn(store)).toEqual(saved.sort());
});

/** As a catalog of a version that did not note it. */
function forgetComparison(folder: string): void {
  const db = new DatabaseSync(join(folder, 'main.catalog.db'));
  db.exec("DELETE FROM store WHERE name IN ('compared', 'probed')");
  db.close();
}

it('keeps what it knows missing for longer than tombstones last', async () => {
  const store = await openMemoryBucket();
  const saved = await savedIn(store, 3);
  await store.close();
  await expire(store, saved.slice(0, 1));
  const told = linesOf();
  await store.open({ log: told.log });
  await expect.poll(() => told.of(/records are gone/)).toHaveLength(1);
  await store.close();
  store.aheadMs = 60 * DAY_MS;
  await store.open();
  expect((await verified(store.storage)).findings).toMatchObject([{ problem: 'bytes_missing' }]);
  expect(await namesIn(store)).toEqual(saved.sort());
});

it('says what is missing where FORMAT is gone, and opens when it is put back as it says', async () => {
  const store = await openMemoryBucket();
  const [filename] = await savedIn(store, 1);
  await store.close();
  await store.hands.remove('outputs/metadata/FORMAT');
  const error = await store.open().catch((thrown) => thrown);
  expect(error).toMatchObject({ name: 'StoreOpenError', kind: 'config' });
  const [, content] = /outputs\/metadata\/FORMAT is missing .* with the content (\{.*\}) \(docs.*#format\)/.exec(
    error.message,
  )!;
  await store.hands.write('outputs/metadata/FORMAT', Buffer.from(content!));
  await store.open();
  expect(await namesIn(store)).toEqual([filename]);
});

it('takes no writes once FORMAT is gone, serves reads, and logs how to put it back', async () => {
  const store = await openMemoryBucket();
  const [filename] = await savedIn(store, 1);
  await store.close();
  const told = linesOf();
  await store.open({ log: told.log });
  await store.hands.remove('outputs/metadata/FORMAT');
  await expect(verified(store.storage)).rejects.toMatchObject({ reason: 'STORE_REPLACED' });
  await expect(store.storage.save(PNG, FOX)).rejects.toMatchObject({ reason: 'STORE_REPLACED' });
  await expect(store.storage.delete(filename!)).rejects.toMatchObject({ reason: 'STORE_REPLACED' });
  expect(store.storage.health().main).toMatchObject({ serving: false });
  expect((await bytesOf(store, filename!)).equals(PNG)).toBe(true);
  const lines = told.of(/outputs\/metadata\/FORMAT is missing .*docs\/object-stores\.md#format/);
  expect(lines).toMatchObject([{ level: 'error' }]);
  await store.close();
  const [, content] = / with the content (\{.*\}) \(/.exec(lines[0]!.message)!;
  await store.hands.write('outputs/metadata/FORMAT', Buffer.from(content!));
  await store.open();
  expect((await verified(store.storage)).findings).toEqual([]);
});
