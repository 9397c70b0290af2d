/** Reads the record files of a local store, folder by folder. */
import { readdir } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { hasCode, ifPresent, inodeOf } from '../disk/files.ts';
import { NotPlainError, readPlainSync } from '../disk/plain-files.ts';
import { revisionOf } from '../domain/changes.ts';
import type { Logger } from '../domain/logger.ts';
import type { ImageRecord } from '../domain/record.ts';
import { parseRecord } from '../domain/record-file.ts';
import type { Layout } from './layout.ts';
import { holds } from './recover.ts';

const READS_IN_A_ROW = 32;

export interface Reading {
  log: Logger;
  /** Ends the reading. */
  signal?: AbortSignal | undefined;
}

/** Yields the names in each folder of a day and a model, of images or of records. Leaves links out, and logs them. */
export async function* namesByFolder(root: string, log?: Logger): AsyncGenerator<{ folder: string; names: string[] }> {
  for (const day of await foldersIn(root, log)) {
    for (const folder of await foldersIn(day, log)) yield { folder, names: await namesIn(folder) };
  }
}

/** Returns the paths of the folders in a folder, sorted. */
async function foldersIn(path: string, log?: Logger): Promise<string[]> {
  const entries = (await ifPresent(readdir(path, { withFileTypes: true }))) ?? [];
  for (const entry of entries) {
    if (entry.isSymbolicLink()) log?.warn({ path: join(path, entry.name) }, 'a link is no folder of records: left out');
  }
  const folders = entries.filter((entry) => entry.isDirectory());
  return folders.map((entry) => join(path, entry.name)).sort();
}

/** Yields the record of each `.json` name that is a whole one. */
export async function* readRecords(
  folder: string,
  names: string[],
  { log, signal }: Reading,
): AsyncGenerator<ImageRecord> {
  const files = names.filter((name) => name.endsWith('.json'));
  for (const [index, name] of files.entries()) {
    // Synchronous: no caller is served yet, and four thread pool jobs a file take several times longer. The pause after
    // 32 files lets signals in.
    if (index % READS_IN_A_ROW === 0) await setImmediate(undefined, { signal });
    const record = parseRecord(readTextSync(join(folder, name), log) ?? '', basename(name, '.json'));
    if (record !== undefined) yield record;
  }
}

/** The staged records: few, since a start settles them. */
export interface StagedRecords {
  /** Those of uploads whose bytes are complete. */
  uploads: ImageRecord[];
  /** Those of updates, whose images were committed before. */
  updates: ImageRecord[];
}

export async function readStaged(layout: Layout, reading: Reading): Promise<StagedRecords> {
  const staged: StagedRecords = { uploads: [], updates: [] };
  for await (const record of readRecords(layout.staging, await namesIn(layout.staging), reading)) {
    const [part, image] = [layout.part(record.filename), layout.image(record.filename)];
    if (await holds(part, record)) staged.uploads.push(record);
    else if (revisionOf(record) > 0 && (await inodeOf(part)) === undefined && (await inodeOf(image)) !== undefined) {
      staged.updates.push(record);
    }
  }
  return staged;
}

/** Returns whether there are images and no records at all. */
export async function lacksRecords({ images, records }: Layout): Promise<boolean> {
  return (await namesIn(records)).length === 0 && (await namesIn(images)).length > 0;
}

/** Returns the names in a folder in order; none when it does not exist. */
export async function namesIn(folder: string): Promise<string[]> {
  return ((await ifPresent(readdir(folder))) ?? []).sort();
}

function readTextSync(path: string, log: Logger): string | undefined {
  try {
    return readPlainSync(path);
  } catch (error) {
    if (hasCode(error, 'ENOENT', 'ENOTDIR')) return undefined;
    // An open that follows no link fails with ELOOP.
    if (!(error instanceof NotPlainError || hasCode(error, 'ELOOP', 'ENXIO'))) throw error;
    log.warn({ err: error }, 'a record is no plain file: left out');
    return undefined;
  }
}
