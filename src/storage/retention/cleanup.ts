/** Cleanup over a catalog: finds the images that no criterion protects, oldest first, and removes them in groups. */
import type { ImageIndex, ImageSize } from '../catalog/catalog.ts';
import { invalidField, partlyDone, StorageError, throwIfCancelled } from '../domain/errors.ts';
import type { CleanupOptions, CleanupReason, CleanupResult } from '../domain/requests.ts';
import { checkCount, checkGroup, checkInstant } from '../domain/validation.ts';

const SCAN_ROWS = 5_000;
const GROUP_SIZE = 100;
const MAX_NAMED = 1_000;
/** How far a caller's clock may be ahead. */
const MAX_AHEAD_MS = 5 * 60_000;

/** Throws CLEANUP_WITHOUT_CRITERION, or FIELD_INVALID, which names the field. `now` is in ms since 1970. */
export function checkCleanup(options: CleanupOptions, now: number): void {
  const { olderThan, keepCount, keepBytes, maxDeletes } = options;
  if (olderThan === undefined && keepCount === undefined && keepBytes === undefined) {
    const message = 'name older_than, keep_count or keep_bytes; filters alone are no criterion';
    throw new StorageError('CLEANUP_WITHOUT_CRITERION', message);
  }
  if (olderThan !== undefined) checkCutoff(olderThan, now);
  checkCount('keep_count', keepCount ?? 0);
  checkCount('keep_bytes', keepBytes ?? 0);
  checkCount('max_deletes', maxDeletes ?? 0);
  checkGroup(options);
}

/** A cutoff in the future protects nothing: the clock of its caller is wrong, or that of the daemon. */
function checkCutoff(olderThan: Date, now: number): void {
  if (checkInstant('older_than', olderThan) <= now + MAX_AHEAD_MS) return;
  const clocks = `${olderThan.toISOString()} is after now, ${new Date(now).toISOString()} by the clock of the daemon`;
  throw invalidField('older_than', `${clocks}: compare the clocks`);
}

/**
 * Removes the images that no criterion protects, and never one dated after `now`. `remove` spares an image that is pinned by then, and returns whether
 * it removed one. A failure after the first removal has `outcomeUnknown`: a retry would remove up to `maxDeletes` more.
 */
export async function cleanUp(
  catalog: ImageIndex,
  options: CleanupOptions,
  now: number,
  remove: (filename: string) => Promise<boolean>,
): Promise<CleanupResult> {
  const { dryRun = false } = options;
  const none = { deletedCount: 0, freedBytes: 0, filenames: [], keptPinned: 0, keptFuture: 0, reasons: [] };
  const result: CleanupResult = { ...none, dryRun, more: false };
  try {
    result.keptFuture = await countAfter(catalog, options, now);
    await removeGroups(catalog, options, now, remove, result);
    return result;
  } catch (error) {
    throw result.deletedCount > 0 && !dryRun ? partlyDone(error) : error;
  }
}

async function removeGroups(
  catalog: ImageIndex,
  options: CleanupOptions,
  now: number,
  remove: (filename: string) => Promise<boolean>,
  result: CleanupResult,
): Promise<void> {
  const { maxDeletes = Number.POSITIVE_INFINITY } = options;
  for await (const group of unprotected(catalog, options, now)) {
    throwIfCancelled(options.signal);
    const going = group.filter((image) => !image.pinned);
    const taken = going.slice(0, maxDeletes - result.deletedCount);
    if (result.dryRun) for (const image of taken) count(image, result);
    else await removeAll(taken, remove, result);
    result.more = taken.length < going.length;
    if (result.more) return;
    result.keptPinned += group.length - going.length;
  }
}

/** No removal runs any more when this throws. */
async function removeAll(
  images: ImageSize[],
  remove: (filename: string) => Promise<boolean>,
  result: CleanupResult,
): Promise<void> {
  const outcomes = await Promise.allSettled(images.map(({ filename }) => remove(filename)));
  for (const [at, outcome] of outcomes.entries()) {
    if (outcome.status === 'fulfilled' && outcome.value) count(images[at]!, result);
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

function count(image: ImageSize, result: CleanupResult): void {
  result.deletedCount += 1;
  result.freedBytes += image.size;
  if (result.filenames.length < MAX_NAMED) result.filenames.push(image.filename);
}

/** Yields the images that no criterion protects in groups, oldest first, pinned ones included. */
async function* unprotected(catalog: ImageIndex, options: CleanupOptions, now: number): AsyncGenerator<ImageSize[]> {
  const newestToGo = await firstUnprotected(catalog, options, now);
  if (newestToGo === undefined) return;
  const { olderThan } = options;
  const query = { ...filterOf(options), ...(olderThan && { end: Math.min(olderThan.getTime(), now) }) };
  let after: ImageSize | undefined;
  for (;;) {
    const request = { ...(after && { after }), limit: SCAN_ROWS };
    const rows = await catalog.pageSizes({ ...query, order: 'oldest' }, request);
    const going = rows.filter((row) => !isNewer(row, newestToGo));
    for (let start = 0; start < going.length; start += GROUP_SIZE) yield going.slice(start, start + GROUP_SIZE);
    after = rows.at(-1);
    if (going.length < SCAN_ROWS) return;
  }
}

/** Returns the newest image that neither keepCount nor keepBytes protects, or would protect if it were not pinned. */
async function firstUnprotected(
  catalog: ImageIndex,
  options: CleanupOptions,
  now: number,
): Promise<ImageSize | undefined> {
  let countLeft = options.keepCount ?? 0;
  let bytesLeft = options.keepBytes ?? 0;
  let after: ImageSize | undefined;
  for (;;) {
    const request = { ...(after && { after }), limit: SCAN_ROWS };
    throwIfCancelled(options.signal);
    const rows = await catalog.pageSizes({ ...filterOf(options), end: now + 1, order: 'newest' }, request);
    for (const row of rows) {
      if (row.pinned) {
        if (countLeft <= 0 && bytesLeft <= 0) return row;
        continue;
      }
      // The first image that does not fit ends the protection by keepBytes, also for smaller ones after it.
      bytesLeft = row.size <= bytesLeft ? bytesLeft - row.size : -1;
      countLeft -= 1;
      if (countLeft < 0 && bytesLeft < 0) return row;
    }
    after = rows.at(-1);
    if (rows.length < SCAN_ROWS) return undefined;
  }
}

/** Returns how many images that match the filters are dated after now. */
async function countAfter(catalog: ImageIndex, options: CleanupOptions, now: number): Promise<number> {
  let count = 0;
  let after: ImageSize | undefined;
  for (;;) {
    const request = { ...(after && { after }), limit: SCAN_ROWS };
    throwIfCancelled(options.signal);
    const rows = await catalog.pageSizes({ ...filterOf(options), start: now + 1, order: 'oldest' }, request);
    count += rows.length;
    if (rows.length < SCAN_ROWS) return count;
    after = rows.at(-1);
  }
}

function filterOf({ model, category }: CleanupOptions): { model?: string; category?: string } {
  return { model, category };
}

function isNewer(a: ImageSize, b: ImageSize): boolean {
  return a.timestamp > b.timestamp || (a.timestamp === b.timestamp && a.filename > b.filename);
}
