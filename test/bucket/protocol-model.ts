/** What is known of one image from the answers to all that was asked about it, and what a store must then show. */
import { expect } from 'vitest';
import { StorageError, type StorageProvider } from '../../src/storage/index.ts';
import { collect, sha256Of } from '../support/bytes.ts';
import { imageOf, type TestImage } from '../support/ledger.ts';

/** What a call came to, when not to an answer; `unknown` also where its daemon died. */
type Failure = { reason: string; unknown: boolean };

export type Call = <T>(work: (provider: StorageProvider) => Promise<T>) => Promise<T>;

/** The daemon died before it answered. */
export class Died extends Error {
  override readonly name = 'Died';
}

/** Beside those of the save. */
const MAX_TAGS = 60;
const BACKEND = ['BACKEND_UNAVAILABLE', 'BACKEND_AUTH'];

/** An image that is saved again and again with one idempotency key, or once without. */
export class Subject {
  readonly key: string;
  /** The second has other metadata under the same key, the third other bytes, too. */
  readonly variants: TestImage[];
  /** What was acknowledged. */
  filename: string | undefined;
  #image: TestImage | undefined;
  #tried = new Set<TestImage>();
  #savesOpen = 0;
  #deletesOpen = 0;
  #deleted = false;
  /** Those whose updates were acknowledged, and all that were asked for. */
  readonly #tags = new Set<string>();
  readonly #tagsAsked = new Set<string>();
  /** Daemons that have told of it: whatever they list has to agree. */
  readonly #savedBy = new Set<StorageProvider>();
  readonly #deletedBy = new Set<StorageProvider>();

  constructor(number: number, keyed: boolean) {
    this.key = keyed ? `key-${number}` : '';
    const image = imageOf(number, { sizeBytes: 400, idempotencyKey: this.key });
    const prompt = `${image.metadata.prompt}, again`;
    const otherWords = { ...image, metadata: { ...image.metadata, prompt } };
    const otherBytes = {
      ...imageOf(-number, { sizeBytes: 400, idempotencyKey: this.key }),
      metadata: { ...image.metadata, prompt },
    };
    this.variants = keyed ? [image, otherWords, otherBytes] : [image];
  }

  get isLive(): boolean {
    return this.filename !== undefined && !this.#deleted && this.#deletesOpen === 0;
  }

  /** Whether it may be there though nothing was acknowledged. */
  get mayBeSaved(): boolean {
    return this.filename !== undefined || this.#savesOpen > 0;
  }

