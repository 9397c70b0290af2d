/** Synchronizes the catalog with the bucket: compares the listing of records with it, and reads what differs. */
import { setTimeout as sleep } from 'node:timers/promises';
import { mapInParallel } from '../async/parallel.ts';
import {
  type FoundChange,
  type KnownRecord,
  type ListedRecord,
  MISSING_ETAG,
  type SharedCatalog,
  type WalkPosition,
} from '../catalog/bucket-catalog.ts';
import { StorageError } from '../domain/errors.ts';
import { recordKey, utcDay } from '../domain/naming.ts';
import { ComparisonWrites } from './comparison-writes.ts';
import { checkIdentity } from './format.ts';
import { type ListedPage, listPages, oneAhead } from './listing.ts';
import { isRecent, Losses } from './losses.ts';
import { filenameAt, RECORDS, readRecord } from './record-object.ts';
import { SnapshotCopy } from './snapshot-copy.ts';
import { type BucketStore, discovery, forgetPreviews, withoutIndex } from './store.ts';

const DAY_MS = 24 * 60 * 60 * 1000;
const KNOWN_AT_ONCE = 2_000;
/** Bounds the memory of records in flight, whose metadata may have 1 MiB each. */
const READS_AT_ONCE = 16;
/** A page of the listing that differs in so many records is that of a catalog which lacks whole days. */
const MANY_DIFFERENCES = 200;
/** In one transaction, while others are read. */
const WRITTEN_AT_ONCE = 200;
const WRITTEN_CHARS = 4 * 1024 * 1024;
const RETRY_AFTER_MS = 5_000;
/** How far the noted time of the last comparison may be behind, which spares a commit for each. */
const NOTED_EVERY_MS = 60 * 60 * 1000;
/** How long another daemon goes on with a comparison that was stopped. */
const RESUMED_WITHIN_MS = 60 * 60 * 1000;

/** A record to read, with what the catalog knows of it, if anything; `listed` is its ETag in the listing. */
type Difference = Pick<KnownRecord, 'filename'> & Partial<ListedRecord> & { listed?: string | undefined };

/** What follows from a record that was read; `isLost`: it is gone, and no daemon deleted it. */
interface Reading {
  change: FoundChange;
  isLost: boolean;
}

/** The parts of one comparison. */
interface Comparison {
  losses: Losses;
  writes: ComparisonWrites;
  /** Read before what is listed. */
  snapshots?: SnapshotCopy | undefined;
}

export class Synchronizer {
  readonly #store: BucketStore;
  #filled: boolean;
  /** When the last whole comparison began, as noted in the catalog. */
  #comparedAt: number | undefined;
  #compared = 0;
  /** When the last comparison began that has been completed, of all or of what is recent. */
  #followedAt = Number.POSITIVE_INFINITY;
  #running: Promise<void> | undefined;
  #next: Promise<void> | undefined;
  /** Resolves when the first comparison has ended, or is not needed. */
  readonly #first = Promise.withResolvers<void>();

  static async over(store: BucketStore): Promise<Synchronizer> {
    const notes = await withoutIndex(store.index, () => store.catalog.notes());
    return new Synchronizer(
      store,
      (await withoutIndex(store.index, () => store.catalog.isFilled())) === true,
      notes?.comparedAt,
    );
  }

  /** `filled`: the catalog has been compared with the whole bucket. */
  private constructor(store: BucketStore, filled: boolean, comparedAt: number | undefined) {
    this.#store = store;
    this.#filled = filled;
    this.#comparedAt = comparedAt;
    if (filled) this.#first.resolve();
  }

