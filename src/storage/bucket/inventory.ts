/** Walks a bucket: the listings of images and records, and what the catalog knows, side by side. */
import type { BucketCatalog } from '../catalog/bucket-catalog.ts';
import { folderOf, imageKey, KEY_ROOT, recordKey } from '../domain/naming.ts';
import type { ListedObject, ObjectStore } from './object-store.ts';
import type { BucketStore } from './store.ts';

const IMAGES = `${KEY_ROOT}images/`;
const RECORDS = `${KEY_ROOT}metadata/generations/`;
/** Where `doctor` puts what it tries a CDN with; it lies among the images, since only they are public. */
export const SCRATCH_IMAGES = `${IMAGES}doctor/`;
const KNOWN_AT_ONCE = 2_000;

/** What the listings have of one image, or the catalog alone; `foreign`: an object that is none of an image's. */
export type InventoryEntry =
  | { filename: string; image: ListedObject | undefined; record: ListedObject | undefined }
  | { foreign: ListedObject };

/** In the order of their keys. What is saved or deleted meanwhile may be missing, or half of it. */
export function takeInventory({
  catalog,
  objects,
}: Pick<BucketStore, 'catalog' | 'objects'>): AsyncGenerator<InventoryEntry> {
  return sideBySide(listed(objects, IMAGES, imageKey), listed(objects, RECORDS, recordKey), knownTo(catalog));
}

interface Named {
  filename?: string;
}

/** An object of a listing, and the filename that its key is made of, if it is one of ours. */
interface Listed extends Named {
  object: ListedObject;
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
      if (isFolder(object) || object.key.startsWith(SCRATCH_IMAGES)) continue;
      const filename = object.key.slice(object.key.lastIndexOf('/') + 1).replace(/\.json$/, '');
      const isOurs = folderOf(filename) !== undefined && keyOf(filename) === object.key;
      yield { object, ...(isOurs && { filename }) };
    }
    after = page.objects.at(-1)?.key;
    more = page.more && after !== undefined;
  }
}

/** What consoles make of a folder. */
function isFolder({ key, size }: ListedObject): boolean {
  return size === 0 && key.endsWith('/');
}

/** In the order of the records, like the listings. */
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

/** All three are in the order of folders and filenames. */
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

/** The next of a generator. */
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

  /** The value where it has that filename, which makes way for the next. */
  async take(filename: string): Promise<T | undefined> {
    const { value } = this;
    if (value?.filename !== filename) return undefined;
    await this.next();
    return value;
  }
}

/** By folder, then by name. */
function firstOf(filenames: (string | undefined)[]): string | undefined {
  const pathOf = (filename: string) => `${folderOf(filename)}/${filename}`;
  const given = filenames.filter((filename) => filename !== undefined);
  return given.reduce<string | undefined>(
    (first, filename) => (first !== undefined && pathOf(first) <= pathOf(filename) ? first : filename),
    undefined,
  );
}
