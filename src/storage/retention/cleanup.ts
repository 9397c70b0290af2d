/** Cleanup over a catalog: removes the images that no rule keeps in groups, and counts why. */
import type { ImageIndex } from '../catalog/catalog.ts';
import { invalidField, partlyDone, StorageError, throwIfCancelled } from '../domain/errors.ts';
import type { CleanupOptions, CleanupReason, CleanupResult, Position } from '../domain/requests.ts';
import { checkCount, checkGroup } from '../domain/validation.ts';
import { countAfter, type Unkept, unkept } from './plan.ts';
import type { Rules } from './rules.ts';
import { checkAlone, checkCriteria, checkSelection, hasCriterion } from './selection.ts';

const GROUP_SIZE = 100;
const MAX_NAMED = 1_000;
const MAX_REASONS = 100;
const OTHER_REASONS = 'in other groups, for the same reasons';

/** Throws CLEANUP_WITHOUT_CRITERION, or FIELD_INVALID, which names the field. `now` is in ms since 1970. */
export function checkCleanup(options: CleanupOptions, now: number): void {
  if (options.selection !== undefined) {
    checkSelection(options, now);
    return;
  }
  if (!hasCriterion(options)) {
    const message = 'name older_than, keep_count or keep_bytes; filters alone are no criterion';
    throw new StorageError('CLEANUP_WITHOUT_CRITERION', message);
  }
  checkCriteria(options, now);
  checkCount('max_deletes', options.maxDeletes ?? 0);
  checkGroup(options);
}

/** Throws FIELD_INVALID where filters, criteria or a selection stand beside a policy. */
export function checkPolicyAlone(options: CleanupOptions): void {
  checkAlone(options, 'beside a policy, which has its own');
  if (options.selection !== undefined) throw invalidField('selection', 'must be empty beside a policy');
  checkCount('max_deletes', options.maxDeletes ?? 0);
}

export function policyNotFound(): StorageError {
  return new StorageError('POLICY_NOT_FOUND', 'no retention policy of that name is configured', { field: 'policy' });
}

export interface Cleaning extends Pick<CleanupOptions, 'dryRun' | 'maxDeletes' | 'signal'> {
  /** Spares an image that is pinned by then. Returns whether it removed one. */
  remove: (filename: string) => Promise<boolean>;
}

/**
 * `keptNew`: images that were kept only because they came lately; 0 where the rules spare none for that. `last`: the last
 * image that was taken, where more would go.
 */
export type Cleaned = CleanupResult & { keptNew: number; last?: Position };

/**
 * Removes the images that no rule keeps, oldest first. A failure after the first removal has `outcomeUnknown`: a retry
 * would remove up to `maxDeletes` more.
 */
export async function cleanUp(catalog: ImageIndex, rules: Rules, cleaning: Cleaning): Promise<Cleaned> {
  const { dryRun = false, signal } = cleaning;
  const none = { deletedCount: 0, freedBytes: 0, filenames: [], reasons: [] };
  const kept = { keptPinned: 0, keptFuture: 0, keptChanged: 0, keptNew: 0 };
  const result: Cleaned = { ...none, ...kept, dryRun, more: false };
  const reasons = new Reasons();
  try {
    result.keptFuture = await countAfter(catalog, rules, signal);
    for await (const { images, keptNew, keptChanged, more } of unkept(catalog, rules, signal)) {
      result.keptNew += keptNew;
      result.keptChanged += keptChanged;
      await removePage(images, cleaning, result, reasons);
      result.more ||= more;
      if (result.more) break;
    }
    return { ...result, reasons: reasons.all };
  } catch (error) {
    throw result.deletedCount > 0 && !dryRun ? partlyDone(error) : error;
  }
}

