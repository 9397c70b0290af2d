/** Proves on the state folder of a bucket what its catalog, lock and spool rest on. */
import { resolve } from 'node:path';
import { readBinding, stateFiles } from '../bucket/open.ts';
import type { BucketSettings } from '../domain/config.ts';
import type { Check } from './check.ts';
import { examineFolder } from './folder.ts';

/** Gives the id of the store that the state was made for, if it was. */
export async function* examineState(
  { stateDir }: BucketSettings,
  name: string,
  maxImageBytes: number,
): AsyncGenerator<Check, string | undefined> {
  const files = stateFiles(name, stateDir);
  const { catalog, lock, binding, spool } = files;
  const root = resolve(files.folder);
  yield* examineFolder({
    root,
    path: root,
    setting: 'stateDir',
    files: [catalog, lock, binding, spool],
    lock,
    maxImageBytes,
  });
  // What cannot be read has been told.
  return (await readBinding(files).catch(() => undefined))?.storeId;
}
