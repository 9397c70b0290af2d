/**
 * The catalog of a bucket whose index is in Postgres: the index is shared, operations lie in a file of the daemon. What the
 * index cannot take now waits: the image is in the bucket, and its operation in the file.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type {
  BucketCatalog,
  BucketChange,
  FoundChange,
  FoundRecord,
  PendingOperation,
  SharedCatalog,
} from '../bucket-catalog.ts';
import { CatalogError, type EarlierSave } from '../catalog.ts';
import { recordOfDeleted } from '../found-record.ts';
import { isDown, isUnavailable, unavailable } from './pool.ts';
import type { SharedIndex } from './shared-index.ts';
import type { IndexChange } from './writer.ts';

/** How long a call waits for the index before its row does. */
const PATIENCE_MS = 500;
const RETRY_EVERY_MS = 500;
const TIDY_EVERY_MS = 5_000;
/** Of changes that wait in memory. Of others only the operation is kept, and the bucket tells what became of it. */
const MAX_WAITING_CHARS = 32 * 1024 * 1024;
const WRITTEN_AT_ONCE = 200;

export interface PostgresCatalogOptions {
  index: SharedIndex;
  /** Of this daemon. */
  operations: Pick<BucketCatalog, 'apply' | 'pendingOperations' | 'close'>;
  /** Called when the index fails, and when it answers again. */
  onState: (error?: Error) => void;
  /** Called with operations that are settled, and whose rows are to be read from the bucket. */
  onUnwritten: (operations: readonly PendingOperation[]) => void;
}

/** Changes of one group, and the operations that they end. */
interface Waiting {
  changes: IndexChange[];
  nonces: string[];
  chars: number;
}

export function openPostgresCatalog(options: PostgresCatalogOptions): SharedCatalog {
  const { index, operations } = options;
  const rows = new Rows(options);
  const begin = async (change: BucketChange & { kind: 'begin' }): Promise<EarlierSave | undefined> => {
    const { kind, idempotencyKey } = change.operation;
    const isKeyed = kind === 'save' && idempotencyKey !== '';
    if (!isKeyed) return undefined;
    return rows.earlierWith(idempotencyKey) ?? rows.orNothing(() => index.findByKey(idempotencyKey));
  };
  const apply = async (changes: readonly BucketChange[], isStrict: boolean): Promise<(EarlierSave | undefined)[]> => {
    const earlier = await Promise.all(
      changes.map((change) => (change.kind === 'begin' ? begin(change) : Promise.resolve(undefined))),
    );
    const begun = changes.filter((change, at) => change.kind === 'begin' && earlier[at] === undefined);
    if (begun.length > 0) await operations.apply(begun);
    const ended = changes.flatMap((change) => (change.kind === 'end' ? change.nonce : []));
    const ofIndex = changes.filter((change): change is IndexChange => change.kind !== 'begin' && change.kind !== 'end');
    await rows.write(ofIndex, ended, isStrict);
    return earlier;
  };
  const fill = (changes: readonly FoundChange[]) => rows.fill(changes);
  return {
    ...index,
    ...readsOf(index, rows),
    apply: (changes) => apply(changes, false),
    strict: { apply: (changes) => apply(changes, true), fill },
    fill,
    pendingOperations: () => operations.pendingOperations(),
    look: () => rows.watched(() => index.look()),
    inTime: (read) => rows.inTime(read),
    answerCall: (owes) => rows.watched(() => index.answerCall(() => owes() || rows.waiting > 0)),
    isWhole: async () => rows.waiting === 0 && rows.watched(() => index.isCallAnswered()),
    async checkKey(idempotencyKey) {
      if (rows.earlierWith(idempotencyKey) === undefined) await rows.inTime(() => index.checkKey(idempotencyKey));
    },
    get waiting() {
      return rows.waiting;
    },
    get load() {
      return { ...index.load, rowsWaiting: rows.waiting };
    },
    async close(clean) {
      await rows.stop();
      try {
        if (clean && rows.waiting === 0 && (await operations.pendingOperations()).length === 0) await rows.goodbye();
        await index.end();
      } finally {
        await operations.close(clean);
      }
    },
  };
}

/** What callers wait for longer than a save waits for its row. */
const READS = [
  ...(['page', 'pageSizes', 'statistics', 'totals', 'trashPage', 'dueTrash', 'expired', 'unhashed'] as const),
  ...(['changedSince', 'arrivedSince', 'moment', 'quietUntil', 'isFilled', 'notes', 'epoch', 'knownBetween'] as const),
  ...(['dueSweeps', 'claim', 'walkPosition'] as const),
];

