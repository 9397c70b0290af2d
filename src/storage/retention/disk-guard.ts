/**
 * Keeps a store below its limits: the most bytes of its images, those in the trash included, and what must stay free on its
 * disk. What is about to be written is reserved first, so that saves at once do not pass the limits together.
 */
import type { ChangeOutcome, ImageIndex, ImageSize } from '../catalog/catalog.ts';
import { formatBytes } from '../domain/byte-size.ts';
import type { DiskLimits } from '../domain/config.ts';
import { StorageError } from '../domain/errors.ts';
import type { Logger } from '../domain/logger.ts';

/** How long what the store and the disk say is used again, unless a save would be refused by it. */
const FRESH_MS = 100;
/** What a save takes of the disk for its record and the catalog. */
const HEADROOM_BYTES = 256 * 1024;
/** What eviction spares that came after that. */
const SPARED_MS = 60 * 60 * 1000;
const GROUP_SIZE = 100;
const SCAN_ROWS = 500;
const LOG_EVERY_MS = 60_000;

type Catalog = Pick<ImageIndex, 'statistics' | 'pageSizes' | 'arrivedSince' | 'dueTrash'>;

export interface GuardedStore {
  context: { name: string; log: Logger; now: () => number };
  catalog(): Promise<Catalog>;
  freeBytes(): Promise<number>;
  /** Removes what can be made again. */
  emptyPreviews(): Promise<unknown>;
  /** Deletes an image of the trash for good. */
  purge(filename: string): Promise<ChangeOutcome>;
  /** Deletes a live image for good unless it is pinned. */
  evict(filename: string): Promise<ChangeOutcome>;
}

/** Returns undefined where there are no limits. */
export function createGuard(limits: DiskLimits, store: GuardedStore): DiskGuard | undefined {
  const isLimited = limits.minFreeBytes !== undefined || limits.maxStoreBytes !== undefined;
  return isLimited ? new DiskGuard(limits, store) : undefined;
}

/** What one save needs. */
export interface Reservation {
  /** Is called before these bytes are written, and after those before. Reserves what exceeds the declared size. */
  received(bytes: number): Promise<void>;
  /** Is called before the commit: from then on the store may count these bytes, too. */
  committing(): void;
  /** `isStored`: its bytes are the store's by now. */
  end(isStored: boolean): void;
}

interface Reserved {
  bytes: number;
  received: number;
  /** Those of what was received that the disk has. */
  written: number;
  /** The same when the disk was asked last. */
  known: number;
  isOver: boolean;
  /** Of a save that has ended, until the store was asked after that. */
  isStored: boolean;
  /** Of one that commits: resolves when it has ended. */
  ended?: Promise<void>;
}

interface Problem {
  error: StorageError;
  /** How much more room there must be. */
  missingBytes: number;
  /** On the disk; else, of the store's own bytes. */
  isOfDisk: boolean;
}

/** What the store and the disk said, without what is reserved. */
interface Measured {
  at: number;
  storedBytes: number;
  freeBytes: number;
}

export class DiskGuard {
  readonly #limits: DiskLimits;
  readonly #store: GuardedStore;
  readonly #reserved = new Set<Reserved>();
  #measured: Measured | undefined;
  /** Decisions are made one after the other: each sees what those before it have reserved, and made room for. */
  #last: Promise<unknown> = Promise.resolve();
  #evicted = { count: 0, bytes: 0, loggedAt: Number.NEGATIVE_INFINITY };

  constructor(limits: DiskLimits, store: GuardedStore) {
    this.#limits = limits;
    this.#store = store;
  }

  /** Rejects with DISK_FULL, which has both numbers in its details, where so many bytes would cross a limit. */
  async reserve(declaredBytes = 0): Promise<Reservation> {
    const reserved: Reserved = { bytes: 0, received: 0, written: 0, known: 0, isOver: false, isStored: false };
    const ended = Promise.withResolvers<void>();
    await this.#grow(reserved, declaredBytes);
    return {
      received: async (bytes) => {
        reserved.written = reserved.received;
        reserved.received += bytes;
        if (reserved.received > reserved.bytes) await this.#grow(reserved, reserved.received);
      },
      committing: () => {
        reserved.ended = ended.promise;
      },
      end: (isStored) => {
        reserved.isOver = true;
        if (isStored) reserved.isStored = true;
        else this.#reserved.delete(reserved);
        ended.resolve();
      },
    };
  }

