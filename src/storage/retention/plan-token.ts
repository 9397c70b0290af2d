/**
 * Encodes and decodes the plan of a cleanup: a moment of an index, bound to the selection that was planned. A plan over
 * several providers has one for each.
 */
import { createHash } from 'node:crypto';
import type { Moment } from '../catalog/catalog.ts';
import { invalidField, StorageError } from '../domain/errors.ts';
import type { Position, Selection } from '../domain/requests.ts';

const FIELD = 'selection.plan';
const MAX_AGE_MS = 60 * 60 * 1000;

/** The plan of one provider. */
export interface CleanupPlan {
  moment: Moment;
  /** When it was made by the clock of the provider, ms since 1970: ages count from then. */
  now: number;
  /** The same by a clock that never jumps, in ms from any origin. */
  madeAt: number;
  /** The last image that goes, where the plan ended at the most deletes. */
  last?: Position;
}

/** The selection without its plan. */
export type Planned = Omit<Selection, 'plan'>;

/** Plans by the name of their provider, and the time by which ages and dates of the selection were resolved. */
export interface Plans {
  /** ms since 1970. */
  now: number;
  byProvider: Readonly<Record<string, string>>;
}

export function encodePlans({ now, byProvider }: Plans): Uint8Array {
  return Buffer.from(JSON.stringify([now, byProvider]));
}

/** Throws FIELD_INVALID where no dry run gave it. */
export function decodePlans(plan: Uint8Array): Plans {
  const [now, byProvider] = parsed(Buffer.from(plan).toString());
  if (!Number.isFinite(now) || typeof byProvider !== 'object' || byProvider === null) throw unknownPlan();
  return { now: now as number, byProvider: byProvider as Plans['byProvider'] };
}

/** Throws FIELD_INVALID where the plan is of another provider. */
export function planOf({ byProvider }: Plans, provider: string): Uint8Array {
  const plan = byProvider[provider];
  if (typeof plan !== 'string') throw invalidField(FIELD, 'is of another provider');
  return Buffer.from(plan);
}

export function encodePlan({ moment, now, madeAt, last }: CleanupPlan, selection: Planned): Uint8Array {
  const { index, sequence, changes } = moment;
  return Buffer.from(JSON.stringify([digestOf(selection), index, sequence, changes, now, madeAt, last ?? null]));
}

/** Throws FIELD_INVALID where no dry run gave it, or one of another selection. */
export function decodePlan(plan: Uint8Array, selection: Planned): CleanupPlan {
  const [digest, index, sequence, changes, now, madeAt, last] = parsed(Buffer.from(plan).toString());
  const numbers = [sequence, changes, now, madeAt];
  if (typeof index !== 'string' || !numbers.every(Number.isFinite)) throw unknownPlan();
  if (digest !== digestOf(selection)) throw invalidField(FIELD, 'is of another selection');
  const moment = { index, sequence, changes } as Moment;
  return { moment, now, madeAt, ...(last !== null && { last }) } as CleanupPlan;
}

/** Throws PLAN_EXPIRED. `elapsed` is the time of the clock that never jumps. */
export function checkCurrent({ madeAt }: CleanupPlan, remembered: boolean, elapsed: number): void {
  if (!remembered) throw expired('the index was opened again since, or has changed too much');
  if (elapsed - madeAt > MAX_AGE_MS) throw expired('it is older than an hour');
}

function expired(why: string): StorageError {
  return new StorageError('PLAN_EXPIRED', `the plan has expired: ${why}; plan again`, { field: FIELD });
}

function unknownPlan(): StorageError {
  return invalidField(FIELD, 'is none that a dry run gave');
}

function parsed(text: string): unknown[] {
  try {
    const value: unknown = JSON.parse(text);
    return Array.isArray(value) ? value : [];
  } catch {
    return [];
  }
}

/** An age is digested as it was given: it is the same criterion later. */
function digestOf({ dateRange, olderThan, olderThanAgeMs, ...selection }: Planned): string {
  const { model = '', category = '', query = '', tags = [], pinned, only = [], except = [] } = selection;
  const filters = [dateRange?.start, dateRange?.end, model, category, query, tags, pinned, only, except];
  const criteria = [olderThanAgeMs ?? olderThan, selection.keepCount, selection.keepBytes];
  const text = JSON.stringify([...filters, ...criteria]);
  return createHash('sha256').update(text).digest('base64url').slice(0, 16);
}
