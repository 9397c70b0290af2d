/** Commits an image whose bytes lie in their place without a row: what `verify` and hands that restore a backup leave. */
import { createReadStream } from 'node:fs';
import { open, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { ImageRecord } from '../catalog/types.ts';
import type { ReadAt } from '../embedded/read-at.ts';
import { StorageError } from '../errors.ts';
import { inspectImage, recordOfFoundling } from '../maintenance/foundling.ts';
import { parseRecord } from '../record-file.ts';
import { inodeOf, readText, syncFile } from './files.ts';
import { quarantine } from './quarantine.ts';
import { restoreRecord } from './recovery.ts';
import type { LocalStore } from './store.ts';

const CHUNK_BYTES = 256 * 1024;

/** The StorageErrors of a save where the bytes are no whole image of the type that the name says: nothing has changed then. */
export async function adoptImage(store: LocalStore, filename: string): Promise<void> {
  const { audit, catalog, context, folders, layout } = store;
  const path = layout.image(filename);
  const { record, isTold } = await recordFor(store, filename);
  // Before the commit: a rebuild must not take it for deleted, should it have been so once.
  await audit.broughtBack(record, 'adopt', context.now());
  await syncFile(path);
  await insert(store, record);
  if (!isTold && (await inodeOf(layout.record(filename))) !== undefined) {
    await quarantine(layout, folders, layout.record(filename));
  }
  await restoreRecord(layout, folders, catalog, filename);
}

/** From the record file that fits the bytes, else from filename and embedded metadata. */
async function recordFor(store: LocalStore, filename: string): Promise<{ record: ImageRecord; isTold: boolean }> {
  const { layout } = store;
  const path = layout.image(filename);
  const image = await inspectImage(createReadStream(path, { highWaterMark: CHUNK_BYTES }));
  if (!filename.endsWith(`.${image.extension}`)) {
    throw new StorageError('TYPE_MISMATCH', `the name says another type, the bytes are ${image.contentType}`);
  }
  const told = parseRecord((await readText(layout.record(filename))) ?? '', filename);
  if (told?.sha256 === image.sha256 && told.size === image.size) return { record: told, isTold: true };
  const { mtimeMs } = await stat(path);
  return { record: await recordOfFoundling(filename, image, readerOfFile(path), Math.round(mtimeMs)), isTold: false };
}

async function insert({ committer, layout }: LocalStore, record: ImageRecord): Promise<void> {
  const folders = [dirname(layout.image(record.filename))];
  const outcome = await committer.submit({ kind: 'insert', record }, folders);
  // The key has gone to another image meanwhile, and stays there.
  if (!outcome.done && outcome.why === 'key_taken') {
    await committer.submit({ kind: 'insert', record: { ...record, idempotencyKey: '' } }, folders);
  }
}

function readerOfFile(path: string): ReadAt {
  return async (position, lengthBytes) => {
    await using file = await open(path);
    const { buffer, bytesRead } = await file.read({ buffer: Buffer.allocUnsafe(lengthBytes), position });
    return buffer.subarray(0, bytesRead);
  };
}
