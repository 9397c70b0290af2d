/** A daemon that dies at any request of a delete, restore or purge, and another that goes on before it starts again. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import type { ObjectStore } from '../../src/storage/bucket/object-store.ts';
import { openStore } from '../../src/storage/bucket/open.ts';
import { readRecord } from '../../src/storage/bucket/record-object.ts';
import type { MemoryBucket } from '../../src/storage/providers/memory-storage.ts';
import { memoryObjects, memoryStorage } from '../../src/storage/providers/memory-storage.ts';
import { ObjectStorage } from '../../src/storage/providers/object-storage.ts';
import { contextOf, strayObjects } from '../support/bucket.ts';
import { imageOf } from '../support/ledger.ts';
import type { Deed, State } from './image-fate.ts';

/** What becomes of the request that the daemon dies at: it arrives never, before or after the next start, or unanswered. */
type Loss = 'lost' | 'late' | 'later' | 'unanswered';
/** What the other daemon does meanwhile: nothing, the opposite, or a delete and a restore. */
type Meanwhile = 'nothing' | 'opposite' | 'both';

interface Case {
  deed: Deed;
  request: number;
  loss: Loss;
  meanwhile: Meanwhile;
  filename: string;
  /** What the other daemon saw, and left. */
  seen?: State;
  left?: State;
}

const DEEDS: Record<Deed, { before: State; after: State; requests: number }> = {
  delete: { before: 'live', after: 'trashed', requests: 3 },
  destroy: { before: 'live', after: 'gone', requests: 4 },
  restore: { before: 'trashed', after: 'live', requests: 4 },
  purge: { before: 'trashed', after: 'gone', requests: 4 },
};

/** Passes requests on until the daemon dies at one of them. */
function dyingAt(objects: ObjectStore, request: number, loss: Loss, late: (() => Promise<unknown>)[]) {
  const died = Promise.withResolvers<void>();
  let count = 0;
  const send = async <T>(call: () => Promise<T>, isWrite: boolean): Promise<T> => {
    count += 1;
    if (count < request) return call();
    if (count === request && isWrite && loss !== 'lost') await (loss === 'unanswered' ? call() : late.push(call));
    died.resolve();
    return new Promise(() => {});
  };
  const dying: ObjectStore = {
    location: objects.location,
    putNew: (...args) => send(() => objects.putNew(...args), true),
    replaceIf: (...args) => send(() => objects.replaceIf(...args), true),
    remove: (...args) => send(() => objects.remove(...args), true),
    get: (...args) => send(() => objects.get(...args), false),
    list: (...args) => send(() => objects.list(...args), false),
  };
  return { dying, died: died.promise };
}

it('leaves an image as before or as after, and never undoes what another daemon did since', async () => {
  const bucket: MemoryBucket = new Map();
  const objects = memoryObjects(bucket);
  const folder = await mkdtemp(join(tmpdir(), 'image-storage-'));
  const open = async (name: string) => {
    const settings = { stateDir: join(folder, name), shared: true, trash: { days: 7 } };
    const store = await openStore({ objects, ...settings }, contextOf());
    await store.synchronizer.run();
    return { store, provider: new ObjectStorage(store, memoryStorage(objects), async () => {}) };
  };
  const stateOf = async (filename: string): Promise<State> => {
    const { kind } = await readRecord(objects, filename);
    return kind === 'live' || kind === 'trashed' ? kind : 'gone';
  };

  const first = await open('first');
  const cases: Case[] = [];
  for (const [deed, { before, requests }] of Object.entries(DEEDS) as [Deed, (typeof DEEDS)[Deed]][]) {
    for (let request = 1; request <= requests; request += 1) {
      for (const loss of ['lost', 'late', 'later', 'unanswered'] as const) {
        for (const meanwhile of ['nothing', 'opposite', 'both'] as const) {
          const { bytes, metadata } = imageOf(cases.length, { sizeBytes: 400 });
          const { filename } = await first.provider.save(bytes, metadata);
          if (before === 'trashed') await first.provider.delete(filename);
          cases.push({ deed, request, loss, meanwhile, filename });
        }
      }
    }
  }
  const late = { late: [] as (() => Promise<unknown>)[], later: [] as (() => Promise<unknown>)[] };
  const arrive = (requests: (() => Promise<unknown>)[]) => Promise.allSettled(requests.map((request) => request()));
  for (const { deed, request, loss, filename } of cases) {
    const { dying, died } = dyingAt(objects, request, loss, loss === 'late' ? late.late : late.later);
    const provider = new ObjectStorage({ ...first.store, objects: dying }, memoryStorage(dying), async () => {});
    await Promise.race([does(provider, deed, filename), died]);
  }

  const other = await open('other');
  for (const each of cases) {
    each.seen = await stateOf(each.filename);
    expect(Object.values(DEEDS[each.deed]), JSON.stringify(each)).toContain(each.seen);
    if (each.meanwhile !== 'nothing' && each.seen === 'trashed') await other.provider.restore(each.filename);
    if (each.meanwhile !== 'nothing' && each.seen === 'live') await other.provider.delete(each.filename);
    if (each.meanwhile === 'both' && each.seen === 'trashed') await other.provider.delete(each.filename);
    if (each.meanwhile === 'both' && each.seen === 'live') await other.provider.restore(each.filename);
    each.left = await stateOf(each.filename);
  }
  await arrive(late.late);
  await first.store.journal.idle();
  await first.store.catalog.close(false);
  first.store.lock.release();
  const again = await open('first');
  await arrive(late.later);
  await again.store.synchronizer.run();
  await other.store.synchronizer.run();

  for (const each of cases) {
    const mayBe = each.meanwhile === 'nothing' ? [each.left, DEEDS[each.deed].after] : [each.left];
    expect(mayBe, JSON.stringify(each)).toContain(await stateOf(each.filename));
  }
  expect(await again.store.catalog.pendingOperations()).toEqual([]);
  expect(strayObjects(bucket)).toEqual([]);
  for (const provider of [again.provider, other.provider]) {
    const [live, trashed] = [new Set(await namesIn(provider.list())), new Set(await namesIn(provider.listTrash()))];
    for (const { filename } of cases) {
      const told = live.has(filename) ? 'live' : trashed.has(filename) ? 'trashed' : 'gone';
      expect(told).toBe(await stateOf(filename));
    }
    await provider.close();
  }
  await rm(folder, { recursive: true });
});

function does(provider: ObjectStorage, deed: Deed, filename: string): Promise<unknown> {
  if (deed === 'restore') return provider.restore(filename);
  if (deed === 'purge') return provider.purge({ filenames: [filename] });
  return provider.delete(filename, { permanent: deed === 'destroy' });
}

async function namesIn(list: AsyncIterable<{ filename: string }>): Promise<string[]> {
  const names: string[] = [];
  for await (const { filename } of list) names.push(filename);
  return names;
}
