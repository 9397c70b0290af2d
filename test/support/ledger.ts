/** What a test asked of a store and what it was answered: the promises that have to be found kept. */
import type {
  CleanupOptions,
  CleanupResult,
  DeleteOptions,
  ImageChanges,
  ImageMetadata,
  SaveOptions,
  Storage,
  StorageItem,
} from '../../src/storage/index.ts';
import { sha256Of } from './bytes.ts';
import { pngOf } from './images.ts';

export interface TestImage {
  bytes: Buffer;
  sha256: string;
  metadata: ImageMetadata & { timestamp: Date };
  /** What the store reads from the file. */
  filled?: Partial<ImageMetadata>;
  options: SaveOptions;
}

/** The part of a store, in whatever process, that a ledger writes down. */
export interface Target {
  save(bytes: Uint8Array, metadata: ImageMetadata, options?: SaveOptions): Promise<{ filename: string }>;
  update(filename: string, changes: ImageChanges): Promise<unknown>;
  delete(filename: string, options?: DeleteOptions): Promise<boolean>;
}

/** One with a trash. */
export interface TrashTarget extends Target {
  restore(filename: string): Promise<unknown>;
  /** Purges this image. */
  purge(filename: string): Promise<unknown>;
}

/** Where an image is. */
export type Place = 'live' | 'trashed' | 'gone';

export interface LedgerOptions {
  /** Whether the store has a trash; with `gives way`, its images may be purged before their time. Default: it has none. */
  trash?: boolean | 'gives way';
}

/** What an update may change. */
export interface Labels {
  pinned: boolean;
  category: string;
  tags: string[];
}

/** `asked`: no answer, or one that leaves it open. */
type Answer = 'asked' | 'refused' | { ackedAtNs: bigint };

interface Entry {
  image: TestImage;
  filename: string;
  save: Answer;
  /** Deletes, restores and purges, one after the other, with where the image may be after each. */
  steps: { to: Place[]; answer: Answer }[];
  /** As they were asked for, in their order, with what the labels may be after each. */
  updates: { labels: Labels[]; answer: Answer }[];
}

export type LedgerEntry = Readonly<Entry>;

const FIRST_TIMESTAMP = Date.UTC(2024, 8, 27, 14, 15, 22);
const MODELS = ['flux-schnell', 'FLUX.1 [dev]', 'sdxl'];

/** A small PNG, another for each number, which may name its model, with metadata that leaves no field out. */
export function imageOf(
  number: number,
  { sizeBytes = 8_000, fileModel, ...options }: SaveOptions & { sizeBytes?: number; fileModel?: string } = {},
): TestImage {
  const text: Record<string, string> = fileModel ? { parameters: `Steps: 4, Model: ${fileModel}` } : {};
  const bytes = pngOf({ width: 8, height: 8, seed: number, sizeBytes, text });
  const metadata = {
    prompt: `image number${number}`,
    model: fileModel === undefined ? MODELS[number % MODELS.length]! : '',
    timestamp: new Date(FIRST_TIMESTAMP + number * 1000),
    category: number % 2 === 0 ? 'even' : 'odd',
    tags: ['test', `tag${number % 3}`],
    parametersJson: `{"seed": 18446744073709551615, "number": ${number}}`,
  };
  const filled = fileModel === undefined ? {} : { model: fileModel };
  const sent = { idempotencyKey: `key-${number}`, ...options };
  return { bytes, sha256: sha256Of(bytes), metadata, filled, options: sent };
}

/** Images are told apart by their sha256, so that each may be asked for under one name only. */
export class Ledger {
  readonly #entries = new Map<string, Entry>();
  readonly #trash: NonNullable<LedgerOptions['trash']>;

  constructor({ trash = false }: LedgerOptions = {}) {
    this.#trash = trash;
  }

  get hasTrash(): boolean {
    return this.#trash !== false;
  }

