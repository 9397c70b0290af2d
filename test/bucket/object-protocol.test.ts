/** The protocol of object stores, over a network that loses, delays and repeats, by daemons that die between any two steps. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { type OpenStore, openStore } from '../../src/storage/bucket/open.ts';
import { purgeDue } from '../../src/storage/bucket/purge-due.ts';
import { resolveOperations } from '../../src/storage/bucket/recover.ts';
import { BUCKET_TOMBSTONE_MS, sweep } from '../../src/storage/bucket/sweep.ts';
import type { FoundRecord } from '../../src/storage/catalog/bucket-catalog.ts';
import { StoreOpenError } from '../../src/storage/index.ts';
import type { MemoryBucket } from '../../src/storage/providers/memory-storage.ts';
import { memoryObjects, memoryStorage } from '../../src/storage/providers/memory-storage.ts';
import { ObjectStorage } from '../../src/storage/providers/object-storage.ts';
import { contextOf, strayObjects } from '../support/bucket.ts';
import { randomOf } from '../support/load.ts';
import { full, seed } from '../support/scale.ts';
import { liveNames, recordsIn, settleSubjects, trashedNames } from './bucket-truth.ts';
import { FaultyObjects, LateRequests } from './faulty-objects.ts';
import { type Call, Died, Subject } from './protocol-model.ts';

const OPERATIONS = full ? 20_000 : 1_200;
const BATCHES_TO_CHECK = 40;
const DAEMONS = 2;
const PAGE_SIZE = full ? 100 : 7;
const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
/** So that some images outlast it in the trash, and are purged by their age. */
const TRASH_DAYS = 0.1;
const ALWAYS = { mayPurge: () => true };

const random = randomOf(seed);
const chance = (of: number) => random() < of;
const oneOf = <T>(items: readonly T[]): T => items[Math.floor(random() * items.length)]!;

/** One bucket, one network, one clock. */
class World {
  readonly bucket: MemoryBucket = new Map();
  readonly late = new LateRequests();
  now = Date.UTC(2026, 0, 1);

  /** How much of the traffic goes wrong; now and then nearly all of it. */
  faultRate(): number {
    return oneOf([0, 0.05, 0.15, 0.3, 0.8]);
  }
}

class Daemon {
  readonly #world: World;
  readonly #stateDir: string;
  network!: FaultyObjects;
  store!: OpenStore;
  provider!: ObjectStorage;

  constructor(world: World, stateDir: string) {
    this.#world = world;
    this.#stateDir = stateDir;
  }

  /** As a supervisor would: a start that the network spoils is tried again. */
  async start(): Promise<void> {
    for (let tries = 1; ; tries += 1) {
      try {
        return await this.#open();
      } catch (error) {
        if (!(error instanceof StoreOpenError) || error.cause === undefined || tries === 20) throw error;
      }
    }
  }

  async #open(): Promise<void> {
    const now = () => this.#world.now;
    this.network = new FaultyObjects(memoryObjects(this.#world.bucket, { pageSize: PAGE_SIZE, now }), {
      random,
      late: this.#world.late,
    });
    this.network.rate = 0.1;
    const retry = { random, sleep: () => turn() };
    const settings = { stateDir: this.#stateDir, shared: true, lockWaitSeconds: 0, trash: { days: TRASH_DAYS } };
    this.store = await openStore({ objects: this.network, retry, ...settings }, contextOf({ now }));
    this.provider = new ObjectStorage(this.store, memoryStorage(this.network), async () => {});
  }

  /** Whatever it was doing ends where it is, as by SIGKILL; then it starts again. */
  async crash(): Promise<void> {
    this.network.die();
    for (let count = 0; count < 5; count += 1) {
      await this.store.journal.idle();
      await turn();
    }
    await this.store.catalog.close(false);
    this.store.lock.release();
    await this.start();
  }

  call: Call = (work) => {
    const died = this.network.died.then(() => {
      throw new Died();
    });
    return Promise.race([work(this.provider), died]);
  };

  /** One turn of its background work. */
  async upkeep(): Promise<void> {
    const { store } = this;
    const chores = [
      () => resolveOperations(store, [...store.unsettled.values()]),
      () => store.synchronizer.run(),
      () => sweep(store, BUCKET_TOMBSTONE_MS),
      () => purgeDue(store, ALWAYS),
    ];
    await this.call(oneOf(chores) as () => Promise<void>).catch(() => {});
  }
}

