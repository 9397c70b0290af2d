/** Verifies a store in a bucket: walks images and records side by side, and judges what does not pair up. */
import { createHash } from 'node:crypto';
import type { FoundRecord, ImageRecord } from '../catalog/types.ts';
import { StorageError } from '../errors.ts';
import type { Checked, CheckOptions, Finding } from '../maintenance/types.ts';
import { folderOf, imageKey, KEY_ROOT, recordKey } from '../naming.ts';
import { mapInParallel } from '../parallel.ts';
import { adoptObject, quarantineForeign, quarantineImage } from './adopt.ts';
import { createOrRead, SWEEP_AFTER_MS } from './bucket-store.ts';
import { checkIdentity } from './format.ts';
import type { ListedObject, ObjectStore } from './object-store.ts';
import type { OpenBucket } from './open-bucket.ts';
import { readHeaders, readRange } from './reading.ts';
import { putRecord, readRecord } from './record-object.ts';

const IMAGES = `${KEY_ROOT}images/`;
const RECORDS = `${KEY_ROOT}metadata/generations/`;
const PLACES_AT_ONCE = 8;

/** What the listings have of one image; `foreign`: an object that is none of an image's. */
type Place = { filename: string; image?: ListedObject; record?: ListedObject } | { foreign: ListedObject };

/** The catalog follows the bucket afterwards, whatever was found. */
export async function* verifyObjects(
  store: OpenBucket,
  options: CheckOptions,
  forget: (filename: string) => Promise<boolean>,
): AsyncGenerator<Checked> {
  await checkIdentity(store);
  const check = new BucketCheck(store, options, forget);
  const places = paired(listed(store.objects, IMAGES, imageKey), listed(store.objects, RECORDS, recordKey));
  yield* mapInParallel(PLACES_AT_ONCE, places, (place) => options.run(() => check.place(place)));
  await options.run(() => store.synchronizer.run());
}

class BucketCheck {
  readonly #store: OpenBucket;
  readonly #options: CheckOptions;
  readonly #forget: (filename: string) => Promise<boolean>;

  constructor(store: OpenBucket, options: CheckOptions, forget: (filename: string) => Promise<boolean>) {
    this.#store = store;
    this.#options = options;
    this.#forget = forget;
  }

