/** What a test asked of a store and what it was answered: the promises that have to be found kept. */
import type {
  CleanupOptions,
  CleanupResult,
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
  delete(filename: string): Promise<boolean>;
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
  delete?: Answer;
  /** As they were asked for, in their order. */
  updates: { labels: Labels; answer: Answer }[];
}

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

  async save(store: Target, image: TestImage): Promise<{ filename: string }> {
    const entry: Entry = this.#entries.get(image.sha256) ?? { image, filename: '', save: 'refused', updates: [] };
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
    const entry = this.live().find((each) => each.filename === filename)!;
    const update: Entry['updates'][number] = { labels: labelsAfter(lastLabels(entry), changes), answer: 'asked' };
    entry.updates.push(update);
    try {
      await store.update(filename, changes);
      update.answer = acked();
    } catch (error) {
      if (isDefinite(error)) entry.updates.splice(entry.updates.indexOf(update), 1);
      throw error;
    }
  }

  async delete(store: Target, filename: string): Promise<boolean> {
    const entry = this.live().find((each) => each.filename === filename);
    if (entry) entry.delete = 'asked';
    try {
      const deleted = await store.delete(filename);
      if (entry) entry.delete = acked();
      return deleted;
    } catch (error) {
      if (entry && isDefinite(error)) delete entry.delete;
      throw error;
    }
  }

  async cleanup(store: Pick<Storage, 'cleanup'>, options: CleanupOptions): Promise<CleanupResult> {
    const candidates = this.live();
    for (const entry of candidates) entry.delete = 'asked';
    const result = await store.cleanup(options);
    for (const entry of candidates) {
      if (result.filenames.includes(entry.filename)) entry.delete = acked();
      else delete entry.delete;
    }
    return result;
  }

  /** Acknowledged images that nobody has asked to delete. */
  live(): Entry[] {
    return [...this.#entries.values()].filter((entry) => isAcked(entry.save) && entry.delete === undefined);
  }

  /** Images whose save has no answer yet. */
  unanswered(): TestImage[] {
    return [...this.#entries.values()].filter(({ save }) => save === 'asked').map(({ image }) => image);
  }

  /** How many saves, updates and deletes were acknowledged up to a moment. */
  ackedCount(untilNs?: bigint): number {
    return [...this.#entries.values()]
      .flatMap((entry) => [entry.save, entry.delete, ...entry.updates.map(({ answer }) => answer)])
      .filter((answer) => isAcked(answer, untilNs)).length;
  }

  /**
   * Whether an image has to be there, going by the answers up to a moment (default: all). What is not settled by then may
   * be there or not.
   */
  fateOf(sha256: string, untilNs?: bigint): 'present' | 'absent' | 'either' {
    const entry = this.#entries.get(sha256);
    if (entry === undefined || entry.save === 'refused') return 'absent';
    if (isAcked(entry.delete, untilNs)) return 'absent';
    return isAcked(entry.save, untilNs) && entry.delete === undefined ? 'present' : 'either';
  }

  /** What the labels of an image may be, going by the answers up to a moment: those of the last update, or of a later one. */
  labelsOf(sha256: string, untilNs?: bigint): Labels[] {
    const { image, updates } = this.#entries.get(sha256)!;
    const last = updates.findLastIndex(({ answer }) => isAcked(answer, untilNs));
    const later = updates.slice(last + 1).map(({ labels }) => labels);
    return [last === -1 ? savedLabels(image) : updates[last]!.labels, ...later];
  }

  /** The same so far; from here on each goes its own way. */
  copy(): Ledger {
    const copy = new Ledger();
    for (const [sha256, entry] of this.#entries) {
      copy.#entries.set(sha256, { ...entry, updates: entry.updates.map((update) => ({ ...update })) });
    }
    return copy;
  }

  /** Every image ever asked for, with the last name it is known by. */
  entries(): readonly Readonly<Entry>[] {
    return [...this.#entries.values()];
  }

  /** Takes what a reopened store shows as the answer to whatever had none: from now on it has to stay so. */
  settle(items: readonly StorageItem[], untilNs?: bigint): void {
    const found = new Map(items.map((item) => [item.sha256, item.filename]));
    for (const { sha256, pinned, metadata } of items) {
      const { category, tags } = metadata;
      const entry = this.#entries.get(sha256);
      if (entry !== undefined) entry.updates = [{ labels: { pinned, category, tags }, answer: acked() }];
    }
    for (const [sha256, entry] of this.#entries) {
      if (this.fateOf(sha256, untilNs) !== 'either') continue;
      const filename = found.get(sha256);
      entry.filename = filename ?? entry.filename;
      if (filename !== undefined) {
        entry.save = acked(entry.save);
        delete entry.delete;
      } else if (isAcked(entry.save, untilNs)) entry.delete = acked();
      else entry.save = 'refused';
    }
  }
}

function savedLabels({ metadata: { category = '', tags = [] }, options: { pinned = false } }: TestImage): Labels {
  return { pinned, category, tags };
}

function lastLabels({ image, updates }: Entry): Labels {
  return updates.at(-1)?.labels ?? savedLabels(image);
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