async function removePage(
  page: readonly Unkept[],
  cleaning: Cleaning,
  result: Cleaned,
  reasons: Reasons,
): Promise<void> {
  const { maxDeletes = Number.POSITIVE_INFINITY, dryRun, remove, signal } = cleaning;
  for (let start = 0; start < page.length && !result.more; start += GROUP_SIZE) {
    throwIfCancelled(signal);
    const group = page.slice(start, start + GROUP_SIZE);
    const going = group.filter((image) => !image.pinned);
    const taken = going.slice(0, maxDeletes - result.deletedCount);
    const count = (image: Unkept) => {
      countIn(image, result);
      reasons.count(image);
    };
    if (dryRun) taken.forEach(count);
    else await removeAll(taken, remove, count);
    result.more = taken.length < going.length;
    const last = taken.at(-1);
    if (last !== undefined) result.last = { timestamp: last.timestamp, filename: last.filename };
    if (!result.more) result.keptPinned += group.length - going.length;
  }
}

/** No removal runs any more when this throws. */
async function removeAll(
  images: readonly Unkept[],
  remove: (filename: string) => Promise<boolean>,
  count: (image: Unkept) => void,
): Promise<void> {
  const outcomes = await Promise.allSettled(images.map(({ filename }) => remove(filename)));
  for (const [at, outcome] of outcomes.entries()) {
    if (outcome.status === 'fulfilled' && outcome.value) count(images[at]!);
  }
  const failure = outcomes.find((outcome) => outcome.status === 'rejected');
  if (failure !== undefined) throw failure.reason;
}

/** Returns the sum of two results. */
export function sumOf(a: CleanupResult, b: CleanupResult): CleanupResult {
  const restorableUntil = earlierOf(a, b);
  return {
    deletedCount: a.deletedCount + b.deletedCount,
    freedBytes: a.freedBytes + b.freedBytes,
    filenames: [...a.filenames, ...b.filenames].slice(0, MAX_NAMED),
    keptPinned: a.keptPinned + b.keptPinned,
    keptFuture: a.keptFuture + b.keptFuture,
    keptChanged: a.keptChanged + b.keptChanged,
    dryRun: a.dryRun,
    more: a.more || b.more,
    reasons: addReasons(a.reasons, b.reasons),
    ...(restorableUntil !== undefined && { restorableUntil }),
  };
}

/** Returns the earlier of both; undefined where either deleted images for good. */
function earlierOf(a: CleanupResult, b: CleanupResult): Date | undefined {
  const times = [a, b].filter(({ deletedCount }) => deletedCount > 0).map(({ restorableUntil }) => restorableUntil);
  if (times.length === 0) return a.restorableUntil && b.restorableUntil;
  return times.reduce((one, other) => one && other && new Date(Math.min(one.getTime(), other.getTime())));
}

function addReasons(one: readonly CleanupReason[], other: readonly CleanupReason[]): CleanupReason[] {
  const byText = Map.groupBy([...one, ...other], ({ text }) => text);
  return [...byText].map(([text, reasons]) => ({
    text,
    count: reasons.reduce((sum, { count }) => sum + count, 0),
    bytes: reasons.reduce((sum, { bytes }) => sum + bytes, 0),
  }));
}

function countIn(image: Unkept, result: CleanupResult): void {
  result.deletedCount += 1;
  result.freedBytes += image.size;
  if (result.filenames.length < MAX_NAMED) result.filenames.push(image.filename);
}

/** Counts the images that go for each reason: the first hundred reasons, and the others together. */
class Reasons {
  readonly #byText = new Map<string, CleanupReason>();

  get all(): CleanupReason[] {
    return [...this.#byText.values()];
  }

  count({ reason, size }: Unkept): void {
    const text = this.#byText.has(reason) || this.#byText.size < MAX_REASONS ? reason : OTHER_REASONS;
    const counted = this.#byText.get(text) ?? { text, count: 0, bytes: 0 };
    counted.count += 1;
    counted.bytes += size;
    this.#byText.set(text, counted);
  }
}
