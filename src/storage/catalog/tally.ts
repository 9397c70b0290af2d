/** Collects the count and size of images, in total and by group. */
import { addTo, MAX_GROUPS, rankGroups, type Sum } from '../domain/groups.ts';
import type { GroupStatistics } from '../domain/requests.ts';
import type { CatalogTotals, Grouping } from './catalog.ts';
import { fold } from './search-text.ts';

/** Between this and MAX_GROUPS, the groups of fewest images are summed up. */
const MAX_KEPT = 2 * MAX_GROUPS;
/** The same of all their names together; an answer has room for 1 MiB. */
const MAX_KEPT_CHARS = 4 * 1024 * 1024;

export class Tally {
  readonly #grouping: Grouping;
  readonly #prefix: string;
  #groups = new Map<string, GroupStatistics>();
  #nameChars = 0;
  readonly #rest: Sum = { count: 0, bytes: 0 };
  readonly #total: Sum & { oldest?: number; newest?: number } = { count: 0, bytes: 0 };

  constructor(grouping: Grouping) {
    this.#grouping = grouping;
    this.#prefix = fold(grouping.startsWith ?? '');
  }

  get groupCount(): number {
    return this.#groups.size;
  }

  addImage(timestamp: number, size: number): void {
    this.add({ count: 1, bytes: size });
    this.addTime(timestamp);
  }

  add(sum: Sum): void {
    addTo(this.#total, sum);
  }

  addTime(timestamp: number | undefined): void {
    if (timestamp === undefined) return;
    const { oldest = timestamp, newest = timestamp } = this.#total;
    this.#total.oldest = Math.min(oldest, timestamp);
    this.#total.newest = Math.max(newest, timestamp);
  }

  addToGroup(name: string, { count, bytes }: Sum): void {
    if (count === 0) return;
    const group = this.#groups.get(name);
    if (group !== undefined) addTo(group, { count, bytes });
    else if (this.#prefix === '' || fold(name).startsWith(this.#prefix)) {
      this.#groups.set(name, { name, count, bytes, rest: false });
      this.#nameChars += name.length;
    }
  }

  /** Keeps the memory within bounds. Requires that no group that was added comes again. */
  sumUp(): void {
    if (this.#groups.size <= MAX_KEPT && this.#nameChars <= MAX_KEPT_CHARS) return;
    const ranked = rankGroups([...this.#groups.values()], this.#grouping.by, MAX_GROUPS);
    this.#groups = new Map(ranked.filter(({ rest }) => !rest).map((group) => [group.name, group]));
    this.#nameChars = [...this.#groups.keys()].reduce((sum, { length }) => sum + length, 0);
    for (const group of ranked) if (group.rest) addTo(this.#rest, group);
  }

  result(more: boolean): CatalogTotals {
    const { by, limit } = this.#grouping;
    const groups = [...this.#groups.values(), { ...this.#rest, name: '', rest: true }];
    return { ...this.#total, groups: by === undefined ? [] : rankGroups(groups, by, limit), more };
  }
}
