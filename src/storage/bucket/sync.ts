/** Synchronizes the catalog with the bucket: compares the listing of records with it, and reads what differs. */
import { setTimeout as sleep } from 'node:timers/promises';
import { type BucketChange, type KnownRecord, type ListedRecord, MISSING_ETAG } from '../catalog/bucket-catalog.ts';
import { StorageError } from '../domain/errors.ts';
import { recordKey, utcDay } from '../domain/naming.ts';
import { checkIdentity } from './format.ts';
import { type ListedPage, listPages } from './listing.ts';
import { isRecent, Losses } from './losses.ts';
import { filenameAt, RECORDS, readRecord } from './record-object.ts';
import { SnapshotReader } from './snapshot-reader.ts';
import { type BucketStore, discovery, forgetPreviews, withoutIndex } from './store.ts';

const DAY_MS = 24 * 60 * 60 * 1000;
const KNOWN_AT_ONCE = 2_000;
/** Bounds the memory of records in flight, whose metadata may have 1 MiB each. */
const READS_AT_ONCE = 16;
/** A page of the listing that differs in so many records is that of a catalog which lacks whole days. */
const MANY_DIFFERENCES = 200;
/** Records of snapshots that are written together, and about how many characters of them. */
const COPIED_AT_ONCE = 500;
const COPIED_CHARS = 2_000_000;
const RETRY_AFTER_MS = 5_000;
/** How far the noted time of the last comparison may be behind, which spares a commit for each. */
const NOTED_EVERY_MS = 60 * 60 * 1000;

/** A record to read, with what the catalog knows of it, if anything; `listed` is its ETag in the listing. */
type Difference = Pick<KnownRecord, 'filename'> & Partial<ListedRecord> & { listed?: string | undefined };

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
  }

  /** Waits for the first comparison, at most `ms`. */
  async settleWithin(ms: number): Promise<void> {
    if (this.#filled || this.#running === undefined) return;
    await Promise.race([this.#running.catch(() => {}), sleep(ms, undefined, { ref: false })]);
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
    try {
      for await (const page of listPages(this.#store.objects, RECORDS, this.#startOfRecent(beganAt))) {
        this.#store.closing.signal.throwIfAborted();
        await this.#compare(page, losses);
      }
    } finally {
      losses.report();
    }
    this.#followedAt = beganAt;
    return losses.found;
  }

  /** Returns a key before those of yesterday: of the day before the last comparison, where that was earlier. */
  #startOfRecent(now: number): string {
    return `${RECORDS}${utcDay(Math.min(now, this.#followedAt) - DAY_MS)}`;
  }

  #start(): Promise<void> {
    this.#next = undefined;
    this.#running = this.#compareAll().finally(() => {
      this.#running = undefined;
    });
    return this.#running;
  }

  async #compareAll(): Promise<void> {
    await checkIdentity(this.#store);
    this.#compared = 0;
    const beganAt = this.#store.context.now();
    const epoch = await this.#store.index?.epoch();
    // Another daemon may have compared a shared index since.
    if (this.#store.index !== undefined) this.#comparedAt = (await this.#store.catalog.notes()).comparedAt;
    const losses = new Losses(this.#store, this.keepsMissing);
    let snapshots = this.#filled ? undefined : await SnapshotReader.over(this.#store);
    try {
      await snapshots?.readAhead();
      for await (const page of listPages(this.#store.objects, RECORDS)) {
        this.#store.closing.signal.throwIfAborted();
        const differences = await this.#compare(page, losses, snapshots);
        this.#compared += page.objects.length;
        if (differences >= MANY_DIFFERENCES) snapshots ??= await SnapshotReader.over(this.#store);
        await snapshots?.readAhead(page.upTo);
      }
      await this.#noteCompared(beganAt, epoch);
      this.#followedAt = beganAt;
    } finally {
      // Also of a part: the next comparison takes what this one marked for what is known to be missing.
      losses.report();
    }
    await losses.judge();
  }

  /**
   * Compares one page of the listing with the catalog's records in the same key range. Returns how many differ. `snapshots`
   * were read before it.
   */
  async #compare({ objects, after, upTo }: ListedPage, losses: Losses, snapshots?: SnapshotReader): Promise<number> {
    this.#store.context.meter?.choreDid('sync', 'listed', objects.length);
    let differences = 0;
    const read = async (records: Difference[]) => {
      differences += records.length;
      await this.#read(snapshots === undefined ? records : await this.#copy(records, snapshots), losses);
    };
    const listed = new Map(objects.map(({ key, etag }) => [key, etag]));
    for (let from = after, more = true; more; ) {
      const known = await this.#store.catalog.knownBetween({ after: from, upTo, limit: KNOWN_AT_ONCE });
      const changed = known
        .map((record) => ({ ...record, listed: listed.get(recordKey(record.filename)) }))
        .filter((record) => isChanged(record, record.listed, losses));
      for (const { filename } of known) listed.delete(recordKey(filename));
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

  /** Writes what the snapshots have of these records. Returns the others, which are to be read. */
  async #copy(differences: Difference[], snapshots: SnapshotReader): Promise<Difference[]> {
    const others: Difference[] = [];
    let group: BucketChange[] = [];
    let chars = 0;
    const write = async () => {
      this.#store.closing.signal.throwIfAborted();
      if (group.length > 0) await this.#store.comparing.write(...group);
      this.#store.context.meter?.choreDid('sync', 'copied', group.length);
      group = [];
      chars = 0;
    };
    for (const difference of differences) {
      const { filename, listed, etag: over } = difference;
      const copy = listed === undefined ? undefined : await snapshots.find(filename, listed);
      if (copy === undefined) others.push(difference);
      else {
        group.push(discovery(this.#store, filename, copy.found, over));
        chars += copy.chars;
      }
      if (group.length === COPIED_AT_ONCE || chars > COPIED_CHARS) await write();
    }
    await write();
    return others;
  }

  async #read(differences: Difference[], losses: Losses): Promise<void> {
    for (let start = 0; start < differences.length; start += READS_AT_ONCE) {
      this.#store.closing.signal.throwIfAborted();
      const group = differences.slice(start, start + READS_AT_ONCE);
      const changes = await Promise.all(group.map((difference) => this.#changesOf(difference, losses)));
      this.#store.context.meter?.choreDid('sync', 'read', group.length);
      await this.#store.comparing.write(...changes.flat());
      losses.written();
    }
  }

  async #changesOf({ filename, etag: over, deleted }: Difference, losses: Losses): Promise<BucketChange[]> {
    const found = await readRecord(this.#store.objects, filename);
    if (found.kind === 'absent' && over !== undefined && !deleted) return [losses.gone(filename, found, over)];
    if (found.kind === 'foreign' && over !== undefined) {
      // The catalog keeps its record: `verify` restores from it.
      const { log, name: provider } = this.#store.context;
      log.warn({ provider, filename }, 'a record is damaged; verify --repair writes it again');
      return [];
    }
    await forgetPreviews(this.#store, filename, found);
    return [discovery(this.#store, filename, found, over)];
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

/** Returns whether a record of the catalog is to be read; `etag` is that of the listing, if it is listed. */
function isChanged(known: ListedRecord, etag: string | undefined, losses: Losses): boolean {
  if (etag !== undefined || known.etag !== MISSING_ETAG) return etag !== known.etag;
  losses.stays();
  return false;
}