function readsOf(index: SharedIndex, rows: Rows): Pick<SharedIndex, (typeof READS)[number]> {
  const watched = READS.map((name) => {
    const read = index[name] as (...args: unknown[]) => Promise<unknown>;
    return [name, (...args: unknown[]) => rows.watched(() => read(...args))];
  });
  return Object.fromEntries(watched) as Pick<SharedIndex, (typeof READS)[number]>;
}

/** Writes rows to the index, now or once it can be reached. */
class Rows {
  readonly #options: PostgresCatalogOptions;
  #waiting: Waiting[] = [];
  #chars = 0;
  #hasDropped = false;
  /** Operations whose changes are not kept. */
  readonly #unwritten = new Set<string>();
  #isDown = false;
  /** A row did not get through in time: until it did, others wait behind it. */
  #isLate = false;
  /** Whose answers are waited for: they reject once the index is out of reach. */
  readonly #asking = new Set<(error: Error) => void>();
  #probing: Promise<void> | undefined;
  readonly #stopped = new AbortController();
  #flushing: Promise<void> | undefined;
  readonly #tidying: Promise<void>;

  constructor(options: PostgresCatalogOptions) {
    this.#options = options;
    this.#tidying = this.#tidy();
  }

  get waiting(): number {
    const waiting = this.#waiting.reduce((count, { nonces }) => count + Math.max(nonces.length, 1), 0);
    return waiting + this.#unwritten.size + Number(this.#hasDropped);
  }

  /** Returns the image with this key whose row waits, as it became last. */
  earlierWith(idempotencyKey: string): EarlierSave | undefined {
    for (const { changes } of this.#waiting.toReversed()) {
      for (const change of changes.toReversed()) {
        const earlier = change.kind === 'found' ? saveIn(change.found) : undefined;
        if (earlier?.record.idempotencyKey === idempotencyKey) return earlier;
      }
    }
    return undefined;
  }

  /** Returns undefined where the index does not answer in time. */
  async orNothing<T>(read: () => Promise<T>): Promise<T | undefined> {
    try {
      return await this.inTime(read);
    } catch (error) {
      if (!isUnavailable(error)) throw error;
      return undefined;
    }
  }

  async write(changes: IndexChange[], nonces: string[], isStrict: boolean): Promise<void> {
    const { operations } = this.#options;
    try {
      if (changes.length > 0) await (isStrict ? this.#applied(changes) : this.#appliedInTime(changes));
    } catch (error) {
      if (isStrict || !isUnavailable(error)) throw error;
      this.#keep(changes, nonces);
      return;
    }
    if (nonces.length > 0) await operations.apply(nonces.map((nonce) => ({ kind: 'end', nonce })));
  }

  async fill(changes: readonly IndexChange[]): Promise<void> {
    await this.#applied(changes, this.#options.index.fill);
  }

  /** One by one where together they fail: of a record that the index cannot have, the others must not suffer. */
  async #applied(changes: readonly IndexChange[], apply = this.#options.index.applyAll): Promise<void> {
    try {
      await apply(changes);
    } catch (error) {
      if (!(error instanceof CatalogError) || changes.length === 1) throw error;
      let failure: unknown;
      for (const change of changes) await this.#applied([change], apply).catch((cause) => (failure ??= cause));
      if (failure !== undefined) throw failure;
    }
  }

