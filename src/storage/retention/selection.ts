/** Checks the images that a cleanup is to select, and reads the criteria of an older form of cleanup as a selection. */
import { invalidField, StorageError } from '../domain/errors.ts';
import { checkFilter } from '../domain/filter.ts';
import type { CleanupCriteria, CleanupOptions, ImageFilter, Selection } from '../domain/requests.ts';
import { checkCount, checkInstant, checkText } from '../domain/validation.ts';
import type { Planned } from './plan-token.ts';

const WITHIN = 'selection.';
const MAX_NAMES = 1_000;
const MAX_NAME_BYTES = 1024;
/** How far a caller's clock may be ahead. */
const MAX_AHEAD_MS = 5 * 60_000;

/** Returns the selection of the same images, for a plan. */
export function selectionOf(options: CleanupOptions): Planned {
  const { selection, olderThan, olderThanAgeMs, keepCount, keepBytes, model, category } = options;
  if (selection === undefined) return { olderThan, olderThanAgeMs, keepCount, keepBytes, model, category } as Planned;
  const { plan: _, ...planned } = selection;
  return planned;
}

/** Throws CLEANUP_WITHOUT_CRITERION, or FIELD_INVALID, which names the field. `now` is in ms since 1970. */
export function checkSelection(options: CleanupOptions, now: number): void {
  const { selection = {}, maxDeletes } = options;
  checkAlone(options, 'beside a selection, which has its own');
  checkFilter(selection, WITHIN);
  for (const field of ['only', 'except'] as const) checkNames(`${WITHIN}${field}`, selection[field] ?? []);
  checkCriteria(selection, now, WITHIN);
  checkCount('max_deletes', maxDeletes ?? 0);
  if (selection.plan === undefined && !hasFilter(selection) && !hasCriterion(selection)) {
    throw new StorageError('CLEANUP_WITHOUT_CRITERION', 'the selection has no filter, no criterion and no plan');
  }
}

/** Throws FIELD_INVALID where filters or criteria stand beside a selection or a policy. */
export function checkAlone(options: CleanupOptions, beside: string): void {
  const { olderThan, keepCount, keepBytes, model, category } = options;
  const given = { older_than: olderThan, keep_count: keepCount, keep_bytes: keepBytes, model, category };
  const [field] = Object.entries(given).find(([, value]) => value !== undefined) ?? [];
  if (field !== undefined) throw invalidField(field, `must be empty ${beside}`);
}

export function hasCriterion({ olderThan, keepCount, keepBytes }: CleanupCriteria): boolean {
  return [olderThan, keepCount, keepBytes].some((criterion) => criterion !== undefined);
}

/** `except` alone chooses nothing. */
function hasFilter({ dateRange, model, category, query, tags, pinned, only }: Selection): boolean {
  const texts = [model, category, query, tags, only].some((filter) => filter !== undefined && filter.length > 0);
  return texts || pinned !== undefined || isBounded(dateRange);
}

function isBounded(range: ImageFilter['dateRange']): boolean {
  return range?.start !== undefined || range?.end !== undefined;
}

export function checkCriteria({ olderThan, keepCount, keepBytes }: CleanupCriteria, now: number, within = ''): void {
  if (olderThan !== undefined) checkCutoff(`${within}older_than`, olderThan, now);
  checkCount(`${within}keep_count`, keepCount ?? 0);
  checkCount(`${within}keep_bytes`, keepBytes ?? 0);
}

/** A cutoff in the future protects nothing: the clock of its caller is wrong, or that of the daemon. */
function checkCutoff(field: string, olderThan: Date, now: number): void {
  if (checkInstant(field, olderThan) <= now + MAX_AHEAD_MS) return;
  const clocks = `${olderThan.toISOString()} is after now, ${new Date(now).toISOString()} by the clock of the daemon`;
  throw invalidField(field, `${clocks}: compare the clocks`);
}

function checkNames(field: string, names: readonly string[]): void {
  if (!Array.isArray(names)) throw invalidField(field, 'must be a list');
  if (names.length > MAX_NAMES) throw invalidField(field, `${names.length} filenames, at most ${MAX_NAMES}`);
  for (const name of names) checkText(field, name, MAX_NAME_BYTES);
}
