/** Counts the images that match a query, in total and by group: from the rollups as far as they go. */
import { Calendar } from '../../domain/calendar.ts';
import type { Sum } from '../../domain/groups.ts';
import type { CatalogQuery, CatalogTotals, Grouping } from '../catalog.ts';
import { Tally } from '../tally.ts';
import type { Connection } from './connection.ts';
import { DayCounts, EVERY, type Scope, scopeOf } from './day-counts.ts';
import { groupNames } from './group-names.ts';
import { areLabelsComplete } from './label-counts.ts';
import { PAUSE, Slice } from './pause.ts';
import type { Walk } from './query.ts';

/** What a count takes at most: 80 ms of work. */
const MAX_SLICES = 8;
const MAX_WALKED_GROUPS = 50_000;
const ROLLUPS_AT_ONCE = 500;
const LAST = '\u{10ffff}';
const ENDS = ['oldest', 'newest'] as const;

export class TotalsReader {
  readonly #db: Connection;
  readonly #walk: Walk;
  readonly #days: DayCounts;

  constructor(db: Connection, walk: Walk) {
    this.#db = db;
    this.#walk = walk;
    this.#days = new DayCounts(db);
  }

  *totals(query: CatalogQuery, grouping: Grouping): Generator<void, CatalogTotals> {
    const { by, timeZone } = grouping;
    const tally = new Tally(grouping);
    const scope = scopeOf(query);
    const isStore = scope === EVERY && query.start === undefined && query.end === undefined;
    const kind = isStore ? this.#rollupOf(by) : undefined;
    if (kind !== undefined) return yield* this.#fromRollups(kind, tally);
    if (scope === undefined || (by !== undefined && by !== 'day' && by !== 'month')) {
      return yield* this.#walked(query, grouping, tally);
    }
    const calendar = by && new Calendar(by, timeZone);
    return yield* this.#byDays(query, scope, calendar, tally);
  }

  /** Returns the kind of the rollups that have these groups; 'total' where there are none. */
  #rollupOf(by: Grouping['by']): string | undefined {
    if (by === undefined) return 'total';
    if (by === 'model' || by === 'category') return by;
    return (by === 'tag' || by === 'lora') && areLabelsComplete(this.#db) ? by : undefined;
  }

  *#fromRollups(kind: string, tally: Tally): Generator<void, CatalogTotals> {
    this.#db.reads(() => {
      for (const total of this.#rollups('total', LAST)) tally.add(total);
      for (const which of ENDS) tally.addTime(this.#days.first(which, EVERY, {}));
    });
    let before = LAST;
    for (let slice = new Slice(); kind !== 'total'; ) {
      const groups = this.#rollups(kind, before);
      for (const group of groups) tally.addToGroup(group.name, group);
      tally.sumUp();
      if (groups.length < ROLLUPS_AT_ONCE) break;
      before = groups.at(-1)!.name;
      if (!slice.isOver) continue;
      yield;
      slice = new Slice();
    }
    return tally.result(false);
  }

  /** Returns the last groups before that name. */
  #rollups(kind: string, before: string): (Sum & { name: string })[] {
    const sql = `
      SELECT name, count, bytes FROM rollups WHERE kind = ? AND name < ? ORDER BY name DESC LIMIT ${ROLLUPS_AT_ONCE}`;
    return this.#db.all(sql, kind, before) as never;
  }

  *#byDays(
    { start, end }: CatalogQuery,
    scope: Scope,
    calendar: Calendar | undefined,
    tally: Tally,
  ): Generator<void, CatalogTotals> {
    const range = { start, end };
    let isDone = false;
    let from = end;
    for (let slices = 0; !isDone && slices < MAX_SLICES; slices += 1) {
      if (slices > 0) yield;
      this.#db.reads(() => {
        const slice = new Slice();
        do {
          const next = this.#days.count({ start, end: from }, scope, calendar, tally, slice);
          isDone = next === undefined;
          from = next ?? from;
        } while (!isDone && !slice.isOver);
      });
    }
    const counted = isDone ? range : { start: from, end };
    this.#db.reads(() => {
      for (const which of ENDS) tally.addTime(this.#days.first(which, scope, counted));
    });
    return tally.result(!isDone);
  }

  *#walked(query: CatalogQuery, { by, timeZone }: Grouping, tally: Tally): Generator<void, CatalogTotals> {
    const names = groupNames(this.#db, by, timeZone);
    let slices = 0;
    for (const hit of this.#walk.hits({ ...query, order: 'newest' }, undefined, 'sizes')) {
      if (hit === PAUSE) {
        slices += 1;
        if (slices === MAX_SLICES || tally.groupCount > MAX_WALKED_GROUPS) return tally.result(true);
        yield;
        continue;
      }
      tally.addImage(hit.timestamp, hit.size);
      for (const name of names(hit)) tally.addToGroup(name, { count: 1, bytes: hit.size });
    }
    return tally.result(false);
  }
}