  async place(place: Place): Promise<Checked> {
    if ('foreign' in place) return { findings: [await this.#quarantined('foreign', place.foreign)] };
    const { filename, image, record } = place;
    const found = await this.#recordOf(filename, record?.etag);
    switch (found.kind) {
      case 'live':
        return { sizeBytes: found.record.size, findings: await this.#compare(found.record, image) };
      case 'tombstone':
        // The sweeper removes what is left.
        return { findings: [] };
      case 'foreign':
        return this.#damaged(filename, record!, image);
      case 'absent':
        return image === undefined ? { findings: [] } : this.#alone(filename, image);
    }
  }

  /** What the catalog knows already need not be read again. */
  async #recordOf(filename: string, etag: string | undefined): Promise<FoundRecord> {
    if (etag === undefined) return { kind: 'absent' };
    const { catalog, objects } = this.#store;
    const known = await catalog.known(filename);
    const record = known?.etag === etag ? await catalog.find(filename) : undefined;
    return record === undefined ? readRecord(objects, filename) : { kind: 'live', etag, record };
  }

  async #compare(record: ImageRecord, listed: ListedObject | undefined): Promise<Finding[]> {
    const { filename, key, size } = record;
    const about = { remedy: 'none', key, filename } as const;
    // It may have been listed before it was there.
    const object = listed ?? (await readHeaders(this.#store.objects, key));
    if (object === undefined) return this.#missing(filename, key);
    if (object.size !== size) {
      return [{ ...about, problem: 'size_differs', detail: `${object.size} bytes instead of ${size}` }];
    }
    if (!this.#options.deep || (await this.#sha256Of(key, size)) === record.sha256) return [];
    return [{ ...about, problem: 'checksum_differs' }];
  }

  async #missing(filename: string, key: string): Promise<Finding[]> {
    // Deleted since its record was listed.
    if ((await readRecord(this.#store.objects, filename)).kind !== 'live') return [];
    const finding: Finding = { problem: 'bytes_missing', remedy: 'none', key, filename };
    if (!this.#options.forgetMissing) return [finding];
    return (await this.#forget(filename)) ? [{ ...finding, remedy: 'forgotten' }] : [];
  }

  async #sha256Of(key: string, size: number): Promise<string> {
    const hash = createHash('sha256');
    for await (const chunk of readRange(this.#store.objects, key, { offset: 0, length: size }, () => {})) {
      hash.update(chunk);
    }
    return hash.digest('hex');
  }

  /** Something else lies where the record should be: it goes aside, and the image gets another. */
  async #damaged(filename: string, record: ListedObject, image: ListedObject | undefined): Promise<Checked> {
    if (image === undefined) return { findings: [await this.#quarantined('record_alone', record, filename)] };
    const finding = { problem: 'record_damaged', key: record.key, filename, detail: 'it is none of ours' } as const;
    if (!this.#options.repair) return { sizeBytes: image.size, findings: [{ ...finding, remedy: 'none' }] };
    await quarantineForeign(this.#store, record);
    const { remedy, detail } = await this.#adopt(filename, image);
    return { sizeBytes: image.size, findings: [{ ...finding, remedy, ...(detail && { detail }) }] };
  }

  /** An object whose record was not listed. */
  async #alone(filename: string, listed: ListedObject): Promise<Checked> {
    const { context, objects, shared } = this.#store;
    if (shared && listed.lastModified > context.now() - SWEEP_AFTER_MS) return { findings: [], undecided: true };
    if (await this.#isInHand(filename)) return { findings: [] };
    const found = await readRecord(objects, filename);
    // Committed or deleted since it was listed.
    if (found.kind !== 'absent' || (await readHeaders(objects, listed.key)) === undefined) return { findings: [] };
    const restored = await this.#restored(filename);
    if (restored !== undefined) return { sizeBytes: listed.size, findings: [restored] };
    const finding = { problem: 'not_committed', key: listed.key, filename } as const;
    if (!this.#options.repair) return { findings: [{ ...finding, remedy: 'none' }] };
    return { findings: [{ ...finding, ...(await this.#adopt(filename, listed)) }] };
  }

  /** Whether this daemon is about to write its record, or to remove it. */
  async #isInHand(filename: string): Promise<boolean> {
    if (this.#store.takingOver.has(filename)) return true;
    const operations = await this.#store.catalog.pendingOperations();
    return operations.some((operation) => operation.filename === filename);
  }

  /** Somebody removed the record of an image that the catalog still has. */
  async #restored(filename: string): Promise<Finding | undefined> {
    const { catalog, journal, objects } = this.#store;
    const known = await catalog.known(filename);
    const record = known && (await catalog.find(filename));
    if (record === undefined) return undefined;
    const key = recordKey(filename);
    const finding = { problem: 'record_damaged', key, filename, detail: 'it is missing' } as const;
    if (!this.#options.repair) return { ...finding, remedy: 'none' };
    const found = await createOrRead(this.#store, filename, () => putRecord(objects, record));
    await journal.write({ kind: 'found', filename, found, over: known!.etag });
    return { ...finding, remedy: 'restored' };
  }

  async #adopt(filename: string, image: ListedObject): Promise<Pick<Finding, 'remedy' | 'detail'>> {
    try {
      await adoptObject(this.#store, filename, image);
      return { remedy: 'adopted' };
    } catch (error) {
      if (!(error instanceof StorageError) || error.code !== 'invalid_argument') throw error;
      const gone = await quarantineImage(this.#store, filename, image);
      return { remedy: gone ? 'quarantined' : 'none', detail: error.message };
    }
  }

  async #quarantined(problem: 'foreign' | 'record_alone', object: ListedObject, filename?: string): Promise<Finding> {
    const finding = { problem, key: object.key, ...(filename !== undefined && { filename }) };
    if (!this.#options.repair) return { ...finding, remedy: 'none' };
    await quarantineForeign(this.#store, object);
    return { ...finding, remedy: 'quarantined' };
  }
}

/** An object of a listing, and the filename that its key is made of, if it is one of ours. */
interface Listed {
  object: ListedObject;
  filename?: string;
}

async function* listed(
  objects: ObjectStore,
  prefix: string,
  keyOf: (filename: string) => string,
): AsyncGenerator<Listed> {
  let after: string | undefined;
  for (let more = true; more; ) {
    const page = await objects.list(prefix, after);
    for (const object of page.objects) {
      const filename = object.key.slice(object.key.lastIndexOf('/') + 1).replace(/\.json$/, '');
      const isOurs = folderOf(filename) !== undefined && keyOf(filename) === object.key;
      yield { object, ...(isOurs && { filename }) };
    }
    after = page.objects.at(-1)?.key;
    more = page.more && after !== undefined;
  }
}

/** Both listings are in the order of their folders and filenames. */
async function* paired(images: AsyncGenerator<Listed>, records: AsyncGenerator<Listed>): AsyncGenerator<Place> {
  const [imagesLeft, recordsLeft] = [new Head(images), new Head(records)];
  await Promise.all([imagesLeft.next(), recordsLeft.next()]);
  for (;;) {
    const [image, record] = [imagesLeft.value, recordsLeft.value];
    const foreign = [imagesLeft, recordsLeft].find((side) => side.value && side.value.filename === undefined);
    if (foreign !== undefined) {
      yield { foreign: foreign.value!.object };
      await foreign.next();
      continue;
    }
    if (image === undefined && record === undefined) return;
    const order = compare(image?.filename, record?.filename);
    const place: Place = { filename: order <= 0 ? image!.filename! : record!.filename! };
    if (order <= 0) {
      place.image = image!.object;
      await imagesLeft.next();
    }
    if (order >= 0) {
      place.record = record!.object;
      await recordsLeft.next();
    }
    yield place;
  }
}

/** The next of a generator. */
class Head {
  readonly #items: AsyncGenerator<Listed>;
  value: Listed | undefined;

  constructor(items: AsyncGenerator<Listed>) {
    this.#items = items;
  }

  async next(): Promise<void> {
    const { done, value } = await this.#items.next();
    this.value = done ? undefined : value;
  }
}

/** By place; what has ended comes last. */
function compare(one: string | undefined, other: string | undefined): number {
  if (one === undefined || other === undefined) return one === undefined ? 1 : -1;
  const [a, b] = [`${folderOf(one)}/${one}`, `${folderOf(other)}/${other}`];
  return a < b ? -1 : a > b ? 1 : 0;
}
