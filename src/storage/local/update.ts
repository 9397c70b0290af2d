/** One update in a local store: the new record is staged, the commit changes the row, the record follows the answer. */
import { rename } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { ChangeOutcome } from '../catalog/catalog.ts';
import { readText, syncFile, unlinkIfPresent } from '../disk/files.ts';
import { writePlain } from '../disk/plain-files.ts';
import { type CheckedChanges, revisionOf, withChanges } from '../domain/changes.ts';
import { folderOf } from '../domain/naming.ts';
import type { StoredRecord } from '../domain/record.ts';
import { formatRecord, parseRecord } from '../domain/record-file.ts';
import type { LocalStore } from './store.ts';

/** Rejects with a StorageError, `outcomeUnknown` where the image may be changed. */
export async function updateImage(
  store: LocalStore,
  filename: string,
  changes: CheckedChanges,
): Promise<ChangeOutcome> {
  if (folderOf(filename) === undefined) return { done: false, why: 'not_found' };
  const { promise, resolve, reject } = Promise.withResolvers<ChangeOutcome>();
  // The commit, too: other work on the files of the image must not find the record older than the row.
  store.byFilename.run(filename, async () => {
    try {
      const { outcome, isCommitted } = await update(store, filename, changes);
      resolve(outcome);
      if (isCommitted) await placeRecord(store, filename);
    } catch (error) {
      reject(error as Error);
    }
  });
  return promise;
}

async function update(
  store: LocalStore,
  filename: string,
  changes: CheckedChanges,
): Promise<{ outcome: ChangeOutcome; isCommitted: boolean }> {
  const row = await store.catalog.find(filename);
  if (row === undefined) return { outcome: { done: false, why: 'not_found' }, isCommitted: false };
  const above = await revisionInFile(store.layout.record(filename), filename);
  const changed = withChanges(row, changes, above);
  if (changed === undefined) return { outcome: { done: false, why: 'too_many_tags' }, isCommitted: false };
  if (changed === row) return { outcome: { done: true, record: row }, isCommitted: false };
  const change = { kind: 'update', filename, changes, above, time: store.context.now() } as const;
  try {
    await store.reserve.write(() => stage(store, changed));
    const outcome = await store.reserve.write(() => store.committer.submit(change, []));
    if (!outcome.done) await unlinkIfPresent(store.layout.stagedRecord(filename));
    return { outcome, isCommitted: outcome.done };
  } catch (error) {
    throw await withdraw(store, filename, error);
  }
}

/** Returns the revision of the record file, which is higher than the row's where an older version rebuilt the catalog. */
async function revisionInFile(path: string, filename: string): Promise<number> {
  // What cannot be read is written again, or reported by `verify`.
  const record = parseRecord((await readText(path).catch(() => undefined)) ?? '', filename);
  return record === undefined ? 0 : revisionOf(record);
}

/** A rebuild after a kill takes the record from here, as that of a save. */
async function stage({ layout, folders, context }: LocalStore, record: StoredRecord): Promise<void> {
  const staged = layout.stagedRecord(record.filename);
  await folders.within(layout.staging, () => writePlain(staged, formatRecord(record)));
  await folders.setFileMode(staged);
  context.failpoint('update-staged');
}

/** Removes the staged record, unless the outcome is unknown: then the restart decides. */
async function withdraw({ layout, condition }: LocalStore, filename: string, error: unknown): Promise<Error> {
  const folded = await condition.fold(error);
  if (!folded.outcomeUnknown) await unlinkIfPresent(layout.stagedRecord(filename));
  return folded;
}

/** After the answer. Upkeep or the next start repairs what fails here. */
export async function placeRecord(
  { layout, folders, condition, context }: LocalStore,
  filename: string,
): Promise<void> {
  const [staged, record] = [layout.stagedRecord(filename), layout.record(filename)];
  try {
    // It replaces a record that is on stable storage.
    await syncFile(staged);
    context.failpoint('update-synced');
    await folders.within(dirname(record), () => rename(staged, record));
    context.failpoint('update-placed');
  } catch (error) {
    context.log.warn({ err: error, provider: context.name, filename }, 'a record stays in staging for now');
    await condition.fold(error);
  }
}
