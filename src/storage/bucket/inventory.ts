/** Walks a bucket: merges the listings of images and records with what the catalog knows. */
import type { BucketCatalog } from '../catalog/bucket-catalog.ts';
import { folderOf, imageKey, KEY_ROOT, recordKey } from '../domain/naming.ts';
import { listPages } from './listing.ts';
import type { ListedObject, ObjectStore } from './object-store.ts';
import { RECORDS } from './record-object.ts';
import type { BucketStore } from './store.ts';

const IMAGES = `${KEY_ROOT}images/`;
/** Prefix of the objects that `doctor` tests a CDN with; among the images, since only they are public. */
export const SCRATCH_IMAGES = `${IMAGES}doctor/`;
const KNOWN_AT_ONCE = 2_000;

/** The listed objects of one image, both undefined when only the catalog knows it; `foreign`: an object of no image. */
export type InventoryEntry =
  | { filename: string; image: ListedObject | undefined; record: ListedObject | undefined }
  | { foreign: ListedObject };

/** Yields the entries in the order of their keys. Images saved or deleted meanwhile may be missing or incomplete. */
export function takeInventory({
  catalog,
  objects,
}: Pick<BucketStore, 'catalog' | 'objects'>): AsyncGenerator<InventoryEntry> {
  return sideBySide(listed(objects, IMAGES, imageKey), listed(objects, RECORDS, recordKey), knownTo(catalog));
}

interface Named {
  filename?: string;
}

/** A listed object, with its filename if the key is that of an image or record. */
interface Listed extends Named {
  object: ListedObject;
}

async function* listed(
  objects: ObjectStore,
  prefix: string,
  keyOf: (filename: string) => string,
): AsyncGenerator<Listed> {
  for await (const page of listPages(objects, prefix)) {
    for (const object of page.objects) {
      if (isFolder(object) || object.key.startsWith(SCRATCH_IMAGES)) continue;
      const filename = object.key.slice(object.key.lastIndexOf('/') + 1).replace(/\.json$/, '');
      const isOurs = folderOf(filename) !== undefined && keyOf(filename) === object.key;
      yield { object, ...(isOurs && { filename }) };
    }
  }
}

/** Returns whether the object is a folder marker, as consoles create them. */
function isFolder({ key, size }: ListedObject): boolean {
  return size === 0 && key.endsWith('/');
}

/** Yields what the catalog knows in the order of record keys, like the listings. */
async function* knownTo(catalog: Pick<BucketCatalog, 'knownBetween'>): AsyncGenerator<Named> {
  let after: string | undefined;
  for (let more = true; more; ) {
    const page = await catalog.knownBetween({ after, limit: KNOWN_AT_ONCE });
    yield* page;
    const last = page.at(-1);
    after = last && recordKey(last.filename);
    more = page.length === KNOWN_AT_ONCE;
  }
}

/** Merges three sequences, each in the order of folder and filename. */
async function* sideBySide(
  images: AsyncGenerator<Listed>,
  records: AsyncGenerator<Listed>,
  known: AsyncGenerator<Named>,
): AsyncGenerator<InventoryEntry> {
  const [nextImage, nextRecord, nextKnown] = [new Head(images), new Head(records), new Head(known)];
  await Promise.all([nextImage, nextRecord, nextKnown].map((head) => head.next()));
  for (;;) {
    const foreign = [nextImage, nextRecord].find(({ value }) => value && value.filename === undefined);
    if (foreign !== undefined) {
      yield { foreign: foreign.value!.object };
      await foreign.next();
      continue;
    }
    const filename = firstOf([nextImage, nextRecord, nextKnown].map(({ value }) => value?.filename));
    if (filename === undefined) return;
    const [image, record] = await Promise.all([nextImage.take(filename), nextRecord.take(filename)]);
    await nextKnown.take(filename);
    yield { filename, image: image?.object, record: record?.object };
  }
}

/** Holds the next item of a generator. */
class Head<T extends Named> {
  readonly #items: AsyncGenerator<T>;
  value: T | undefined;

  constructor(items: AsyncGenerator<T>) {
    this.#items = items;
  }

  async next(): Promise<void> {
    const { done, value } = await this.#items.next();
    this.value = done ? undefined : value;
  }

  /** Returns the value and advances, if it has that filename. */
  async take(filename: string): Promise<T | undefined> {
    const { value } = this;
    if (value?.filename !== filename) return undefined;
    await this.next();
    return value;
  }
}

/** Returns the first filename, by folder, then by name. */
function firstOf(filenames: (string | undefined)[]): string | undefined {
  const pathOf = (filename: string) => `${folderOf(filename)}/${filename}`;
  const given = filenames.filter((filename) => filename !== undefined);
  return given.reduce<string | undefined>(
    (first, filename) => (first !== undefined && pathOf(first) <= pathOf(filename) ? first : filename),
    undefined,
  );
}
