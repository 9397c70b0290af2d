/** What a catalog means, without an index, and any steps and queries to compare one with it. */
import fc from 'fast-check';
import type { CatalogQuery, Change, Tombstone } from '../../src/storage/catalog/catalog.ts';
import type { CheckedChanges } from '../../src/storage/domain/changes.ts';
import { isModelSlug, modelSlug, utcDay } from '../../src/storage/domain/naming.ts';
import type { ImageRecord } from '../../src/storage/domain/record.ts';
import { deleteOf, insertOf, recordOf, T0 } from './catalogs.ts';

const DAY = 24 * 60 * 60 * 1000;

/** An insert of this record, or another change of one of those before. */
type Step = ImageRecord | { pick: number; changes?: CheckedChanges; kind?: 'delete' | 'trash' | 'restore' | 'purge' };

const WORDS = ['fox', 'foxes', 'red', 'Über'];
const MODELS = ['flux-schnell', 'FLUX schnell', 'sdxl', '猫', '犬'];
const anyWords = fc.array(fc.constantFrom(...WORDS), { maxLength: 3 });

const anyChanges: fc.Arbitrary<CheckedChanges> = fc.record({
  pinned: fc.option(fc.boolean(), { nil: undefined }),
  addTags: fc.subarray(['x', 'y']),
  removeTags: fc.subarray(['z']),
  category: fc.option(fc.constantFrom('', 'a', 'b'), { nil: undefined }),
});

export const anyStep: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.tuple(fc.nat(40), fc.nat(3), anyWords).chain(([id, hours, words]) => anyRecord(id, hours, words)),
  },
  {
    weight: 2,
    arbitrary: fc.record({ pick: fc.nat(40), kind: fc.constantFrom('delete', 'trash', 'trash', 'restore', 'purge') }),
  },
  { weight: 2, arbitrary: fc.record({ pick: fc.nat(40), changes: anyChanges }) },
);

function anyRecord(id: number, hours: number, words: string[]): fc.Arbitrary<ImageRecord> {
  return fc
    .record({
      model: fc.constantFrom(...MODELS),
      category: fc.constantFrom('', 'a', 'b'),
      tags: fc.uniqueArray(fc.constantFrom('x', 'y', 'z')),
      pinned: fc.boolean(),
      idempotencyKey: fc.constantFrom('', '', `key-${id % 5}`),
    })
    .map((given) => recordOf(id, { ...given, timestamp: T0 + hours * (DAY / 2), prompt: words.join(', ') }));
}

/** Rarely, since each one that is there leaves fewer images: all together would leave none. */
const maybe = <T>(arbitrary: fc.Arbitrary<T>) =>
  fc.oneof({ weight: 3, arbitrary: fc.constant(undefined) }, { weight: 1, arbitrary });
export const anyQuery = fc.record({
  limit: fc.integer({ min: 1, max: 7 }),
  maxBytes: fc.constantFrom(1, 3000, 1 << 20),
  query: fc.record({
    order: fc.constantFrom<CatalogQuery['order']>('newest', 'oldest'),
    model: maybe(fc.constantFrom(...MODELS, 'unknown')),
    category: maybe(fc.constantFrom('', 'a', 'b')),
    tags: maybe(fc.subarray(['x', 'y'])),
    pinned: maybe(fc.boolean()),
    query: maybe(fc.constantFrom('', 'fo', 'fox', 'foxes red', 'uber', 'none')),
    start: maybe(fc.nat(3).map((hours) => T0 + hours * (DAY / 2))),
    end: maybe(fc.nat(4).map((hours) => T0 + hours * (DAY / 2))),
  }),
});

export class CatalogModel {
  readonly #live: ImageRecord[] = [];
  /** The last deleted last. */
  readonly #trashed: ImageRecord[] = [];
  readonly #deleted: Pick<Tombstone, 'record'>[] = [];
  readonly #seen: ImageRecord[] = [];
  #clock = T0;