  #grow(reserved: Reserved, bytes: number): Promise<void> {
    const grown = this.#last.then(async () => {
      const more = bytes - reserved.bytes;
      if ((await this.#problemOf(more, FRESH_MS)) !== undefined) await this.#makeRoom(more);
      reserved.bytes = bytes;
      if (!reserved.isOver) this.#reserved.add(reserved);
    });
    this.#last = grown.catch(() => undefined);
    return grown;
  }

  /** Removes previews, purges the oldest of the trash and, where that is asked for, the oldest images. Rejects with DISK_FULL. */
  async #makeRoom(more: number): Promise<void> {
    if ((await this.#problemOf(more, 0))?.isOfDisk) await this.#store.emptyPreviews();
    for await (const filename of this.#trash()) {
      if ((await this.#problemOf(more, 0)) === undefined) return;
      await this.#store.purge(filename);
    }
    let problem = await this.#problemOf(more, 0);
    if (problem !== undefined && (await this.#canEvict(problem.missingBytes))) {
      for await (const { filename } of this.#oldest()) {
        problem = await this.#problemOf(more, 0);
        if (problem === undefined) return;
        await this.#evict(filename);
      }
      problem = await this.#problemOf(more, 0);
    }
    if (problem !== undefined) throw problem.error;
  }

  async *#trash(): AsyncGenerator<string> {
    const tried = new Set<string>();
    for (;;) {
      const due = await (await this.#store.catalog()).dueTrash(GROUP_SIZE + tried.size);
      const next = due.map(({ filename }) => filename).filter((filename) => !tried.has(filename));
      if (next.length === 0) return;
      for (const filename of next) {
        tried.add(filename);
        yield filename;
      }
    }
  }

  /** Returns whether eviction makes so much room: nothing is deleted for a save that is refused then. */
  async #canEvict(bytes: number): Promise<boolean> {
    if (this.#limits.onFull !== 'evict') return false;
    let found = 0;
    for await (const { size } of this.#oldest()) {
      found += size;
      if (found >= bytes) return true;
    }
    return false;
  }

  /** Yields what may be evicted. */
  async *#oldest(): AsyncGenerator<ImageSize> {
    const { catalog, context } = this.#store;
    const { now } = context;
    const query = { order: 'oldest', pinned: false, end: now() + 1 } as const;
    for (let after: ImageSize | undefined; ; ) {
      const rows = await (await catalog()).pageSizes(query, { ...(after && { after }), limit: SCAN_ROWS });
      const names = rows.map(({ filename }) => filename);
      const spared = new Set(await (await catalog()).arrivedSince(names, now() - SPARED_MS));
      for (const row of rows) if (!spared.has(row.filename)) yield row;
      after = rows.at(-1);
      if (rows.length < SCAN_ROWS) return;
    }
  }

  async #evict(filename: string): Promise<void> {
    const outcome = await this.#store.evict(filename);
    if (!outcome.done) return;
    const evicted = this.#evicted;
    evicted.count += 1;
    evicted.bytes += outcome.record.size;
    if (performance.now() - evicted.loggedAt < LOG_EVERY_MS) return;
    const { log, name: provider } = this.#store.context;
    log.info({ provider, count: evicted.count, bytes: evicted.bytes }, 'the oldest images make room for new ones');
    this.#evicted = { count: 0, bytes: 0, loggedAt: performance.now() };
  }

  /**
   * Asks again where what is known is older than `maxAgeMs`, or says that there is no room. A save that commits meanwhile may be
   * counted twice, as reserved and as stored: where that decides, nothing is refused or removed for it until it has ended.
   */
  async #problemOf(more: number, maxAgeMs: number): Promise<Problem | undefined> {
    const known = this.#measured;
    if (known !== undefined && performance.now() - known.at <= maxAgeMs) {
      if (this.#crossed(known, more) === undefined) return undefined;
    }
    for (;;) {
      const measured = await this.#measure();
      if (this.#crossed(measured, more) === undefined) return undefined;
      const others = [...this.#reserved].filter(({ ended }) => ended === undefined);
      const problem = this.#crossed(measured, more, others);
      if (problem !== undefined) return problem;
      await Promise.race([...this.#reserved].flatMap(({ ended }) => ended ?? []));
    }
  }

  async #measure(): Promise<Measured> {
    const at = performance.now();
    const ended = [...this.#reserved].filter(({ isStored }) => isStored);
    for (const reserved of this.#reserved) reserved.known = reserved.written;
    const [{ bytes, trashBytes }, freeBytes] = await Promise.all([
      this.#store.catalog().then((catalog) => catalog.statistics()),
      this.#store.freeBytes(),
    ]);
    // The store counts what had ended before it was asked.
    for (const reserved of ended) this.#reserved.delete(reserved);
    this.#measured = { at, storedBytes: bytes + trashBytes, freeBytes };
    return this.#measured;
  }

  #crossed(
    { storedBytes, freeBytes }: Measured,
    more: number,
    reserved: Iterable<Reserved> = this.#reserved,
  ): Problem | undefined {
    const { maxStoreBytes = Number.POSITIVE_INFINITY, minFreeBytes = 0 } = this.#limits;
    let [wouldBe, free] = [storedBytes + more, freeBytes - more - HEADROOM_BYTES];
    for (const { bytes, known } of reserved) {
      wouldBe += bytes;
      free -= bytes - known + HEADROOM_BYTES;
    }
    if (wouldBe > maxStoreBytes) {
      const message = `the store would have ${inWords(wouldBe)}; its maxStoreBytes is ${inWords(maxStoreBytes)}`;
      return {
        error: diskFull(message, maxStoreBytes, wouldBe),
        missingBytes: wouldBe - maxStoreBytes,
        isOfDisk: false,
      };
    }
    if (free >= minFreeBytes) return undefined;
    const left = Math.max(0, free);
    const message = `the disk would have ${inWords(left)} left; minFreeBytes is ${inWords(minFreeBytes)}`;
    return { error: diskFull(message, minFreeBytes, left), missingBytes: minFreeBytes - free, isOfDisk: true };
  }
}

function diskFull(message: string, limitBytes: number, wouldBeBytes: number): StorageError {
  const details = { limit_bytes: String(limitBytes), would_be_bytes: String(wouldBeBytes) };
  return new StorageError('DISK_FULL', message, { details });
}

/** Rounded numbers alone could be equal. */
function inWords(bytes: number): string {
  return `${bytes.toLocaleString('en')} bytes (${formatBytes(bytes)})`;
}
