/** Reads the record files of a local store, folder by folder. */
import { readFileSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { hasCode, ifPresent } from '../disk/files.ts';
import type { ImageRecord } from '../domain/record.ts';
import { parseRecord } from '../domain/record-file.ts';
import type { Layout } from './layout.ts';
import { holds } from './recover.ts';

const READS_IN_A_ROW = 32;

/** Yields the names in each folder of a day and a model, of images or of records. */
export async function* namesByFolder(root: string): AsyncGenerator<{ folder: string; names: string[] }> {
  for (const day of await namesIn(root)) {
    for (const slug of await namesIn(join(root, day))) {
      const folder = join(root, day, slug);
      yield { folder, names: await namesIn(folder) };
    }
  }
}

/** Yields the record of each `.json` name that is a whole one. */
export async function* readRecords(
  folder: string,
  names: string[],
  signal: AbortSignal | undefined,
): AsyncGenerator<ImageRecord> {
  const files = names.filter((name) => name.endsWith('.json'));
  for (const [index, name] of files.entries()) {
    // Synchronous: no caller is served yet, and four thread pool jobs a file take several times longer. The pause after
    // 32 files lets signals in.
    if (index % READS_IN_A_ROW === 0) await setImmediate(undefined, { signal });
    const record = parseRecord(readTextSync(join(folder, name)) ?? '', basename(name, '.json'));
    if (record !== undefined) yield record;
  }
}

/** Yields every staged record whose bytes are complete. */
export async function* readStaged(layout: Layout, signal: AbortSignal | undefined): AsyncGenerator<ImageRecord> {
  for await (const record of readRecords(layout.staging, await namesIn(layout.staging), signal)) {
    if (await holds(layout.part(record.filename), record)) yield record;
  }
}

/** Returns whether there are images and no records at all. */
export async function lacksRecords({ images, records }: Layout): Promise<boolean> {
  return (await namesIn(records)).length === 0 && (await namesIn(images)).length > 0;
}

/** Returns the names in a folder in order; none when it does not exist. */
export async function namesIn(folder: string): Promise<string[]> {
  return ((await ifPresent(readdir(folder))) ?? []).sort();
}

function readTextSync(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if (hasCode(error, 'ENOENT', 'ENOTDIR')) return undefined;
    throw error;
  }
}
