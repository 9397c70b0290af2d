/** The provider `s3`, over the real SDK and HTTP, against a service that fails in every way that services and networks do. */
import { expect, it } from 'vitest';
import { BUCKET_TOMBSTONE_MS, sweep } from '../../src/storage/bucket/sweep.ts';
import { StorageError, type StorageProvider } from '../../src/storage/index.ts';
import { strayObjects, unsweptObjects } from '../support/bucket.ts';
import { randomOf } from '../support/load.ts';
import { requestsOf, type S3FaultServer } from '../support/s3-fault-server.ts';
import { FAULTS_OF, randomFaults } from '../support/s3-faults.ts';
import { full, seed } from '../support/scale.ts';
import { holdsImageOf, liveNames, recordsIn, settleSubjects, trashedNames } from './bucket-truth.ts';
import { type Call, Subject } from './protocol-model.ts';
import { S3World } from './s3-world.ts';

const OPERATIONS = full ? 2_000 : 300;
const CALLERS = 12;
const TRIES = 3;
/** How long deleted images stay in the trash; 0: not at all. */
const TRASH_DAYS = full ? [0, 1] : [seed % 2];
const HOUR = 60 * 60_000;
const DAY = 24 * HOUR;

const random = randomOf(seed);
const oneOf = <T>(items: readonly T[]): T => items[Math.floor(random() * items.length)]!;

/** Saves and deletes, each of them counted, by callers that try again with their idempotency key. */
class Load {
  readonly subjects: Subject[] = [];
  /** By reason. */
  readonly failures = new Map<string, number>();
  readonly #world: S3World;
  readonly #providers: readonly StorageProvider[];
  readonly #trashDays: number;
  #left: number;

  constructor(world: S3World, providers: readonly StorageProvider[], trashDays: number) {
    this.#world = world;
    this.#providers = providers;
    this.#trashDays = trashDays;
    this.#left = OPERATIONS;
  }

  async run(callers: number): Promise<void> {
    await Promise.all(Array.from({ length: callers }, () => this.#caller()));
  }

  /** Brings about for certain what a plan may not: bytes that come once more after their delete. */
  async deleteBeforeDuplicate(): Promise<void> {
    void this.#world.server.breakNext('duplicate write', requestsOf('images', 'PUT'));
    const subject = this.#newSubject(true);
    await this.#save(subject, 0);
    await subject.destroy(this.#call);
  }

  async #caller(): Promise<void> {
    while (this.#left > 0) {
      await this.#operate();
      this.#world.now += Math.floor(random() * 10_000);
      if (random() < 0.002) await this.#world.server.deliverLate();
    }
  }

  async #operate(): Promise<void> {
    const dice = random();
    const recent = this.subjects.slice(-60);
    if (dice < 0.4 || recent.length === 0) return this.#saveNew();
    const subject = oneOf(recent);
    if (dice < 0.5) return subject.get(this.#call, true);
    if (dice < 0.6 && subject.key !== '') return this.#save(subject, oneOf([0, 0, 0, 1, 2]));
    this.#left -= 1;
    if (this.#trashDays > 0 && dice < 0.72) return subject.restore(this.#call);
    if (this.#trashDays > 0 && dice < 0.76) return subject.purge(this.#call);
    return dice < 0.8 ? subject.destroy(this.#call) : subject.delete(this.#call);
  }

  #newSubject(keyed: boolean): Subject {
    const rule = { keepMs: this.#trashDays * DAY, now: () => this.#world.now };
    const subject = new Subject(this.subjects.length, keyed, this.#trashDays > 0 ? rule : undefined);
    this.subjects.push(subject);
    return subject;
  }

  async #saveNew(): Promise<void> {
    const subject = this.#newSubject(random() < 0.9);
    const tries = subject.key === '' ? 1 : TRIES;
    for (let count = 0; count < tries && subject.filename === undefined; count += 1) await this.#save(subject, 0);
  }

  async #save(subject: Subject, variant: number): Promise<void> {
    this.#left -= 1;
    await subject.save(this.#call, subject.variants[variant]!);
    if (!subject.mayBeSaved)
      expect(holdsImageOf(this.#world.server.bucket, subject), 'there after a refusal').toBe(false);
  }

  readonly #call: Call = async (work) => {
    try {
      return await work(oneOf(this.#providers));
    } catch (error) {
      const reason =
        error instanceof StorageError ? `${error.reason}${error.outcomeUnknown ? ' unknown' : ''}` : 'none';
      this.failures.set(reason, (this.failures.get(reason) ?? 0) + 1);
      throw error;
    }
  };
}

const TITLE = `loses, doubles and resurrects nothing in ${OPERATIONS} operations with a trash of %i days`;
it.each(TRASH_DAYS)(TITLE, { timeout: 900_000 }, async (days) => {
  await using world = await S3World.create({ pageSize: full ? 100 : 7, trash: { days } });
  const { server } = world;
  const providers = [await world.open('a'), await world.open('b')];
  const load = new Load(world, providers, days);

  server.plan = randomFaults(random, { cursed: 0.012, rate: 0.15 });
  await load.run(CALLERS);
  await server.heal();
  await load.deleteBeforeDuplicate();
  for (const provider of providers) await provider.close();
  tell(server, load);

  const settled = await Promise.all(['a', 'b'].map((daemon) => world.openQuietly(daemon)));
  expect(unsweptObjects(server.bucket), 'before any sweep').toEqual([]);
  world.now += HOUR + 1;
  for (const { store } of settled) while (await sweep(store, BUCKET_TOMBSTONE_MS));
  expect(strayObjects(server.bucket), 'after the sweep').toEqual([]);

  const records = await recordsIn(server.bucket);
  settleSubjects(load.subjects, records);
  const fresh = await world.openQuietly('fresh');
  for (const { store, provider } of [...settled, fresh]) {
    expect(await store.catalog.pendingOperations()).toEqual([]);
    expect((await provider.list()).map((item) => item.filename).sort()).toEqual(liveNames(records));
    expect((await provider.listTrash()).map((item) => item.filename).sort()).toEqual(trashedNames(records));
    const { count, trashCount } = await provider.getStatistics();
    expect([count, trashCount]).toEqual([liveNames(records).length, trashedNames(records).length]);
  }
  for (const subject of load.subjects) await subject.get((work) => work(fresh.provider), true);
  for (const { provider } of [...settled, fresh]) await provider.close();
  expect(server.happened.size).toBeGreaterThan(1);
  // In a reduced run one of them may not come up.
  if (!full) return;
  for (const fault of new Set(Object.values(FAULTS_OF).flat()))
    expect(server.happened.get(fault), fault).toBeGreaterThan(0);
  expect(server.lateWrites).toBeGreaterThan(0);
});

function tell({ requests, happened, lateWrites }: S3FaultServer, { failures }: Load): void {
  const faults = [...happened.values()].reduce((sum, count) => sum + count, 0);
  const share = `${((100 * faults) / requests).toFixed(1)} % of ${requests} requests`;
  console.info(`${share} went wrong, ${lateWrites} writes came late; failures:`, Object.fromEntries(failures));
}
