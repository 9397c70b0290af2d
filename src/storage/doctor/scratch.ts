/** The scratch objects of one examination of a bucket, and the operations that are tried on them. */
import { createHash } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import { nanoid } from 'nanoid';
import { SCRATCH_IMAGES } from '../bucket/inventory.ts';
import { checkOrder } from '../bucket/listing.ts';
import {
  type ByteRange,
  type ObjectHeaders,
  type ObjectStore,
  ObjectStoreError,
  type Payload,
  type StoredObject,
} from '../bucket/object-store.ts';
import { ignored, isRefused, race, raceKey, SCRATCH, WRITERS } from '../bucket/probe.ts';
import { readHeaders, readRange, readSmall } from '../bucket/reading.ts';
import { payloadOf } from '../bucket/record-object.ts';
import { type CheckResult, Shortcoming } from './check.ts';

const HEADERS: ObjectHeaders = {
  contentType: 'text/plain',
  cacheControl: 'no-store',
  metadata: { purpose: 'scratch' },
};
const NO_ETAG = '00000000000000000000000000000000';
const PART: ByteRange = { offset: 3, length: 5 };

/**
 * The objects of one examination. Each method tries one operation, and throws a Shortcoming when it does not work as
 * needed.
 */
export class Scratch {
  readonly #objects: ObjectStore;
  readonly #id = nanoid();
  /** The keys of objects that may exist. */
  readonly #keys = new Set<string>();
  readonly key: string = `${SCRATCH}${this.#id}`;
  #text = '';
  #etag = '';

  constructor(objects: ObjectStore) {
    this.#objects = { ...objects, putNew: (...args) => this.#put(objects, ...args) };
  }

  /** The current content of the object. */
  get text(): string {
    return this.#text;
  }

  async create(): Promise<CheckResult> {
    this.#text = `scratch of image-storage doctor, ${this.#id}\n`;
    this.#etag = await this.#putText(this.key, this.#text);
    if (!(await isRefused(this.#putText(this.key, this.#text)))) throw ignored(this.#objects, 'If-None-Match');
    return 'a second create of an object is refused (If-None-Match)';
  }

  async race(): Promise<CheckResult> {
    await race(this.#objects, raceKey(this.key));
    return `of ${WRITERS} writers at once one creates the object`;
  }

  async overwrite(): Promise<CheckResult> {
    if (!(await isRefused(this.#replace(NO_ETAG)))) throw ignored(this.#objects, 'If-Match');
    await this.#replace(this.#etag);
    return 'only the version that was read is overwritten (If-Match)';
  }

  async read(): Promise<CheckResult> {
    const whole = await readSmall(this.#objects, this.key);
    if (whole?.bytes.toString() !== this.#text) throw new Shortcoming('an object does not read as it was written');
    const chunks: Uint8Array[] = [];
    for await (const chunk of readRange(this.#objects, this.key, PART, (object) => this.#checkHeaders(object))) {
      chunks.push(chunk);
    }
    if (Buffer.concat(chunks).toString() !== this.#text.slice(PART.offset, PART.offset + PART.length)) {
      throw new Shortcoming('a part of an object does not read as it was written (Range)');
    }
    return 'an object reads as it was written, whole, in part and with its metadata';
  }

  async list(): Promise<CheckResult> {
    const { objects } = await this.#objects.list(this.key);
    const listed = objects.find(({ key }) => key === this.key);
    if (listed?.etag !== this.#etag) throw new Shortcoming('a new object is not listed at once, or with another ETag');
    const behind = await this.#objects.list(SCRATCH, this.key);
    checkOrder(behind.objects, this.key);
    return 'a new object is listed at once';
  }

  /** Puts an image where public access is allowed. Returns its key. */
  async putImage(bytes: Buffer): Promise<string> {
    const key = `${SCRATCH_IMAGES}${this.#id}.png`;
    const sha256 = createHash('sha256').update(bytes).digest('hex');
    const payload = { size: bytes.length, sha256, open: () => [bytes] };
    await this.#objects.putNew(key, payload, { ...HEADERS, contentType: 'image/png' });
    return key;
  }

  /** Also when nothing could be written, to find out whether the credentials may delete. */
  async delete(): Promise<CheckResult> {
    try {
      for (const key of new Set([this.key, ...this.#keys])) {
        await this.#objects.remove(key);
        if ((await readHeaders(this.#objects, key)) !== undefined) throw new Shortcoming('a deleted object stays');
        this.#keys.delete(key);
      }
    } catch (error) {
      if (this.#keys.size === 0 || !(error instanceof Shortcoming || error instanceof ObjectStoreError)) throw error;
      throw new Shortcoming(`${error.message}; remove what is left: ${[...this.#keys].join(', ')}`, { cause: error });
    }
    return 'what was written is gone';
  }

  /** Removes what an examination that ended early has left. */
  async discard(): Promise<void> {
    await Promise.allSettled([...this.#keys].map((key) => this.#objects.remove(key)));
  }

  #checkHeaders({ size, metadata }: StoredObject): void {
    if (size !== this.#text.length) throw new Shortcoming('a part of an object tells another size than the whole');
    if (isDeepStrictEqual(metadata, HEADERS.metadata)) return;
    throw new Shortcoming(
      'the metadata of an object gets lost (x-amz-meta-*): saves could not be told from each other',
    );
  }

  async #putText(key: string, text: string): Promise<string> {
    return (await this.#objects.putNew(key, payloadOf(text), HEADERS)).etag;
  }

  /** Notes the key, so that the object is removed. */
  async #put(objects: ObjectStore, key: string, payload: Payload, headers: ObjectHeaders): Promise<{ etag: string }> {
    try {
      const answer = await objects.putNew(key, payload, headers);
      this.#keys.add(key);
      return answer;
    } catch (error) {
      if (error instanceof ObjectStoreError && error.maybeApplied) this.#keys.add(key);
      throw error;
    }
  }

  async #replace(etag: string): Promise<void> {
    const text = `${this.#text}overwritten\n`;
    this.#etag = (await this.#objects.replaceIf(this.key, payloadOf(text), HEADERS, etag)).etag;
    this.#text = text;
  }
}
