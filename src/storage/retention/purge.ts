/** Purges images of the trash: those that are named, or all of them a thousand at once. */
import type { ChangeOutcome, ImageIndex } from '../catalog/catalog.ts';
import type { PurgeOptions, PurgeResult } from '../domain/requests.ts';

const PURGED_AT_ONCE = 1_000;

/**
 * `purge` deletes an image of the trash for good. Named ones need no complete catalog. No purge runs any more when this
 * rejects.
 */
export async function purgeTrash(
  completeCatalog: () => Promise<Pick<ImageIndex, 'dueTrash'>>,
  options: PurgeOptions,
  purge: (filename: string) => Promise<ChangeOutcome>,
): Promise<PurgeResult> {
  const catalog = 'all' in options ? await completeCatalog() : undefined;
  const due = (await catalog?.dueTrash(PURGED_AT_ONCE))?.map(({ filename }) => filename);
  const purges = (due ?? ('filenames' in options ? options.filenames : [])).map(purge);
  await Promise.allSettled(purges);
  const gone = (await Promise.all(purges)).flatMap((outcome) => (outcome.done ? [outcome.record] : []));
  return {
    count: gone.length,
    bytes: gone.reduce((sum, { size }) => sum + size, 0),
    // Where nothing went, nothing would the next time: a caller that goes on while there are more would not end.
    more: gone.length > 0 && catalog !== undefined && (await catalog.dueTrash(1)).length > 0,
  };
}