  async save(call: Call, image: TestImage): Promise<void> {
    this.#tried.add(image);
    this.#savesOpen += 1;
    try {
      const saved = await call(async (provider) => {
        const answer = await provider.save(image.bytes, image.metadata, image.options);
        this.#savedBy.add(provider);
        return answer;
      });
      expect(saved.filename, 'one name for one key').toBe(this.filename ?? saved.filename);
      expect(saved.metadata.prompt).toBe((this.#image ?? image).metadata.prompt);
      expect(saved.metadata.prompt, 'the metadata of the call').toBe(image.metadata.prompt);
      this.filename = saved.filename;
      this.#image = image;
      this.#savesOpen -= 1;
    } catch (error) {
      const { reason, unknown } = failureOf(error);
      if (!unknown) this.#savesOpen -= 1;
      if (reason === 'IDEMPOTENCY_KEY_REUSED') expect(this.#tried.size, 'tried with other metadata').toBeGreaterThan(1);
      else expect(['Died', ...BACKEND]).toContain(reason);
    }
  }

  /** Adds another tag, and pins the image or not. */
  async update(call: Call, pinned: boolean): Promise<void> {
    const { filename } = this;
    if (filename === undefined || this.#tagsAsked.size === MAX_TAGS) return;
    const [tag, before, wasDeleted] = [`tag${this.#tagsAsked.size}`, [...this.#tags], this.#deleted];
    this.#tagsAsked.add(tag);
    try {
      const { metadata } = await call((provider) => provider.update(filename, { addTags: [tag], pinned }));
      expect(wasDeleted, 'updated after its delete').toBe(false);
      expect(metadata.tags).toEqual(expect.arrayContaining([...before, tag]));
      this.#tags.add(tag);
    } catch (error) {
      const { reason } = failureOf(error);
      if (reason === 'IMAGE_NOT_FOUND') expect(this.isLive, 'not found though it is there').toBe(false);
      else expect(['Died', ...BACKEND]).toContain(reason);
    }
  }

  async delete(call: Call): Promise<void> {
    const { filename } = this;
    if (filename === undefined) return;
    const wasDeleted = this.#deleted;
    this.#deletesOpen += 1;
    try {
      const deleted = await call(async (provider) => {
        const answer = await provider.delete(filename);
        if (answer) this.#deletedBy.add(provider);
        return answer;
      });
      this.#deletesOpen -= 1;
      if (deleted) expect(wasDeleted || this.#deleted, 'deleted twice').toBe(false);
      else expect(this.#deleted || this.#deletesOpen > 0, 'not found though it was there').toBe(true);
      this.#deleted ||= deleted;
    } catch (error) {
      const { reason, unknown } = failureOf(error);
      if (!unknown) this.#deletesOpen -= 1;
      expect(['Died', ...BACKEND]).toContain(reason);
    }
  }

  /** With or without the bytes. */
  async get(call: Call, whole: boolean): Promise<void> {
    const { filename } = this;
    if (filename === undefined) return;
    const wasDeleted = this.#deleted;
    const tags = [...this.#tags];
    try {
      const [item, bytes] = await call(async (provider) => {
        const image = await provider.get(filename);
        return [image.item, whole ? await collect(image.body) : undefined];
      });
      expect(wasDeleted, 'shown after its delete').toBe(false);
      expect(item.metadata.prompt).toBe(this.#image?.metadata.prompt);
      expect(item.metadata.tags).toEqual(expect.arrayContaining(tags));
      if (bytes) expect(sha256Of(bytes)).toBe(this.#image?.sha256);
    } catch (error) {
      const { reason } = failureOf(error);
      if (reason === 'IMAGE_NOT_FOUND') expect(this.isLive, 'not found though it is there').toBe(false);
      else expect(['Died', ...BACKEND]).toContain(reason);
    }
  }

  /** What a daemon has said of it, so that what it lists from now on has to agree. */
  toldBy(provider: StorageProvider): 'saved' | 'deleted' | 'nothing' {
    if (this.#deleted) return this.#deletedBy.has(provider) ? 'deleted' : 'nothing';
    return this.isLive && this.#savedBy.has(provider) ? 'saved' : 'nothing';
  }

  /**
   * Compares with what a bucket holds once nothing is under way; what was open is settled by it, and has to stay so.
   */
  settle({ live, deleted }: { live: string[]; deleted: string[] }): void {
    const of = `${this.key || this.variants[0]!.metadata.prompt}: live ${live}, deleted ${deleted}`;
    expect(live.length + deleted.length, `one image at most of ${of}`).toBeLessThanOrEqual(1);
    if (this.isLive) expect(live, `kept: ${of}`).toEqual([this.filename]);
    if (this.#deleted) expect(live, `gone: ${of}`).toEqual([]);
    if (!this.mayBeSaved) expect(live, `never saved: ${of}`).toEqual([]);
    this.filename ??= live[0] ?? deleted[0];
    this.#deleted ||= this.filename !== undefined && live.length === 0;
    this.#savesOpen = 0;
    this.#deletesOpen = 0;
  }

  /** The variant that won, once it is known which, with the tags of all updates that were acknowledged. */
  knownAs(prompt: string, sha: string, tags: readonly string[]): void {
    expect(tags, 'no update lost').toEqual(expect.arrayContaining([...this.#tags]));
    const saved = this.variants[0]!.metadata.tags ?? [];
    expect([...saved, ...this.#tagsAsked], 'asked for').toEqual(expect.arrayContaining([...tags]));
    this.#image ??= this.variants.find((image) => image.metadata.prompt === prompt && image.sha256 === sha);
    expect([this.#image?.metadata.prompt, this.#image?.sha256]).toEqual([prompt, sha]);
  }
}

function failureOf(error: unknown): Failure {
  if (error instanceof Died) return { reason: 'Died', unknown: true };
  if (error instanceof StorageError) return { reason: error.reason, unknown: error.outcomeUnknown };
  throw error;
}
