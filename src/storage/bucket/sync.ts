/** Synchronizes the catalog with the bucket: compares the listing of records with it, and reads what differs. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { BucketChange } from '../catalog/bucket-catalog.ts';
import { StorageError } from '../domain/errors.ts';
import { folderOf, KEY_ROOT, recordKey } from '../domain/naming.ts';
import { checkIdentity } from './format.ts';
import type { ListedObject } from './object-store.ts';
import { readRecord } from './record-object.ts';
import { type BucketStore, discovery } from './store.ts';

const RECORDS = `${KEY_ROOT}metadata/generations/`;
const KNOWN_AT_ONCE = 2_000;
/** Bounds the memory of records in flight, whose metadata may have 1 MiB each. */
const READS_AT_ONCE = 16;
const RETRY_AFTER_MS = 5_000;

/** A record to read, and the ETag that the catalog has for it. */
interface Difference {
  filename: string;
  over?: string;
}

export class Synchronizer {
  readonly #store: BucketStore;
  #filled: boolean;
  #compared = 0;
  #running: Promise<void> | undefined;
  #next: Promise<void> | undefined;

  /** `filled`: the catalog has been compared with the whole bucket. */
  constructor(store: BucketStore, filled: boolean) {
    this.#store = store;
    this.#filled = filled;
  }

  get filled(): boolean {
    return this.#filled;
  }

  /** Throws CATALOG_REBUILDING until the first comparison is complete. */
  checkFilled(): void {
    if (this.#filled) return;
    const message = `the catalog is being built from the bucket: ${this.#compared} records so far`;
    throw new StorageError('CATALOG_REBUILDING', message, { retryAfterMs: RETRY_AFTER_MS });
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
    let after: string | undefined;
    for (let more = true; more; ) {
      this.#store.closing.signal.throwIfAborted();
      const page = await this.#store.objects.list(RECORDS, after);
      const last = page.objects.at(-1)?.key;
      more = page.more && last !== undefined;
      await this.#compare(page.objects, { after, ...(more && { upTo: last }) });
      this.#compared += page.objects.length;
      after = last;
    }
    await this.#noteFilled();
  }

  /** Compares one page of the listing with the catalog's records in the same key range. */
  async #compare(objects: ListedObject[], { after, upTo }: { after?: string; upTo?: string }): Promise<void> {
    const listed = new Map(objects.map(({ key, etag }) => [key, etag]));
    for (let from = after, more = true; more; ) {
      const known = await this.#store.catalog.knownBetween({ after: from, upTo, limit: KNOWN_AT_ONCE });
      const changed = known.filter(({ filename, etag }) => listed.get(recordKey(filename)) !== etag);
      for (const { filename } of known) listed.delete(recordKey(filename));
      await this.#read(changed.map(({ filename, etag }) => ({ filename, over: etag })));
      more = known.length === KNOWN_AT_ONCE;
      from = more ? recordKey(known.at(-1)!.filename) : from;
    }
    await this.#read(
      [...listed.keys()]
        .map(filenameOf)
        .filter((filename) => filename !== undefined)
        .map((filename) => ({ filename })),
    );
  }

  async #read(differences: Difference[]): Promise<void> {
    for (let start = 0; start < differences.length; start += READS_AT_ONCE) {
      this.#store.closing.signal.throwIfAborted();
      const group = differences.slice(start, start + READS_AT_ONCE);
      const changes = await Promise.all(group.map((difference) => this.#changesOf(difference)));
      await this.#store.journal.write(...changes.flat());
    }
  }

  async #changesOf({ filename, over }: Difference): Promise<BucketChange[]> {
    const found = await readRecord(this.#store.objects, filename);
    if (found.kind === 'foreign' && over !== undefined) {
      // The catalog keeps its record: `verify` restores from it.
      const { log, name: provider } = this.#store.context;
      log.warn({ provider, filename }, 'a record is damaged; verify --repair writes it again');
      return [];
    }
    return [discovery(filename, found, over)];
  }

  async #noteFilled(): Promise<void> {
    if (this.#filled) return;
    await this.#store.journal.write({ kind: 'filled' });
    this.#filled = true;
    const { log, name } = this.#store.context;
    log.info({ provider: name, records: this.#compared }, 'the catalog was built from the bucket');
  }
}

/** Returns the filename of the image whose record has this key, or undefined for any other key. */
function filenameOf(key: string): string | undefined {
  const filename = key.slice(key.lastIndexOf('/') + 1).replace(/\.json$/, '');
  return folderOf(filename) !== undefined && recordKey(filename) === key ? filename : undefined;
}