  async save(store: Target, image: TestImage): Promise<{ filename: string }> {
    const entry: Entry = this.#entries.get(image.sha256) ?? {
      image,
      filename: '',
      save: 'refused',
      steps: [],
      updates: [],
    };
    this.#entries.set(image.sha256, entry);
    const before = entry.save;
    if (before === 'refused') entry.save = 'asked';
    try {
      const saved = await store.save(image.bytes, image.metadata, image.options);
      entry.filename = saved.filename;
      entry.save = acked(before);
      return saved;
    } catch (error) {
      // A plain refusal of this attempt tells nothing of an earlier one.
      if (isDefinite(error)) entry.save = before;
      throw error;
    }
  }

  /** One at a time for each image. */
  async update(store: Target, filename: string, changes: ImageChanges): Promise<void> {
    const entry = this.#known(filename)!;
    const before = this.labelsOf(entry.image.sha256);
    const update: Entry['updates'][number] = {
      labels: before.map((labels) => labelsAfter(labels, changes)),
      answer: 'asked',
    };
    entry.updates.push(update);
    try {
      await store.update(filename, changes);
      update.answer = acked();
    } catch (error) {
      if (isDefinite(error)) entry.updates.splice(entry.updates.indexOf(update), 1);
      throw error;
    }
  }

  async delete(store: Target, filename: string, { permanent = false }: DeleteOptions = {}): Promise<boolean> {
    const to = permanent ? (['gone'] as const) : this.#afterDelete();
    return this.#step(filename, to, () => (permanent ? store.delete(filename, { permanent }) : store.delete(filename)));
  }

  async restore(store: Pick<TrashTarget, 'restore'>, filename: string): Promise<void> {
    await this.#step(filename, ['live'], () => store.restore(filename));
  }

  async purge(store: Pick<TrashTarget, 'purge'>, filename: string): Promise<void> {
    await this.#step(filename, ['gone'], () => store.purge(filename));
  }

  /** One at a time for each image; one of an image that is not known to be there is not written down. */
  async #step<T>(filename: string, to: readonly Place[], work: () => Promise<T>): Promise<T> {
    const entry = this.#known(filename);
    const step: Entry['steps'][number] = { to: [...to], answer: 'asked' };
    entry?.steps.push(step);
    try {
      const result = await work();
      step.answer = acked();
      return result;
    } catch (error) {
      if (isDefinite(error)) entry?.steps.splice(entry.steps.indexOf(step), 1);
      throw error;
    }
  }

  async cleanup(store: Pick<Storage, 'cleanup'>, options: CleanupOptions): Promise<CleanupResult> {
    const candidates = this.live().map((entry) => {
      const step: Entry['steps'][number] = { to: this.#afterDelete(), answer: 'asked' };
      entry.steps.push(step);
      return { entry, step };
    });
    const result = await store.cleanup(options);
    for (const { entry, step } of candidates) {
      if (result.filenames.includes(entry.filename)) step.answer = acked();
      else entry.steps.splice(entry.steps.indexOf(step), 1);
    }
    return result;
  }

  /** Returns the image of this name, if all that was asked of it has its answer. */
  #known(filename: string): Entry | undefined {
    return [...this.#entries.values()].find((entry) => entry.filename === filename && placeOf(entry) !== undefined);
  }

  #afterDelete(): Place[] {
    if (this.#trash === false) return ['gone'];
    return this.#trash === 'gives way' ? ['trashed', 'gone'] : ['trashed'];
  }

  /** Acknowledged images that nobody has asked to delete, or whose restore was acknowledged. */
  live(): Entry[] {
    return this.#in('live');
  }

  /** Images whose delete was acknowledged, and which nobody has asked to restore or to purge. */
  trashed(): Entry[] {
    return this.#in('trashed');
  }

  #in(place: Place): Entry[] {
    return [...this.#entries.values()].filter((entry) => placeOf(entry) === place);
  }

  /** Images whose save has no answer yet. */
  unanswered(): TestImage[] {
    return [...this.#entries.values()].filter(({ save }) => save === 'asked').map(({ image }) => image);
  }

  /** How many saves, updates, deletes, restores and purges were acknowledged up to a moment. */
  ackedCount(untilNs?: bigint): number {
    return [...this.#entries.values()]
      .flatMap(({ save, steps, updates }) => [save, ...[...steps, ...updates].map(({ answer }) => answer)])
      .filter((answer) => isAcked(answer, untilNs)).length;
  }

  /**
   * Whether an image has to be there, going by the answers up to a moment (default: all). What is not settled by then may
   * be there or not.
   */
  fateOf(sha256: string, untilNs?: bigint): 'present' | 'absent' | 'either' {
    const places = this.placesOf(sha256, untilNs);
    if (!places.includes('live')) return 'absent';
    return places.length === 1 ? 'present' : 'either';
  }

  /** Where an image may be, going by the answers up to a moment: where the last one has it, or a later request. */
  placesOf(sha256: string, untilNs?: bigint): Place[] {
    const entry = this.#entries.get(sha256);
    if (entry === undefined || entry.save === 'refused') return ['gone'];
    const { save, steps } = entry;
    const last = steps.findLastIndex(({ answer }) => isAcked(answer, untilNs));
    const later = steps.slice(last + 1).flatMap(({ to }) => to);
    const saved: Place[] = isAcked(save, untilNs) ? ['live'] : ['live', 'gone'];
    return [...new Set([...(last === -1 ? saved : steps[last]!.to), ...later])];
  }

  /** What the labels of an image may be, going by the answers up to a moment: those of the last update, or of a later one. */
  labelsOf(sha256: string, untilNs?: bigint): Labels[] {
    const { image, updates } = this.#entries.get(sha256)!;
    const last = updates.findLastIndex(({ answer }) => isAcked(answer, untilNs));
    const later = updates.slice(last + 1).flatMap(({ labels }) => labels);
    return [...(last === -1 ? [savedLabels(image)] : updates[last]!.labels), ...later];
  }

  /** The same so far; from here on each goes its own way. */
  copy(): Ledger {
    const copy = new Ledger({ trash: this.#trash });
    for (const [sha256, entry] of this.#entries) {
      const [steps, updates] = [entry.steps.map((step) => ({ ...step })), entry.updates.map((each) => ({ ...each }))];
      copy.#entries.set(sha256, { ...entry, steps, updates });
    }
    return copy;
  }

  /** Every image ever asked for, with the last name it is known by. */
  entries(): readonly LedgerEntry[] {
    return [...this.#entries.values()];
  }

  /**
   * Takes what a reopened store shows, live and in its trash, as the answer to whatever had none: from now on it has to stay
   * so.
   */
  settle(live: readonly StorageItem[], trashed: readonly StorageItem[], untilNs?: bigint): void {
    const found = new Map<string, { place: Place; item: StorageItem }>([
      ...trashed.map((item) => [item.sha256, { place: 'trashed', item }] as const),
      ...live.map((item) => [item.sha256, { place: 'live', item }] as const),
    ]);
    for (const [sha256, entry] of this.#entries) {
      const { place, item } = found.get(sha256) ?? { place: 'gone' };
      if (item !== undefined) entry.updates = [{ labels: [labelsFound(item)], answer: acked() }];
      const places = this.placesOf(sha256, untilNs);
      if (places.length === 1 || !places.includes(place)) continue;
      entry.filename = item?.filename ?? entry.filename;
      const wasSaved = place !== 'gone' || isAcked(entry.save, untilNs);
      entry.save = wasSaved ? acked(entry.save) : 'refused';
      entry.steps = wasSaved ? [{ to: [place], answer: acked() }] : [];
    }
  }
}

/** Returns where an image is; undefined while something that was asked of it has no answer. */
function placeOf({ save, steps }: Entry): Place | undefined {
  const isSettled = isAcked(save) && steps.every(({ answer }) => isAcked(answer));
  return isSettled ? (steps.at(-1)?.to[0] ?? 'live') : undefined;
}

function labelsFound({ pinned, metadata: { category, tags } }: StorageItem): Labels {
  return { pinned, category, tags };
}

function savedLabels({ metadata: { category = '', tags = [] }, options: { pinned = false } }: TestImage): Labels {
  return { pinned, category, tags };
}

function labelsAfter(labels: Labels, { pinned, category, addTags = [], removeTags = [] }: ImageChanges): Labels {
  const tags = new Set([...labels.tags.filter((tag) => !removeTags.includes(tag)), ...addTags]);
  return { pinned: pinned ?? labels.pinned, category: category ?? labels.category, tags: [...tags] };
}

function acked(before?: Answer): Answer {
  return typeof before === 'object' ? before : { ackedAtNs: process.hrtime.bigint() };
}

function isAcked(answer: Answer | undefined, untilNs?: bigint): boolean {
  return typeof answer === 'object' && (untilNs === undefined || answer.ackedAtNs < untilNs);
}

/** A refusal that promises that nothing happened, from a store or from a client. */
function isDefinite(error: unknown): boolean {
  const { reason, outcomeUnknown } = error as { reason?: string; outcomeUnknown?: boolean };
  return reason !== undefined && outcomeUnknown === false;
}
