/** What a copy refuses, and what it says where a store is away or an image cannot be read. */
import { cp, rm, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { createStorage, type StorageResult } from '../../src/storage/index.ts';
import type { MemoryBucket } from '../../src/storage/providers/memory-storage.ts';
import { handsOnFolder } from '../support/behind-the-back.ts';
import { requestsOf, startS3FaultServer } from '../support/s3-fault-server.ts';
import { copied, MOVE, newFolder, openPair, save, saveMany } from './copied-stores.ts';

describe('what a copy refuses', () => {
  it('is to delete where both names are of one store, or of copies of one', async () => {
    const folder = await newFolder();
    const bucket: MemoryBucket = new Map();
    const state = (name: string) => ({ type: 'memory' as const, bucket, stateDir: join(folder, name) });
    const storage = await createStorage({ defaultProvider: 'a', providers: { a: state('a'), b: state('b') } });
    onTestFinished(() => storage.close());
    await save(storage, 1);
    const refused = { reason: 'FIELD_INVALID', field: 'delete_source' };
    await expect(copied(storage, { deleteSource: true })).rejects.toMatchObject(refused);
    expect((await copied(storage)).summary).toMatchObject({ copied: 0, present: 1 });

    const pair = await openPair('folder', 'folder');
    await save(pair.storage, 1);
    await pair.storage.close();
    await rm(join(pair.folder, 'b'), { recursive: true });
    await cp(join(pair.folder, 'a'), join(pair.folder, 'b'), { recursive: true });
    const copies = await pair.open();
    await expect(copied(copies, { deleteSource: true })).rejects.toMatchObject(refused);
    expect(await copies.list({ provider: 'a' })).toHaveLength(1);
  });

  it('are stores that are one, unknown or all, and a concurrency out of bounds', async () => {
    const { storage } = await openPair('folder', 'folder');
    await expect(copied(storage, { to: 'a' })).rejects.toMatchObject({ reason: 'FIELD_INVALID', field: 'to' });
    await expect(copied(storage, { to: 'c' })).rejects.toMatchObject({ reason: 'PROVIDER_NOT_FOUND', field: 'to' });
    await expect(copied(storage, { from: '*' })).rejects.toMatchObject({ reason: 'FIELD_INVALID', field: 'from' });
    for (const concurrency of [-1, 0, 1.5, 65, Number.NaN]) {
      const refused = { reason: 'FIELD_INVALID', field: 'concurrency' };
      await expect(copied(storage, { concurrency })).rejects.toMatchObject(refused);
    }
    await saveMany(storage, 3);
    for (const concurrency of [1, 64]) await copied(storage, { concurrency });
  });
});

it.each([
  ['target', { from: 'folder', to: 'bucket' }, requestsOf('images', 'PUT')],
  ['source', { from: 'bucket', to: 'folder' }, requestsOf('images', 'GET')],
] as const)('ends where the %s is away, by its name, with what was done until then', async (_, way, asks) => {
  const folder = await newFolder();
  const server = await startS3FaultServer();
  onTestFinished(() => server[Symbol.asyncDispose]());
  const bucket = { ...server.settings, stateDir: join(folder, 'state') };
  const storage = await createStorage({
    defaultProvider: way.from,
    providers: { folder: { type: 'local', basePath: join(folder, 'a') }, bucket },
  });
  onTestFinished(() => storage.close());
  await saveMany(storage, 5);
  let asked = 0;
  server.plan = (request) => (asks(request) && ++asked > 2 ? 'reset' : undefined);
  const events = storage.copy({ ...way, deleteSource: true, concurrency: 1 });
  const summaries: object[] = [];
  const run = async () => {
    for await (const event of events) if ('summary' in event) summaries.push({ ...event.summary, kind: event.kind });
  };
  const down = {
    reason: 'BACKEND_UNAVAILABLE',
    message: expect.stringMatching(/^bucket: the bucket cannot be reached/),
  };
  await expect(run()).rejects.toMatchObject(down);
  expect(summaries).toMatchObject([{ kind: 'stopped', copied: 2, present: 0, failed: 0, deleted: 2 }]);
  expect(await storage.list({ provider: way.from })).toHaveLength(3);
  await server.heal();
  expect((await copied(storage, way)).summary).toMatchObject({ copied: 3, failed: 0 });
  expect(await storage.list({ provider: way.to })).toHaveLength(5);
});

it('names, before it is stopped, also what failed while the store that ended it did', async () => {
  const folder = await newFolder();
  const server = await startS3FaultServer();
  onTestFinished(() => server[Symbol.asyncDispose]());
  const providers = {
    a: { type: 'local' as const, basePath: join(folder, 'a') },
    b: { ...server.settings, stateDir: join(folder, 'state') },
  };
  const storage = await createStorage({ defaultProvider: 'a', providers });
  onTestFinished(() => storage.close());
  const [, missing] = await saveMany(storage, 3);
  await handsOnFolder(providers.a.basePath).remove(missing!.key);
  const asks = requestsOf('images', 'PUT');
  server.plan = (request) => (asks(request) ? 'reset' : undefined);
  const told: object[] = [];
  const run = async () => {
    for await (const event of storage.copy({ ...MOVE, concurrency: 2 })) {
      if (event.kind !== 'progress') told.push(event);
    }
  };
  await expect(run()).rejects.toMatchObject({ reason: 'BACKEND_UNAVAILABLE' });
  expect(told).toMatchObject([
    { kind: 'failed', failure: { filename: missing!.filename, reason: 'BYTES_MISSING' } },
    { kind: 'stopped', summary: { copied: 0, failed: 1 } },
  ]);
});

it('copies what it can read of a folder', async () => {
  const { storage, folder, a } = await openPair('folder', 'folder');
  const saved = await saveMany(storage, 3);
  const [unreadable] = saved as [StorageResult];
  await a.remove(unreadable.key);
  // It cannot be opened, not even by root.
  await symlink(unreadable.filename, join(folder, unreadable.key.replace('outputs', 'a')));
  const failure = { filename: unreadable.filename, reason: 'BYTES_CORRUPT' };
  expect(await copied(storage)).toMatchObject({ summary: { copied: 2, failed: 1 }, failures: [failure] });
});