  /** Returns whether a live image of the catalog whose record is gone is missing, rather than deleted long ago. */
  get keepsMissing(): boolean {
    return isRecent(this.#comparedAt, this.#store.context.now());
  }

  get filled(): boolean {
    return this.#filled;
  }

  /** Throws CATALOG_REBUILDING until the first comparison is complete. A shared index knows itself whether it is. */
  checkFilled(): void {
    if (this.#filled || this.#store.index !== undefined) return;
    const message = `the catalog is being built from the bucket: ${this.#compared} records so far`;
    throw new StorageError('CATALOG_REBUILDING', message, { retryAfterMs: RETRY_AFTER_MS });
  }

  /** Notes whether a shared index is whole: another daemon may have filled it, or found it behind. */
  noteIndex(isFilled: boolean): void {
    this.#filled = isFilled;
    if (isFilled) this.#first.resolve();
  }

  /** Notes that nothing was compared for now. */
  noteFailure(): void {
    this.#first.resolve();
  }

  /** Waits for the first comparison, at most `ms`. */
  async settleWithin(ms: number): Promise<void> {
    await Promise.race([this.#first.promise, sleep(ms, undefined, { ref: false })]);
  }

  /** Resolves when a comparison that began after this call is complete. Rejects with errors of bucket or catalog. */
  run(): Promise<void> {
    if (this.#running === undefined) return this.#start();
    this.#next ??= this.#running.catch(() => {}).then(() => this.#start());
    return this.#next;
  }

  /**
   * Compares the folders of the last two days and of the days to come, by UTC, and nothing else is known after it: lists
   * may lack what another daemon saved, updated or deleted elsewhere. Does so only where the whole was compared before.
   * Returns whether records were gone that no daemon deleted.
   */
  async follow(): Promise<boolean> {
    if (!this.#filled || !this.keepsMissing) return false;
    await checkIdentity(this.#store);
    const beganAt = this.#store.context.now();
    const losses = new Losses(this.#store, true);
    const writes = new ComparisonWrites(this.#store, false);
    try {
      for await (const page of listPages(this.#store.objects, RECORDS, this.#startOfRecent(beganAt))) {
        this.#store.closing.signal.throwIfAborted();
        await this.#compare(page, { losses, writes });
      }
      await writes.done();
    } finally {
      await writes.done().catch(() => {});
      losses.report();
    }
    this.#followedAt = beganAt;
    return losses.found;
  }

  /** Returns a key before those of yesterday: of the day before the last comparison, where that was earlier. */
  #startOfRecent(now: number): string {
    return `${RECORDS}${utcDay(Math.min(now, this.#followedAt) - DAY_MS)}`;
  }

  /** Compares a shared index with its bucket, or goes on where a daemon was stopped that did. Rejects like `run`. */
  resume(): Promise<void> {
    return this.#running ?? this.#start(this.#store.index);
  }

  #start(resumed?: SharedCatalog): Promise<void> {
    this.#next = undefined;
    this.#running = this.#compareAll(resumed).finally(() => {
      this.#running = undefined;
      this.#first.resolve();
    });
    return this.#running;
  }

  /** `resumed`: an index that keeps how far this comes. */
  async #compareAll(resumed?: SharedCatalog): Promise<void> {
    await checkIdentity(this.#store);
    this.#compared = 0;
    const now = this.#store.context.now();
    const epoch = await this.#store.index?.epoch();
    // Another daemon may have compared a shared index since.
    if (this.#store.index !== undefined) this.#comparedAt = (await this.#store.catalog.notes()).comparedAt;
    const position = resumed && positionIn(await resumed.walkPosition(), { epoch, now });
    const { beganAt = now, missing, upTo } = { ...position };
    const losses = new Losses(this.#store, this.keepsMissing, missing);
    const pages = listPages(this.#store.objects, RECORDS, upTo);
    const writes = new ComparisonWrites(this.#store, !this.#filled);
    const filling = this.#filled ? undefined : await SnapshotCopy.over(this.#store, writes);
    let snapshots = filling;
    let noting = Promise.resolve();
    try {
      await filling?.readAhead(upTo);
      for await (const page of filling ? oneAhead(pages, ({ after }) => filling.readAhead(after)) : pages) {
        this.#store.closing.signal.throwIfAborted();
        const differences = await this.#compare(page, { losses, writes, snapshots });
        this.#compared += page.objects.length;
        if (differences >= MANY_DIFFERENCES) snapshots ??= await SnapshotCopy.over(this.#store, writes);
        if (filling === undefined) await snapshots?.readAhead(page.upTo);
        if (resumed === undefined || epoch === undefined || page.upTo === undefined) continue;
        // Behind the next page: the index would have nothing to do until then.
        const position = { epoch, beganAt, upTo: page.upTo, missing: losses.missingOnceWritten };
        noting = Promise.all([noting, writes.done()]).then(() => resumed.noteWalk(position));
        noting.catch(() => {});
      }
      await writes.done();
      await noting;
      await this.#noteCompared(beganAt, epoch);
      this.#followedAt = beganAt;
    } finally {
      await Promise.allSettled([writes.done(), noting]);
      // Also of a part: the next comparison takes what this one marked for what is known to be missing.
      losses.report();
    }
    await losses.judge();
  }

  /**
   * Compares one page of the listing with the catalog's records in the same key range. Returns how many differ.
   */
  async #compare({ objects, after, upTo }: ListedPage, comparison: Comparison): Promise<number> {
    const { losses, snapshots } = comparison;
    this.#store.context.meter?.choreDid('sync', 'listed', objects.length);
    let differences = 0;
    const read = async (records: Difference[]) => {
      differences += records.length;
      await this.#read(snapshots === undefined ? records : await snapshots.copy(records), comparison);
    };
    const listed = new Map(objects.map(({ key, etag }) => [key, etag]));
    for (let from = after, more = true; more; ) {
      const known = await this.#store.catalog.knownBetween({ after: from, upTo, limit: KNOWN_AT_ONCE });
      const changed: Difference[] = [];
      for (const record of known) {
        const key = recordKey(record.filename);
        const etag = listed.get(key);
        if (isChanged(record, etag, losses)) changed.push({ ...record, listed: etag });
        listed.delete(key);
      }
      await read(changed);
      more = known.length === KNOWN_AT_ONCE;
      from = more ? recordKey(known.at(-1)!.filename) : from;
    }
    const unknown = [...listed].flatMap(([key, etag]) => {
      const filename = filenameAt(key);
      return filename === undefined ? [] : { filename, listed: etag };
    });
    await read(unknown);
    return differences;
  }

  /** Reads the next records while those before are written. */
  async #read(differences: Difference[], { losses, writes }: Comparison): Promise<void> {
    const { meter } = this.#store.context;
    let [group, chars] = [[] as Reading[], 0];
    const write = async () => {
      const [readings, lost] = [group, group.filter(({ isLost }) => isLost).length];
      [group, chars] = [[], 0];
      if (readings.length === 0) return;
      const changes = readings.map(({ change }) => change);
      await writes.add(changes, () => losses.written(lost));
    };
    const work = (difference: Difference) => this.#readingsOf(difference, losses);
    for await (const readings of mapInParallel(READS_AT_ONCE, differences, work)) {
      group.push(...readings);
      meter?.choreDid('sync', 'read', 1);
      chars += readings.reduce((sum, { change }) => sum + charsOf(change), 0);
      if (group.length >= WRITTEN_AT_ONCE || chars >= WRITTEN_CHARS) await write();
    }
    await write();
    if (this.#filled) await writes.done();
  }

  async #readingsOf({ filename, etag: over, deleted }: Difference, losses: Losses): Promise<Reading[]> {
    this.#store.closing.signal.throwIfAborted();
    const found = await readRecord(this.#store.objects, filename);
    if (found.kind === 'absent' && over !== undefined && !deleted) {
      return [{ change: losses.gone(filename, found, over), isLost: true }];
    }
    if (found.kind === 'foreign' && over !== undefined) {
      // The catalog keeps its record: `verify` restores from it.
      const { log, name: provider } = this.#store.context;
      log.warn({ provider, filename }, 'a record is damaged; verify --repair writes it again');
      return [];
    }
    await forgetPreviews(this.#store, filename, found);
    return [{ change: discovery(this.#store, filename, found, over), isLost: false }];
  }

  async #noteCompared(beganAt: number, epoch: string | undefined): Promise<void> {
    const { index } = this.#store;
    // Another daemon may have found since that it was behind.
    if (index !== undefined && !(await index.isFilled())) this.#filled = false;
    const isNoted = this.#comparedAt !== undefined && Math.abs(beganAt - this.#comparedAt) < NOTED_EVERY_MS;
    if (this.#filled && isNoted) return;
    await this.#store.comparing.write({ kind: 'filled', comparedAt: beganAt, epoch });
    this.#comparedAt = beganAt;
    if (this.#filled) return;
    this.#filled = true;
    const { log, name } = this.#store.context;
    log.info({ provider: name, records: this.#compared }, 'the catalog was built from the bucket');
  }
}

/** Returns where to go on; undefined where a comparison has to begin anew. */
function positionIn(
  position: WalkPosition | undefined,
  { epoch, now }: { epoch: string | undefined; now: number },
): WalkPosition | undefined {
  const isOpen = position?.epoch === epoch && Math.abs(now - (position?.beganAt ?? 0)) < RESUMED_WITHIN_MS;
  return isOpen ? position : undefined;
}

/** Returns about how long the texts of a change are. */
function charsOf(change: FoundChange): number {
  if (change.kind !== 'found' || change.found.kind !== 'live') return 0;
  const { prompt, parametersJson } = change.found.record;
  return prompt.length + parametersJson.length;
}

/** Returns whether a record of the catalog is to be read; `etag` is that of the listing, if it is listed. */
function isChanged(known: ListedRecord, etag: string | undefined, losses: Losses): boolean {
  if (etag !== undefined || known.etag !== MISSING_ETAG) return etag !== known.etag;
  losses.stays();
  return false;
}
