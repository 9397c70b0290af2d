/** Reads what is in the trash of a local store from its files and the audit log, for a catalog that is lost or older. */
import { lstat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { ifPresent, inodeOf, readText } from '../disk/files.ts';
import { folderOf } from '../domain/naming.ts';
import type { ImageRecord, TrashedRecord, TrashTimes } from '../domain/record.ts';
import { parseRecord } from '../domain/record-file.ts';
import type { Layout } from './layout.ts';
import { namesByFolder, type Reading } from './record-files.ts';

/** Where the record of an image may be: `stored` returns what an older catalog has of it. */
export interface TrashSources {
  layout: Layout;
  /** The times of images whose last line in the audit log is a delete into the trash. */
  audited: ReadonlyMap<string, TrashTimes>;
  /** For how long files are kept that no line tells of, in ms. */
  keepMs: number;
  stored?: (filename: string) => Promise<ImageRecord | undefined>;
}

/**
 * Returns the times of all images of which a file lies in the trash, or which the audit log has there, by their filenames.
 * Those that no line tells of came when their file did, unless they are live as well.
 */
export async function trashTimes(
  { layout, audited, keepMs }: TrashSources,
  reading: Reading & { now: () => number },
): Promise<Map<string, TrashTimes>> {
  const times = new Map(audited);
  for (const [filename, { deleteTime, purgeTime }] of audited) {
    const least = reading.now() + keepMs;
    // Not moved yet, or restored since, and the line of that is lost: nothing goes for good by an old line.
    if (purgeTime < least && (await inodeOf(layout.trashedImage(filename))) === undefined)
      times.set(filename, { deleteTime, purgeTime: least });
  }
  for (const root of [layout.trashedRecords, layout.trashedImages]) {
    for await (const { folder, names } of namesByFolder(root, reading.log)) {
      reading.signal?.throwIfAborted();
      for (const name of names) {
        const filename = basename(name, root === layout.trashedRecords ? '.json' : '');
        if (folderOf(filename) === undefined || times.has(filename)) continue;
        if (await isPutBack(layout, filename)) continue;
        const stats = await ifPresent(lstat(join(folder, name)));
        if (stats === undefined) continue;
        const deleteTime = Math.round(stats.ctimeMs);
        times.set(filename, { deleteTime, purgeTime: deleteTime + keepMs });
      }
    }
  }
  return times;
}

/**
 * Returns whether the image is whole in the live tree and was put back into the trash, as a backup does. A crash leaves no
 * such image: its record is the first to go into the trash, and the last to come out.
 */
async function isPutBack(layout: Layout, filename: string): Promise<boolean> {
  const paths = [layout.record(filename), layout.image(filename), layout.trashedImage(filename)];
  return (await Promise.all(paths.map(inodeOf))).every((inode) => inode !== undefined);
}

/** Yields the images of these names of which a record can be read, wherever it lies. */
export async function* trashedRecords(
  sources: TrashSources,
  times: ReadonlyMap<string, TrashTimes>,
): AsyncGenerator<TrashedRecord> {
  for (const [filename, at] of times) {
    const record = await recordOf(sources, filename);
    if (record !== undefined) yield { ...record, ...at };
  }
}

/**
 * What is staged is newer than what lies in the trash, and that newer than the live one. A staged record of other bytes is of
 * an upload that was never committed, since its name was taken.
 */
async function recordOf({ layout, stored }: TrashSources, filename: string): Promise<ImageRecord | undefined> {
  const staged = await readRecord(layout.stagedRecord(filename), filename);
  const known =
    (await readRecord(layout.trashedRecord(filename), filename)) ??
    (await readRecord(layout.record(filename), filename)) ??
    (await stored?.(filename));
  return staged !== undefined && (known === undefined || staged.sha256 === known.sha256) ? staged : known;
}

/** What cannot be read is left to `verify`. */
async function readRecord(path: string, filename: string): Promise<ImageRecord | undefined> {
  return parseRecord((await readText(path).catch(() => undefined)) ?? '', filename);
}