  async #appliedInTime(changes: readonly IndexChange[]): Promise<void> {
    if (this.#isLate) throw unavailable(undefined);
    try {
      await this.inTime(() => this.#applied(changes));
    } catch (error) {
      if (isUnavailable(error)) this.#isLate = true;
      throw error;
    }
  }

  /** Does not wait for an index that is out of reach. One that is late is asked again, in the background. */
  async inTime<T>(work: () => Promise<T>): Promise<T> {
    if (this.#isDown) throw unavailable(undefined);
    const timer = new AbortController();
    const late = sleep(PATIENCE_MS, undefined, { signal: timer.signal }).then(() => {
      this.#flushing ??= this.#flush();
      this.#probe();
      throw unavailable(undefined, 'the index does not answer in time; try again later');
    });
    const working = work();
    working.catch(() => {});
    late.catch(() => {});
    try {
      return await Promise.race([working, late]);
    } catch (error) {
      this.noteFailure(error);
      throw error;
    } finally {
      timer.abort();
    }
  }

  /** Resolves with what is asked, however long the index takes, unless it is out of reach, or gets there meanwhile. */
  async watched<T>(ask: () => Promise<T>): Promise<T> {
    if (this.#isDown) throw unavailable(undefined);
    const { promise, reject } = Promise.withResolvers<never>();
    promise.catch(() => {});
    const asked = ask();
    asked.catch(() => {});
    const timer = setTimeout(() => this.#probe(), PATIENCE_MS);
    this.#asking.add(reject);
    try {
      return await Promise.race([asked, promise]);
    } catch (error) {
      if (isDown(error)) this.#probe();
      throw error;
    } finally {
      clearTimeout(timer);
      this.#asking.delete(reject);
    }
  }

  /** Finds out whether an index that does not answer is busy, or hangs. */
  #probe(): void {
    this.#probing ??= this.#options.index
      .ping()
      .catch((error) => this.noteFailure(error))
      .finally(() => {
        this.#probing = undefined;
      });
  }

  noteFailure(error: unknown): void {
    if (this.#isDown || this.#stopped.signal.aborted || !isDown(error)) return;
    this.#isDown = true;
    this.#options.onState(error);
    for (const reject of this.#asking) reject(error);
    this.#flushing ??= this.#flush();
  }

  #keep(changes: IndexChange[], nonces: string[]): void {
    const chars = JSON.stringify(changes).length;
    if (this.#chars + chars > MAX_WAITING_CHARS) {
      for (const nonce of nonces) this.#unwritten.add(nonce);
      // Of what ends no operation nobody knows any more: a comparison finds it.
      this.#hasDropped ||= nonces.length === 0;
      return;
    }
    this.#chars += chars;
    this.#waiting.push({ changes, nonces, chars });
    this.#flushing ??= this.#flush();
  }

  /** Tries until the index answers, and all that waits is written. */
  async #flush(): Promise<void> {
    const { signal } = this.#stopped;
    while (!signal.aborted) {
      try {
        const isWhole = await this.#flushOnce();
        this.#isLate = false;
        // Of one that is to be compared with the bucket first, upkeep tells.
        if (this.#isDown && isWhole) this.#options.onState();
        this.#isDown = false;
        if (this.#waiting.length === 0) break;
      } catch (error) {
        this.noteFailure(error);
        await sleep(RETRY_EVERY_MS, undefined, { signal }).catch(() => {});
      }
    }
    this.#flushing = undefined;
  }

  /** Writes what waits by now: under load, more comes meanwhile. Returns whether the index has all images. */
  async #flushOnce(): Promise<boolean> {
    const { index, operations, onUnwritten } = this.#options;
    await index.ping();
    const isWhole = await index.isFilled();
    for (let left = this.#waiting.length; left > 0; ) {
      const group = this.#waiting.slice(0, Math.min(left, WRITTEN_AT_ONCE));
      await this.#applied(group.flatMap(({ changes }) => changes));
      await operations.apply(group.flatMap(({ nonces }) => nonces.map((nonce) => ({ kind: 'end', nonce }) as const)));
      this.#waiting = this.#waiting.slice(group.length);
      left -= group.length;
      this.#chars -= group.reduce((sum, { chars }) => sum + chars, 0);
    }
    if (this.#unwritten.size > 0) {
      const pending = await operations.pendingOperations();
      onUnwritten(pending.filter(({ nonce }) => this.#unwritten.has(nonce)));
      this.#unwritten.clear();
    }
    return isWhole;
  }

  async #tidy(): Promise<void> {
    const { index } = this.#options;
    const { signal } = this.#stopped;
    while (!signal.aborted) {
      await sleep(TIDY_EVERY_MS, undefined, { signal, ref: false }).catch(() => {});
      if (!signal.aborted && !this.#isDown) await index.tidy().catch(() => {});
    }
  }

  /** Others need not wait for this daemon: it owes nothing. */
  async goodbye(): Promise<void> {
    if (!this.#isDown) await this.#options.index.leave().catch(() => {});
  }

  async stop(): Promise<void> {
    this.#stopped.abort();
    await this.#tidying;
    await this.#flushing;
    await this.#probing;
  }
}

/** Returns the image that is found, deleted or not; undefined where there never was one. */
function saveIn(found: FoundRecord): EarlierSave | undefined {
  if (found.kind === 'live') return { record: found.record, deleted: false };
  if (found.kind === 'trashed') return { record: found.trashed.record, deleted: true };
  const isDeleted = found.kind === 'tombstone' && found.tombstone.kind === 'deleted';
  return isDeleted ? { record: recordOfDeleted(found.tombstone), deleted: true } : undefined;
}
