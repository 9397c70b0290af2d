/** Commits an image whose bytes lie in their place without a row: what `verify` and hands that restore a backup leave. */
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { placeFile, readText, syncFile, syncFolder } from '../disk/files.ts';
import type { ImageRecord } from '../domain/record.ts';
import { formatRecord, parseRecord } from '../domain/record-file.ts';
import { readerOfFile } from '../embedded/read-at.ts';
import { inspectOrphan, recordOfOrphan } from '../maintenance/orphan.ts';
import { quarantine } from './quarantine.ts';
import type { LocalStore } from './store.ts';

const CHUNK_BYTES = 256 * 1024;

/** The StorageErrors of a save where the bytes are no whole image of the type that the name says: nothing has changed then. */
export async function adoptImage(store: LocalStore, filename: string): Promise<void> {
  const record = await recordFor(store, filename);
  // Before the commit: a rebuild must not take it for deleted, should it have been so once.
  await store.audit.broughtBack(record, 'adopt', store.context.now());
  await syncFile(store.layout.image(filename));
  await insert(store, record);
  await correctRecord(store, filename);
}

/** Leaves a record file that tells what the catalog does, unless the image was deleted; another file goes to quarantine. */
export async function correctRecord({ catalog, folders, layout }: LocalStore, filename: string): Promise<void> {
  const record = await catalog.find(filename);
  if (record === undefined) return;
  const path = layout.record(filename);
  const text = await readText(path);
  if (text !== undefined && isDeepStrictEqual(parseRecord(text, filename), record)) await syncFile(path);
  else {
    if (text !== undefined) await quarantine(layout, folders, path);
    await folders.within(dirname(path), () => placeFile(path, formatRecord(record)));
  }
  await syncFolder(dirname(path));
}

/** From the record file that fits the bytes, else from filename and embedded metadata. */
async function recordFor({ layout }: LocalStore, filename: string): Promise<ImageRecord> {
  const path = layout.image(filename);
  const image = await inspectOrphan(filename, createReadStream(path, { highWaterMark: CHUNK_BYTES }));
  const told = parseRecord((await readText(layout.record(filename))) ?? '', filename);
  if (told?.sha256 === image.sha256 && told.size === image.size) return told;
  const { mtimeMs } = await stat(path);
  return recordOfOrphan(filename, image, readerOfFile(path), Math.round(mtimeMs));
}

async function insert({ committer, layout }: LocalStore, record: ImageRecord): Promise<void> {
  const folders = [dirname(layout.image(record.filename))];
  const outcome = await committer.submit({ kind: 'insert', record }, folders);
  // The key has gone to another image meanwhile, and stays there.
  if (!outcome.done && outcome.why === 'key_taken') {
    await committer.submit({ kind: 'insert', record: { ...record, idempotencyKey: '' } }, folders);
  }
}