  changeOf(step: Step): Change {
    if (!('pick' in step)) return insertOf(step);
    const { pick, changes, kind = 'delete' } = step;
    const picked = this.#seen[pick % Math.max(this.#seen.length, 1)] ?? recordOf(pick);
    const { filename } = picked;
    if (changes !== undefined) return { kind: 'update', filename, changes, above: 0, time: T0 };
    this.#clock += 1;
    if (kind === 'restore') return { kind, filename, time: this.#clock };
    if (kind === 'purge') return { kind, filename, deleteTime: this.#clock };
    const times = { deleteTime: this.#clock, ...(kind === 'trash' && { purgeTime: this.#clock + DAY }) };
    return deleteOf(picked, { sparePinned: pick % 2 === 0, ...times });
  }

  apply(change: Change): boolean {
    if (change.kind === 'insert') return this.#insert(change.record);
    const index = this.#live.findIndex(({ filename }) => filename === change.filename);
    if (change.kind === 'update') return this.#update(index, change.changes);
    if (change.kind !== 'delete') return this.#fromTrash(change);
    if (index === -1 || (change.sparePinned && this.#live[index]!.pinned)) return false;
    const [record] = this.#live.splice(index, 1);
    if (change.purgeTime === undefined) this.#deleted.push({ record: record! });
    else this.#trashed.push(record!);
    return true;
  }

  #fromTrash({ kind, filename }: Exclude<Change, { kind: 'insert' }>): boolean {
    const index = this.#trashed.findIndex((record) => record.filename === filename);
    if (index === -1) return false;
    if (kind === 'restoring') return true;
    const [record] = this.#trashed.splice(index, 1);
    if (kind === 'purge') this.#deleted.push({ record: record! });
    else this.#live.push({ ...record!, revision: (record!.revision ?? 0) + 1 });
    return true;
  }

  trash({ query = '' }: Pick<CatalogQuery, 'query'>): ImageRecord[] {
    const wanted = query.toLowerCase().split(' ').filter(Boolean);
    return this.#trashed.filter(({ prompt }) => hasWords(prompt, wanted)).reverse();
  }

  #update(index: number, { pinned, addTags, removeTags, category }: CheckedChanges): boolean {
    const record = this.#live[index];
    if (record === undefined) return false;
    const tags = record.tags.filter((tag) => !removeTags.includes(tag));
    tags.push(...addTags.filter((tag) => !tags.includes(tag)));
    const labels = { pinned: pinned ?? record.pinned, category: category ?? record.category, tags };
    const isChanged = Object.entries(labels).some(
      ([name, label]) => `${label}` !== `${record[name as keyof typeof labels]}`,
    );
    if (isChanged) this.#live[index] = { ...record, ...labels, revision: (record.revision ?? 0) + 1 };
    return true;
  }

  #insert(record: ImageRecord): boolean {
    const known = [...this.#live, ...this.#trashed, ...this.#deleted.map((tombstone) => tombstone.record)];
    this.#seen.push(record);
    if (known.some(({ filename }) => filename === record.filename)) return false;
    if (record.idempotencyKey && known.some(({ idempotencyKey }) => idempotencyKey === record.idempotencyKey))
      return false;
    this.#live.push(record);
    return true;
  }

  deletedFilenames(): string[] {
    return this.#deleted.map(({ record }) => record.filename).sort();
  }

  list({ order, model, category, tags = [], pinned, query = '', start = -Infinity, end = Infinity }: CatalogQuery) {
    const wanted = query.toLowerCase().split(' ').filter(Boolean);
    const hits = this.#live.filter((record) => {
      return (
        (!model || record.model === model || (isModelSlug(model) && modelSlug(record.model) === model)) &&
        (!category || record.category === category) &&
        tags.every((tag) => record.tags.includes(tag)) &&
        (pinned === undefined || record.pinned === pinned) &&
        record.timestamp >= start &&
        record.timestamp < end &&
        hasWords(record.prompt, wanted)
      );
    });
    hits.sort((a, b) => a.timestamp - b.timestamp || (a.filename < b.filename ? -1 : 1));
    return order === 'newest' ? hits.reverse() : hits;
  }

  statistics() {
    const times = this.#live.map(({ timestamp }) => timestamp).sort((a, b) => a - b);
    const byBytes = (a: { name: string; bytes: number }, b: { name: string; bytes: number }) =>
      b.bytes - a.bytes || Buffer.compare(Buffer.from(a.name), Buffer.from(b.name));
    return {
      count: this.#live.length,
      bytes: sum(this.#live),
      pinnedCount: this.#live.filter(({ pinned }) => pinned).length,
      trashCount: this.#trashed.length,
      trashBytes: sum(this.#trashed),
      ...(times.length > 0 && { oldest: times[0], newest: times.at(-1) }),
      byModel: this.#groups(({ model }) => model).sort(byBytes),
      byCategory: this.#groups(({ category }) => category).sort(byBytes),
      byDate: this.#groups(({ timestamp }) => utcDay(timestamp)).sort((a, b) => (a.name < b.name ? 1 : -1)),
    };
  }

  #groups(nameOf: (record: ImageRecord) => string) {
    const groups = Object.groupBy(this.#live, nameOf);
    return Object.entries(groups).map(([name, records = []]) => ({
      name,
      count: records.length,
      bytes: sum(records),
      rest: false,
    }));
  }
}

function sum(records: ImageRecord[]): number {
  return records.reduce((bytes, { size }) => bytes + size, 0);
}

/** Whether each of the words begins one of the prompt's. */
function hasWords(prompt: string, wanted: readonly string[]): boolean {
  const words = prompt.toLowerCase().replace('ü', 'u').split(', ');
  return wanted.every((word) => words.some((candidate) => candidate.startsWith(word)));
}
