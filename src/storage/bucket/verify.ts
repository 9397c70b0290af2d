/** Verifies a store in a bucket: checks for each image whether object, record and catalog agree. */
import { createHash } from 'node:crypto';
import { nanoid } from 'nanoid';
import { mapInParallel } from '../async/parallel.ts';
import type { FoundRecord, RecordTombstone } from '../catalog/bucket-catalog.ts';
import { StorageError } from '../domain/errors.ts';
import type { Finding, Remedy } from '../domain/maintenance.ts';
import { recordKey } from '../domain/naming.ts';
import type { ImageRecord, TrashTimes } from '../domain/record.ts';
import type { Checked, CheckOptions } from '../maintenance/maintenance.ts';
import { mostAreMissing } from '../maintenance/verify.ts';
import { adoptImage, copyAside, quarantineForeign, quarantineImage } from './adopt.ts';
import { checkIdentity } from './format.ts';
import { type InventoryEntry, takeInventory } from './inventory.ts';
import { failedWith, type ListedObject } from './object-store.ts';
import { purgeImage } from './purge.ts';
import { readHeaders, readRange } from './reading.ts';
import { putRecord, readRecord, replaceRecord, trashRecord } from './record-object.ts';
import { type BucketStore, createAndNote, discovery, noteIfNew, SWEEP_AFTER_MS } from './store.ts';

const ENTRIES_AT_ONCE = 8;
const IN_TRASH = 'it is in the trash';
/** How long an object may lack its record: another daemon's save, or a stopped copy's next attempt, may create it. */
const UNDECIDED_MS = 24 * 60 * 60 * 1000;

/** Updates the catalog with records that changed, and keeps what it has of records that are gone. */
export async function* verifyStore(
  store: BucketStore,
  options: CheckOptions,
  forget: (filename: string) => Promise<boolean>,
): AsyncGenerator<Checked> {
  await checkIdentity(store);
  if (options.forgetMissing) await checkMostBytes(store, options);
  const check = new BucketCheck(store, options, forget);
  yield* mapInParallel(ENTRIES_AT_ONCE, takeInventory(store), (entry) => options.run(() => check.entry(entry)));
}

/** Rejects with STORE_REPLACED where most images have no bytes, and with CATALOG_REBUILDING while that is unknown. */
async function checkMostBytes(store: BucketStore, { run }: CheckOptions): Promise<void> {
  if (!(await store.catalog.isFilled())) throw new StorageError('CATALOG_REBUILDING', 'the catalog is being built');
  const { count } = await store.catalog.statistics();
  let there = 0;
  for await (const entry of takeInventory(store)) {
    await run(async () => {
      if ('image' in entry && entry.image !== undefined) there += 1;
    });
  }
  if (count > 2 * there) throw mostAreMissing('objects');
}

/** The kinds of what stands for an image whose object must be there. */
type StandingKind = 'live' | 'trashed';

/** What the catalog knows of an image; `times`: it is in the trash. */
interface KnownImage {
  record: ImageRecord;
  etag: string;
  times?: TrashTimes;
}

class BucketCheck {
  readonly #store: BucketStore;
  readonly #options: CheckOptions;
  readonly #forget: (filename: string) => Promise<boolean>;

  constructor(store: BucketStore, options: CheckOptions, forget: (filename: string) => Promise<boolean>) {
    this.#store = store;
    this.#options = options;
    this.#forget = forget;
  }

