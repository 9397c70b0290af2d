/** Checks that the state folder of a bucket offers what its catalog, lock and spool need. */
import { resolve } from 'node:path';
import { type Binding, readBinding } from '../bucket/binding.ts';
import { stateFiles } from '../bucket/state-files.ts';
import type { BucketSettings } from '../domain/config.ts';
import { type Check, step } from './check.ts';
import { examineFolder } from './folder.ts';
import { examineSearch } from './search.ts';

/** Yields the checks of the state folder, and returns the store that it belongs to, if any. */
export async function* examineState(
  { stateDir }: BucketSettings,
  name: string,
  maxImageBytes: number,
): AsyncGenerator<Check, Binding | undefined> {
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
  yield* step('search', () => examineSearch(catalog, name));
  // A binding that cannot be read was reported above.
  return readBinding(binding).catch(() => undefined);
}
