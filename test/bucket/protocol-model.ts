/** What is known of one image from the answers to all that was asked about it, and what a store must then show. */
import { expect } from 'vitest';
import { StorageError, type StorageProvider } from '../../src/storage/index.ts';
import { collect, sha256Of } from '../support/bytes.ts';
import { imageOf, type TestImage } from '../support/ledger.ts';
import { type Deed, Fate, type TrashRule } from './image-fate.ts';

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

/** What a bucket holds of an image, by filename. */
export interface Held {
  live: string[];
  trashed: string[];
  deleted: string[];
  /** Of the one in the trash. */
  purgeTime?: number | undefined;
}

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
  readonly #fate: Fate;
  /** Those whose updates were acknowledged, and all that were asked for. */
  readonly #tags = new Set<string>();
  readonly #tagsAsked = new Set<string>();
  /** Daemons that have told of it, and nobody anything else since: whatever they list has to agree. */
  readonly #told = new Map<StorageProvider, 'saved' | 'deleted'>();
  #wasDeleted = false;

  constructor(number: number, keyed: boolean, trash?: TrashRule) {
    this.#fate = new Fate(trash);
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
    return this.filename !== undefined && this.#fate.isLive;
  }

  /** Whether it may be there though nothing was acknowledged. */
  get mayBeSaved(): boolean {
    return this.filename !== undefined || this.#savesOpen > 0;
  }

  async save(call: Call, image: TestImage): Promise<void> {
    this.#tried.add(image);
    this.#savesOpen += 1;
    const [isKnown, wasLive, wasGone, changed] = [
      this.filename !== undefined,
      this.isLive,
      this.#fate.isSurely('trashed', 'gone'),
      this.#fate.watch(),
    ];
    try {
      const saved = await call(async (provider) => {
        const answer = await provider.save(image.bytes, image.metadata, image.options);
        if (!this.#wasDeleted) this.#told.set(provider, 'saved');
        return answer;
      });
      expect(saved.filename, 'one name for one key').toBe(this.filename ?? saved.filename);
      expect(saved.metadata.prompt).toBe((this.#image ?? image).metadata.prompt);
      expect(saved.metadata.prompt, 'the metadata of the call').toBe(image.metadata.prompt);
      if (isKnown && !changed() && (wasLive || wasGone)) expect(saved.deleted, 'told of its delete').toBe(wasGone);
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
    const [tag, before, seen] = [`tag${this.#tagsAsked.size}`, [...this.#tags], this.#look()];
    this.#tagsAsked.add(tag);
    try {
      const { metadata } = await call((provider) => provider.update(filename, { addTags: [tag], pinned }));
      expect(seen.mayBeLive(), 'updated after its delete').toBe(true);
      expect(metadata.tags).toEqual(expect.arrayContaining([...before, tag]));
      this.#tags.add(tag);
    } catch (error) {
      const { reason } = failureOf(error);
      if (reason === 'IMAGE_NOT_FOUND') expect(seen.mustBeLive(), 'not found though it is there').toBe(false);
      else expect(['Died', ...BACKEND]).toContain(reason);
    }
  }

  /** Whether the image may, or must, be live at some time between now and when it is asked. */
  #look(): { mayBeLive: () => boolean; mustBeLive: () => boolean } {
    const [couldBeLive, wasLive, changed] = [!this.#fate.isSurely('trashed', 'gone'), this.isLive, this.#fate.watch()];
    return { mayBeLive: () => couldBeLive || changed(), mustBeLive: () => wasLive && !changed() };
  }

  delete(call: Call): Promise<void> {
    return this.#do(call, 'delete', (provider, filename) => provider.delete(filename));
  }

  destroy(call: Call): Promise<void> {
    return this.#do(call, 'destroy', (provider, filename) => provider.delete(filename, { permanent: true }));
  }

  restore(call: Call): Promise<void> {
    return this.#do(call, 'restore', async (provider, filename) => {
      await provider.restore(filename);
      return true;
    });
  }

  purge(call: Call): Promise<void> {
    return this.#do(call, 'purge', async (provider, filename) => {
      return (await provider.purge({ filenames: [filename] })).count === 1;
    });
  }

  async #do(
    call: Call,
    deed: Deed,
    work: (provider: StorageProvider, filename: string) => Promise<boolean>,
  ): Promise<void> {
    const { filename } = this;
    if (filename === undefined) return;
    const begun = this.#fate.begin(deed);
    this.#wasDeleted = true;
    this.#told.clear();
    const isDisturbed = this.#fate.watch();
    try {
      const done = await call(async (provider) => {
        const answer = await work(provider, filename);
        if (answer && !isDisturbed()) this.#told.set(provider, deed === 'restore' ? 'saved' : 'deleted');
        return answer;
      });
      this.#fate.end(begun, done ? 'done' : 'refused');
    } catch (error) {
      const { reason, unknown } = failureOf(error);
      const isRefused = deed === 'restore' && ['IMAGE_NOT_FOUND', 'NOT_DELETED'].includes(reason);
      if (isRefused) this.#fate.end(begun, 'refused');
      else if (!unknown) this.#fate.drop(begun);
      if (!isRefused) expect(['Died', ...BACKEND]).toContain(reason);
    }
  }

  /** With or without the bytes. */
  async get(call: Call, whole: boolean): Promise<void> {
    const { filename } = this;
    if (filename === undefined) return;
    const seen = this.#look();
    const tags = [...this.#tags];
    try {
      const [item, bytes] = await call(async (provider) => {
        const image = await provider.get(filename);
        return [image.item, whole ? await collect(image.body) : undefined];
      });
      expect(seen.mayBeLive(), 'shown after its delete').toBe(true);
      expect(item.metadata.prompt).toBe(this.#image?.metadata.prompt);
      expect(item.metadata.tags).toEqual(expect.arrayContaining(tags));
      if (bytes) expect(sha256Of(bytes)).toBe(this.#image?.sha256);
    } catch (error) {
      const { reason } = failureOf(error);
      if (reason === 'IMAGE_NOT_FOUND') expect(seen.mustBeLive(), 'not found though it is there').toBe(false);
      else expect(['Died', ...BACKEND]).toContain(reason);
    }
  }

  /** What a daemon has said of it, so that what it lists from now on has to agree. */
  toldBy(provider: StorageProvider): 'saved' | 'deleted' | 'nothing' {
    const told = this.#told.get(provider);
    const isSure = told === 'saved' ? this.isLive : this.#fate.isSurely('trashed', 'gone');
    return told !== undefined && isSure ? told : 'nothing';
  }

  /**
   * Compares with what a bucket holds once nothing is under way; what was open is settled by it, and has to stay so.
   */
  settle({ live, trashed, deleted, purgeTime }: Held): void {
    const of = `${this.key || this.variants[0]!.metadata.prompt}: live ${live}, in the trash ${trashed}, deleted ${deleted}`;
    const found = [...live, ...trashed, ...deleted];
    expect(found.length, `one image at most of ${of}`).toBeLessThanOrEqual(1);
    if (this.isLive) expect(live, `kept: ${of}`).toEqual([this.filename]);
    if (!this.mayBeSaved) expect(found, `never saved: ${of}`).toEqual([]);
    this.#savesOpen = 0;
    const state = live.length > 0 ? 'live' : trashed.length > 0 ? 'trashed' : 'gone';
    this.filename ??= found[0];
    if (this.filename === undefined) return;
    expect([...this.#fate.possible], of).toContain(state);
    this.#fate.settle(state, purgeTime);
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