  async entry(entry: InventoryEntry): Promise<Checked> {
    if ('foreign' in entry) return { findings: await this.#quarantined('foreign', entry.foreign) };
    const { filename, image, record } = entry;
    const found = await this.#recordOf(filename, record?.etag);
    switch (found.kind) {
      case 'live':
        return { sizeBytes: found.record.size, findings: await this.#compare(found.record, image, 'live') };
      case 'tombstone':
        return { findings: await this.#broughtBack(found.tombstone, record!, image) };
      case 'trashed':
        return { findings: await this.#compare(found.trashed.record, image, 'trashed') };
      case 'foreign':
        return this.#damaged(filename, record!, image);
      case 'absent':
        return image === undefined ? this.#vanished(filename) : this.#alone(filename, image);
    }
  }

  /** Reads the record only where the catalog does not have it with this ETag. */
  async #recordOf(filename: string, etag: string | undefined): Promise<FoundRecord> {
    if (etag === undefined) return { kind: 'absent' };
    const { catalog, objects } = this.#store;
    const over = (await catalog.known(filename))?.etag;
    const record = over === etag ? await catalog.find(filename) : undefined;
    if (record !== undefined) return { kind: 'live', etag, record };
    const found = await readRecord(objects, filename);
    await noteIfNew(this.#store, filename, found, over);
    return found;
  }

  async #compare(record: ImageRecord, listed: ListedObject | undefined, kind: StandingKind): Promise<Finding[]> {
    const { filename, key, size } = record;
    const about = { remedy: 'none', key, filename } as const;
    // The listing may have passed its key before the object was created.
    const object = listed ?? (await readHeaders(this.#store.objects, key));
    if (object === undefined) return this.#missing(filename, key, kind);
    if (object.size !== size) {
      return [{ ...about, problem: 'size_differs', detail: `${object.size} bytes instead of ${size}` }];
    }
    if (!this.#options.deep) return [];
    const sha256 = await this.#sha256Of(key, size);
    if (sha256 === undefined) return this.#missing(filename, key, kind);
    return sha256 === record.sha256 ? [] : [{ ...about, problem: 'checksum_differs' }];
  }

  async #missing(filename: string, key: string, kind: StandingKind): Promise<Finding[]> {
    // Deleted, purged or brought back since its record was listed.
    if ((await readRecord(this.#store.objects, filename)).kind !== kind) return [];
    const detail = kind === 'trashed' && { detail: IN_TRASH };
    const finding: Finding = { problem: 'bytes_missing', remedy: 'none', key, filename, ...detail };
    if (!this.#options.forgetMissing) return [finding];
    const forgotten = kind === 'live' ? await this.#forget(filename) : (await purgeImage(this.#store, filename)).done;
    return forgotten ? [{ ...finding, remedy: 'forgotten' }] : [];
  }

  /** Returns undefined where the object no longer exists. */
  async #sha256Of(key: string, size: number): Promise<string | undefined> {
    const hash = createHash('sha256');
    try {
      for await (const chunk of readRange(this.#store.objects, key, { offset: 0, length: size }, () => {})) {
        hash.update(chunk);
      }
      return hash.digest('hex');
    } catch (error) {
      if (failedWith(error, 'not_found')) return undefined;
      throw error;
    }
  }

  /**
   * Reports an object newer than the sweep of its tombstone, which somebody uploaded; the sweeper removes what a delete
   * or a failed save left. Both times are the store's, whose clock may differ from ours.
   */
  async #broughtBack(
    { filename, kind }: RecordTombstone,
    tombstone: ListedObject,
    image: ListedObject | undefined,
  ): Promise<Finding[]> {
    if (image === undefined || image.lastModified <= tombstone.lastModified + SWEEP_AFTER_MS) return [];
    const problem = kind === 'deleted' ? 'deleted_before' : 'not_committed';
    const remedy = this.#options.repair ? await this.#quarantinedImage(filename, image) : 'none';
    return [{ problem, remedy, key: image.key, filename }];
  }

  /**
   * Quarantines an object that is not a record but has a record's key, and restores or adopts the image. A record that
   * the catalog knows replaces the object in one step: a catalog that found no record there would forget the image.
   */
  async #damaged(filename: string, record: ListedObject, image: ListedObject | undefined): Promise<Checked> {
    const known = await this.#known(filename);
    const sizeBytes = image?.size ?? known?.record.size;
    if (sizeBytes === undefined) return { findings: await this.#quarantined('record_alone', record, filename) };
    const finding = { problem: 'record_damaged', key: record.key, filename, detail: 'it is none of ours' } as const;
    if (!this.#options.repair) return { sizeBytes, findings: [{ ...finding, remedy: 'none' }] };
    const isAside = await (known ? copyAside(this.#store, record) : quarantineForeign(this.#store, record));
    if (!isAside) return { findings: [] };
    const remedied = known ? { remedy: await this.#restored(known, record) } : await this.#adopted(filename, image!);
    return { sizeBytes, findings: [{ ...finding, ...remedied }] };
  }

  /** Checks an image that only the catalog has: somebody removed its object and record. */
  async #vanished(filename: string): Promise<Checked> {
    const { journal, objects } = this.#store;
    const known = await this.#known(filename);
    if (known === undefined || (await this.#isInHand(filename))) return { findings: [] };
    const { key, size } = known.record;
    const found = await readRecord(objects, filename);
    // Saved since it was listed.
    if (found.kind !== 'absent' || (await readHeaders(objects, key)) !== undefined) return { findings: [] };
    if (this.#options.forgetMissing) {
      await checkIdentity(this.#store);
      await journal.write(discovery(this.#store, filename, found, known.etag));
    }
    const remedy = this.#options.forgetMissing ? 'forgotten' : 'none';
    const finding = { problem: 'bytes_missing', remedy, key, filename, detail: 'its record is gone, too' } as const;
    return { sizeBytes: size, findings: [finding] };
  }

  /** Checks an object whose record was not listed. */
  async #alone(filename: string, listed: ListedObject): Promise<Checked> {
    const { context, objects } = this.#store;
    if (await this.#isInHand(filename)) return { findings: [] };
    // Before the record is read: an entry that appears only afterwards was committed meanwhile.
    const known = await this.#known(filename);
    const found = await readRecord(objects, filename);
    // Committed or deleted since it was listed.
    if (found.kind !== 'absent' || (await readHeaders(objects, listed.key)) === undefined) return { findings: [] };
    if (known !== undefined) {
      const remedy = this.#options.repair ? await this.#restored(known) : 'none';
      const finding = { problem: 'record_damaged', remedy, key: recordKey(filename), filename } as const;
      return { sizeBytes: listed.size, findings: [{ ...finding, detail: 'it is missing' }] };
    }
    if (listed.lastModified > context.now() - UNDECIDED_MS) return { findings: [], undecided: true };
    const finding = { problem: 'not_committed', key: listed.key, filename } as const;
    if (!this.#options.repair) return { findings: [{ ...finding, remedy: 'none' }] };
    return { findings: [{ ...finding, ...(await this.#adopted(filename, listed)) }] };
  }

  /** Returns whether this daemon has a pending save or delete of the image. */
  async #isInHand(filename: string): Promise<boolean> {
    const operations = await this.#store.catalog.pendingOperations();
    return operations.some((operation) => operation.filename === filename);
  }

  /** Returns the catalog's entry of an image whose record somebody removed or overwrote, or undefined. */
  async #known(filename: string): Promise<KnownImage | undefined> {
    const { catalog } = this.#store;
    const known = await catalog.known(filename);
    if (known === undefined) return undefined;
    const record = await catalog.find(filename);
    if (record !== undefined) return { record, etag: known.etag };
    const trashed = await catalog.findTrashed(filename);
    if (trashed === undefined) return undefined;
    const { deleteTime, purgeTime, ...rest } = trashed;
    return { record: rest, etag: known.etag, times: { deleteTime, purgeTime } };
  }

  async #restored({ record, etag, times }: KnownImage, over?: ListedObject): Promise<Remedy> {
    const { objects } = this.#store;
    const write = () => {
      if (times !== undefined) return trashRecord(objects, { record, ...times, deleteNonce: nanoid() }, over?.etag);
      return over === undefined ? putRecord(objects, record) : replaceRecord(objects, record, over.etag);
    };
    const found = await createAndNote(this.#store, { filename: record.filename, over: etag }, write);
    return found.kind === (times === undefined ? 'live' : 'trashed') ? 'restored' : 'none';
  }

  async #adopted(filename: string, image: ListedObject): Promise<Pick<Finding, 'remedy' | 'detail'>> {
    try {
      const found = await adoptImage(this.#store, filename, image);
      return { remedy: found.kind === 'live' ? 'adopted' : 'none' };
    } catch (error) {
      if (!(error instanceof StorageError) || error.code !== 'invalid_argument') throw error;
      return { remedy: await this.#quarantinedImage(filename, image), detail: error.message };
    }
  }

  async #quarantinedImage(filename: string, image: ListedObject): Promise<Remedy> {
    return (await quarantineImage(this.#store, filename, image)) ? 'quarantined' : 'none';
  }

  async #quarantined(problem: 'foreign' | 'record_alone', object: ListedObject, filename?: string): Promise<Finding[]> {
    const finding = { problem, key: object.key, ...(filename !== undefined && { filename }) };
    if (!this.#options.repair) return [{ ...finding, remedy: 'none' }];
    return (await quarantineForeign(this.#store, object)) ? [{ ...finding, remedy: 'quarantined' }] : [];
  }
}