it(`loses, doubles and resurrects nothing in ${OPERATIONS} operations`, {
  timeout: full ? 1_800_000 : 120_000,
}, async () => {
  const world = new World();
  const folder = await mkdtemp(join(tmpdir(), 'image-storage-'));
  const daemons = Array.from({ length: DAEMONS }, (_, index) => new Daemon(world, join(folder, `${index}`)));
  for (const daemon of daemons) await daemon.start();
  // Nothing is purged by its age on the day of a new catalog.
  world.now += 25 * HOUR;
  const subjects: Subject[] = [];

  for (let done = 0, batch = 1; done < OPERATIONS; batch += 1) {
    for (const { network } of daemons) network.rate = world.faultRate();
    if (chance(0.05)) oneOf(daemons).network.dieWithin(Math.ceil(random() * 60));
    const size = 1 + Math.floor(random() * 8);
    await Promise.all(Array.from({ length: size }, () => operate(world, oneOf(daemons), subjects)));
    done += size;
    for (const daemon of daemons) if (daemon.network.isDead) await daemon.crash();
    world.now += Math.floor(random() * MINUTE);
    await world.late.arrive(random, 0.1);
    if (batch % BATCHES_TO_CHECK === 0) await check(world, daemons, subjects);
  }
  await check(world, daemons, subjects);
  await expectTombstonesToExpire(world, daemons, subjects);
  for (const { provider } of daemons) await provider.close();
  await rm(folder, { recursive: true });
});

async function operate(world: World, daemon: Daemon, subjects: Subject[]): Promise<void> {
  const recent = subjects.slice(-60);
  const dice = random();
  if (dice < 0.3 || recent.length === 0) {
    const subject = new Subject(subjects.length, chance(0.7), { keepMs: TRASH_DAYS * 24 * HOUR, now: () => world.now });
    subjects.push(subject);
    return subject.save(daemon.call, subject.variants[0]!);
  }
  const subject = oneOf(recent);
  if (dice < 0.5 && subject.key !== '')
    return subject.save(daemon.call, chance(0.7) ? subject.variants[0]! : oneOf(subject.variants));
  if (dice < 0.6) return subject.delete(daemon.call);
  if (dice < 0.66) return subject.restore(daemon.call);
  if (dice < 0.68) return chance(0.5) ? subject.purge(daemon.call) : subject.destroy(daemon.call);
  if (dice < 0.76) return subject.update(daemon.call, chance(0.5));
  if (dice < 0.85) return subject.get(daemon.call, chance(0.5));
  if (dice < 0.9) return lookAtList(daemon, recent);
  return daemon.upkeep();
}

async function lookAtList({ provider, store }: Daemon, subjects: Subject[]): Promise<void> {
  if (!store.synchronizer.filled) return;
  const told = Map.groupBy(subjects, (subject) => subject.toldBy(provider));
  const items = await provider.list({ limit: 2 * subjects.length });
  const names = new Set(items.map(({ filename }) => filename));
  for (const { filename } of told.get('deleted') ?? [])
    expect(names, 'listed after its delete').not.toContain(filename);
  for (const { filename, isLive } of told.get('saved') ?? []) if (isLive) expect(names, 'listed').toContain(filename);
}

/** Lets everything come to rest, an hour pass, and compares. */
async function check(world: World, daemons: Daemon[], subjects: Subject[]): Promise<void> {
  for (const { network } of daemons) network.heal();
  await comeToRest(world, daemons);
  const records = await recordsIn(world.bucket);
  settleSubjects(subjects, records);
  const live = liveNames(records);
  for (const { provider, store } of daemons) {
    const items = await provider.list();
    expect(items.map((item) => item.filename).sort()).toEqual(live);
    expect(new Map(items.map(({ filename, pinned, metadata }) => [filename, { pinned, tags: metadata.tags }]))).toEqual(
      new Map(records.flatMap(labelsIn)),
    );
    expect((await provider.listTrash()).map((item) => item.filename).sort()).toEqual(trashedNames(records));
    const counted = await provider.getStatistics();
    expect([counted.count, counted.trashCount]).toEqual([live.length, trashedNames(records).length]);
    expect(await store.catalog.pendingOperations()).toEqual([]);
  }
  for (const subject of subjects.slice(-60)) await subject.get(oneOf(daemons).call, true);
  expect(strayObjects(world.bucket)).toEqual([]);
}

function labelsIn(found: FoundRecord): [string, object][] {
  if (found.kind !== 'live') return [];
  const { filename, pinned, tags } = found.record;
  return [[filename, { pinned, tags }]];
}

async function comeToRest(world: World, daemons: Daemon[]): Promise<void> {
  await world.late.arrive();
  for (const { store } of daemons) await resolveOperations(store, [...store.unsettled.values()]);
  for (const { store } of daemons) await store.synchronizer.run();
  world.now += HOUR + MINUTE;
  for (const { store } of daemons) while (await sweep(store, BUCKET_TOMBSTONE_MS));
}

async function expectTombstonesToExpire(world: World, daemons: Daemon[], subjects: Subject[]): Promise<void> {
  world.now += BUCKET_TOMBSTONE_MS;
  for (const { store } of daemons) while (await sweep(store, BUCKET_TOMBSTONE_MS));
  const left = await recordsIn(world.bucket);
  expect(left.filter(({ kind }) => kind !== 'live' && kind !== 'trashed')).toEqual([]);
  expect(liveNames(left)).toEqual(
    subjects
      .filter(({ isLive }) => isLive)
      .map(({ filename }) => filename)
      .sort(),
  );
}
