/**
 * Random lives of images against a map: saved, updated, deleted, restored, purged, cleaned up, gone by a policy or their
 * time, through restarts, rebuilds, crashes and jumps of the clock. Each is in one place, which is one that it may be in.
 */
import { cp, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { AnyProviderConfig } from '../../src/storage/domain/config.ts';
import type { Selection, Storage } from '../../src/storage/index.ts';
import type { MemoryBucket } from '../../src/storage/providers/memory-storage.ts';
import { openStorage } from '../../src/storage/storage.ts';
import { imageOf } from '../support/ledger.ts';
import { randomOf } from '../support/load.ts';
import { full, seed } from '../support/scale.ts';

const SEQUENCES = full ? 10_000 : 1_000;
const STEPS_OF_A_SEQUENCE = 5;
/** Sequences between two starts. */
const RESTART_EVERY = 40;
/** From so many on, all are deleted and purged, so that each look is short. */
const MOST_IMAGES = 30;
const HOUR = 60 * 60 * 1000;
const DAY = 24 * HOUR;
const T0 = Date.UTC(2026, 10, 30);

type Place = 'live' | 'trashed' | 'gone';

interface Life {
  number: number;
  pinned: boolean;
  place: Place;
  /** When it may go by itself. */
  expireTime?: number;
  /** When it may be purged; of one that went by itself, not before this. */
  purgeTime?: number;
}

/** A store with all that it keeps, so that it can be copied as a kill would leave it. */
interface World {
  config(): AnyProviderConfig;
  copy(): Promise<World>;
  /** Makes the next start build the catalog again. */
  lose(): Promise<{ rebuildCatalog?: boolean }>;
  remove(): Promise<void>;
}

const newFolder = () => mkdtemp(join(tmpdir(), 'image-storage-'));

/** A store that runs may take a name away while it is copied. */
async function copyOf(folder: string): Promise<string> {
  for (;;) {
    const copy = await newFolder();
    try {
      await cp(folder, copy, { recursive: true, preserveTimestamps: true });
      return copy;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
      await rm(copy, { recursive: true });
    }
  }
}

function folderWorld(folder: string): World {
  return {
    config: () => ({ type: 'local', basePath: folder, trash: { days: 1, minFreeBytes: 1 } }),
    copy: async () => folderWorld(await copyOf(folder)),
    lose: async () => ({ rebuildCatalog: true }),
    remove: () => rm(folder, { recursive: true }),
  };
}

function bucketWorld(stateDir: string, bucket: MemoryBucket): World {
  return {
    config: () => ({ type: 'memory', bucket, stateDir, trash: { days: 1 } }),
    copy: async () => bucketWorld(await copyOf(stateDir), new Map(bucket)),
    async lose() {
      await rm(stateDir, { recursive: true });
      return {};
    },
    remove: () => rm(stateDir, { recursive: true }),
  };
}

const worlds: [name: string, open: () => Promise<World>][] = [
  ['a folder', async () => folderWorld(await newFolder())],
  ['a bucket', async () => bucketWorld(await newFolder(), new Map())],
];

class Lives {
  readonly #random = randomOf(seed);
  readonly #lives = new Map<string, Life>();
  readonly #names = new Set<string>();
  readonly #clocks = { wall: T0, passed: 0 };
  #world: World;
  #storage!: Storage;
  #last = 0;
  readonly counts: Record<string, number> = {};
  /** The last plan; `isOver`: the store was opened since. `filenames`: those that nothing has happened to. */
  #planned: { selection: Selection; filenames: Set<string>; at: number; isOver?: boolean } | undefined;

  constructor(world: World) {
    this.#world = world;
  }

  async open(options: { rebuildCatalog?: boolean } = {}): Promise<void> {
    const retention = { few: { keepLast: 3, category: 'even' } };
    const config = { defaultProvider: 'main', providers: { main: this.#world.config() }, retention };
    const { now, elapsed } = { now: () => this.#clocks.wall, elapsed: () => this.#clocks.passed };
    this.#storage = await openStorage(config, { now, elapsed, ...options });
    await expect
      .poll(() =>
        this.#storage.getStatistics().then(
          () => true,
          () => false,
        ),
      )
      .toBe(true);
  }

  async close(): Promise<void> {
    await this.#storage.close();
    await this.#world.remove();
  }

  async sequence(): Promise<void> {
    for (let step = 0; step < STEPS_OF_A_SEQUENCE; step += 1) {
      const name = this.#lives.size === 0 ? 'save' : this.#oneOf(STEPS);
      this.counts[name] = (this.counts[name] ?? 0) + 1;
      await this[name]();
    }
    await this.check();
    if (this.#lives.size >= MOST_IMAGES) await this.#clear();
  }

  async restart(): Promise<void> {
    const how = this.#oneOf(['restart', 'crash', 'rebuild', 'crash and rebuild']);
    this.counts[how] = (this.counts[how] ?? 0) + 1;
    const [world, storage] = [this.#world, this.#storage];
    if (this.#planned !== undefined) this.#planned.isOver = true;
    if (how.startsWith('crash')) this.#world = await world.copy();
    await storage.close();
    if (how.startsWith('crash')) await world.remove();
    await this.open(how.endsWith('rebuild') ? await this.#world.lose() : {});
    await this.check();
  }

  async save(): Promise<void> {
    this.#last += 1;
    const ttlMs = this.#random() < 0.3 ? Math.ceil(this.#random() * 3 * HOUR) + 1000 : undefined;
    const pinned = this.#random() < 0.2;
    const { filename } = await this.#saveAs(this.#last, { pinned, ...(ttlMs && { ttlMs }) });
    expect(this.#names.has(filename), 'a filename that was used').toBe(false);
    this.#names.add(filename);
    const expireTime = ttlMs && this.#clocks.wall + ttlMs;
    this.#lives.set(filename, { number: this.#last, pinned, place: 'live', ...(expireTime && { expireTime }) });
  }

  /** The same save again never makes another image, and says whether the first one was deleted. */
  async again(): Promise<void> {
    const [filename, life] = this.#oneOf([...this.#lives]);
    // The key of one that is gone for a day is free again.
    if (this.#placesOf(life).includes('gone')) return;
    const saved = await this.#saveAs(life.number, { pinned: life.pinned });
    expect(saved).toMatchObject({ filename, replayed: true });
    if (this.#placesOf(life).length === 1) expect(saved.deleted).toBe(life.place !== 'live');
  }

  async update(): Promise<void> {
    const [filename, life] = this.#oneOf([...this.#lives]);
    const pinned = this.#random() < 0.5;
    const isLive = await this.#storage.update(filename, { pinned }).then(() => true, notFound);
    this.#found(life, isLive ? ['live'] : ['trashed', 'gone']);
    if (isLive && life.pinned !== pinned) this.#planned?.filenames.delete(filename);
    if (isLive) life.pinned = pinned;
  }

  async delete(): Promise<void> {
    const [filename, life] = this.#oneOf([...this.#lives]);
    const permanent = this.#random() < 0.2;
    const { deleted, restorableUntil } = await this.#storage.remove(filename, { permanent });
    if (permanent) this.#found(life, deleted ? ['live', 'trashed'] : ['gone']);
    else this.#found(life, deleted ? ['live'] : ['trashed', 'gone']);
    if (!deleted) return;
    expect(restorableUntil?.getTime()).toBe(permanent ? undefined : this.#clocks.wall + DAY);
    this.#move(life, permanent ? 'gone' : 'trashed', this.#clocks.wall + DAY);
  }

  async restore(): Promise<void> {
    const [filename, life] = this.#oneOf([...this.#lives]);
    try {
      const { metadata } = await this.#storage.restore(filename);
      expect(metadata.prompt).toBe(imageOf(life.number).metadata.prompt);
      this.#found(life, ['trashed']);
      this.#planned?.filenames.delete(filename);
      this.#move(life, 'live');
      delete life.expireTime;
    } catch (error) {
      const { reason } = error as { reason: string };
      expect(['IMAGE_NOT_FOUND', 'NOT_DELETED'], `${error}`).toContain(reason);
      this.#found(life, reason === 'NOT_DELETED' ? ['live'] : ['gone']);
    }
  }

  async purge(): Promise<void> {
    const [filename, life] = this.#oneOf([...this.#lives]);
    const { count } = await this.#storage.purge({ filenames: [filename] });
    this.#found(life, count === 1 ? ['trashed'] : ['live', 'gone']);
    if (count === 1) this.#move(life, 'gone');
  }

  async cleanup(): Promise<void> {
    const permanent = this.#random() < 0.3;
    const { filenames } = await this.#storage.cleanup({ keepCount: Math.floor(this.#random() * 6), permanent });
    this.#wentBy(filenames, permanent ? 'gone' : 'trashed');
  }

  async plan(): Promise<void> {
    const selection = this.#oneOf<Selection>([{ category: 'even' }, { query: '-is:pinned' }, { keepCount: 2 }]);
    const maxDeletes = this.#random() < 0.3 ? 2 : 1000;
    const { plan, filenames } = await this.#storage.cleanup({ selection, maxDeletes, dryRun: true });
    this.#planned = {
      selection: { ...selection, plan: plan! },
      filenames: new Set(filenames),
      at: this.#clocks.passed,
    };
  }

  /** Takes images of the plan alone that nothing has happened to since; none once the plan has expired. */
  async carryOut(): Promise<void> {
    const { selection, filenames, at, isOver } = this.#planned ?? {};
    if (selection === undefined) return;
    const isCurrent = !isOver && this.#clocks.passed - at! <= HOUR;
    try {
      const { filenames: went } = await this.#storage.cleanup({ selection });
      expect(isCurrent, 'a plan of an hour ago, or of before a start').toBe(true);
      for (const filename of went) expect(filenames!.has(filename), `${filename} was not in the plan`).toBe(true);
      this.#wentBy(went, 'trashed');
    } catch (error) {
      if (isCurrent) throw error;
      expect(error).toMatchObject({ reason: 'PLAN_EXPIRED' });
    }
  }

  async policy(): Promise<void> {
    this.#wentBy((await this.#storage.cleanup({ policy: 'few' })).filenames, 'trashed');
  }

  async pass(): Promise<void> {
    const ms = Math.ceil(this.#random() * 3 * HOUR);
    this.#clocks.wall += ms;
    this.#clocks.passed += ms;
  }

  async jump(): Promise<void> {
    this.#clocks.wall += Math.ceil((this.#random() - 0.3) * 2 * DAY);
  }

  /** Each image is in one place, one that it may be in; the sums are those of what is there. */
  async check(): Promise<void> {
    const [live, trashed] = [await this.#storage.list(), await this.#storage.listTrash()];
    const places = new Map<string, Place>(live.map(({ filename }) => [filename, 'live']));
    for (const { filename } of trashed) {
      expect(places.has(filename), `${filename} is live and in the trash`).toBe(false);
      places.set(filename, 'trashed');
    }
    for (const [filename, life] of this.#lives) this.#found(life, [places.get(filename) ?? 'gone']);
    for (const { filename, pinned } of live) expect(pinned, filename).toBe(this.#lives.get(filename)?.pinned);
    for (const { filename, purgeTime } of trashed) this.#lives.get(filename)!.purgeTime = purgeTime!.getTime();
    const [statistics] = await this.#storage.getStatistics();
    expect(statistics).toMatchObject({ count: live.length, trashCount: trashed.length });
    expect(statistics!.bytes).toBe(live.reduce((sum, { size }) => sum + size, 0));
    expect(statistics!.trashBytes).toBe(trashed.reduce((sum, { size }) => sum + size, 0));
  }

  async verify(): Promise<void> {
    const problems: unknown[] = [];
    for await (const event of this.#storage.verify({ deep: true })) if (event.kind === 'finding') problems.push(event);
    expect(problems).toEqual([]);
  }

  #saveAs(number: number, options: { pinned: boolean; ttlMs?: number }) {
    const { bytes, metadata, options: given } = imageOf(number, { sizeBytes: 300 });
    return this.#storage.save(bytes, metadata, { ...given, ...options });
  }

  async #clear(): Promise<void> {
    for (const filename of this.#lives.keys()) await this.#storage.delete(filename, { permanent: true });
    while ((await this.#storage.purge({ all: true })).more);
    this.#lives.clear();
    await this.check();
  }

  #wentBy(filenames: readonly string[], to: Place): void {
    for (const filename of filenames) {
      const life = this.#lives.get(filename)!;
      expect(life.pinned, `${filename} was pinned`).toBe(false);
      this.#found(life, ['live']);
      this.#move(life, to, this.#clocks.wall + DAY);
    }
  }

  #move(life: Life, place: Place, purgeTime?: number): void {
    life.place = place;
    if (place === 'trashed') life.purgeTime = purgeTime!;
    else delete life.purgeTime;
  }

  /** Takes where an image was found for where it is. Fails where it may not be there. */
  #found(life: Life, places: readonly Place[]): void {
    const possible = this.#placesOf(life).filter((place) => places.includes(place));
    expect(possible, `image ${life.number} was found ${places.join(' or ')}: ${JSON.stringify(life)}`).not.toEqual([]);
    if (possible.length > 1 || possible[0] === life.place) return;
    if (life.place === 'live') life.purgeTime = life.expireTime! + DAY;
    life.place = possible[0]!;
  }

  /** Where it may be: what goes by itself does so some time behind its time. */
  #placesOf({ place, pinned, expireTime = Number.POSITIVE_INFINITY, purgeTime }: Life): Place[] {
    const { wall } = this.#clocks;
    const expires = place === 'live' && !pinned && wall >= expireTime;
    const purge = place === 'live' ? expireTime + DAY : (purgeTime ?? Number.POSITIVE_INFINITY);
    const isPurged = (expires || place === 'trashed') && wall >= purge;
    return [place, ...(expires ? (['trashed'] as const) : []), ...(isPurged ? (['gone'] as const) : [])];
  }

  #oneOf<T>(items: readonly T[]): T {
    return items[Math.floor(this.#random() * items.length)]!;
  }
}

const STEPS = [
  ...(['save', 'save', 'save', 'again', 'update', 'update', 'delete', 'delete', 'restore', 'restore'] as const),
  ...(['purge', 'cleanup', 'plan', 'carryOut', 'carryOut', 'policy', 'pass', 'pass', 'jump'] as const),
];

function notFound(error: unknown): false {
  expect(error).toMatchObject({ reason: 'IMAGE_NOT_FOUND' });
  return false;
}

describe.each(worlds)('%s', (_, open) => {
  it(`keeps each image where it may be, over ${SEQUENCES} sequences`, { timeout: 1_800_000 }, async () => {
    const lives = new Lives(await open());
    await lives.open();
    for (let count = 1; count <= SEQUENCES; count += 1) {
      await lives.sequence();
      if (count % RESTART_EVERY === 0) await lives.restart();
    }
    await lives.verify();
    await lives.close();
    expect(Object.keys(lives.counts).sort()).toEqual(
      expect.arrayContaining(['crash', 'rebuild', ...new Set(STEPS)].sort()),
    );
  });
});
