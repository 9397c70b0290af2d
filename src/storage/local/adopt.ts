/** Commits an image whose bytes are in place without a row in the catalog, such as one restored from a backup. */
import { dirname } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { placeFile, readText, syncFile, syncFolder } from '../disk/files.ts';
import { chunksOf, NotPlainError, openPlain } from '../disk/plain-files.ts';
import { revisionOf } from '../domain/changes.ts';
import { bareRecord, type ImageRecord, type StoredRecord } from '../domain/record.ts';
import { formatRecord, parseRecord } from '../domain/record-file.ts';
import { readerOfHandle } from '../embedded/read-at.ts';
import { inspectOrphan, recordOfOrphan } from '../maintenance/orphan.ts';
import { quarantine } from './quarantine.ts';
import type { LocalStore } from './store.ts';

const CHUNK_BYTES = 256 * 1024;

/** Rejects with a save's StorageErrors, and no change, where the bytes are not a whole image of the filename's type. */
export async function adoptImage(store: LocalStore, filename: string): Promise<void> {
  const { layout } = store;
  const record = await recordFor(store, filename, layout.image(filename), layout.record(filename));
  // Before the commit: after a crash between the two, a rebuild must not drop the image for an earlier delete.
  await store.audit.broughtBack(record, 'adopt', store.context.now());
  await syncFile(store.layout.image(filename));
  await insert(store, record);
  await correctRecord(store, filename);
}

/** Takes an image without a row whose bytes are in the trash into the trash, from now on. Rejects as `adoptImage`. */
export async function adoptTrashed(store: LocalStore, filename: string): Promise<void> {
  const { catalog, context, layout } = store;
  const record = await recordFor(store, filename, layout.trashedImage(filename), layout.trashedRecord(filename));
  const deleteTime = context.now();
  await catalog.loadTrash([{ ...record, deleteTime, purgeTime: deleteTime + store.keepMs }]);
  store.unlinksPending = true;
}

/** Makes the record file match the catalog, unless the image was deleted; moves a file that differs to quarantine. */
export async function correctRecord({ catalog, folders, layout }: LocalStore, filename: string): Promise<void> {
  const record = await catalog.find(filename);
  if (record === undefined) return;
  const path = layout.record(filename);
  const text = await readText(path).catch(unreadable);
  const told = text === undefined ? undefined : parseRecord(text, filename);
  if (told !== undefined && isSound(told, record)) await syncFile(path);
  else {
    if (text !== undefined) await quarantine(layout, folders, path);
    await folders.within(dirname(path), () => placeFile(path, formatRecord(record)));
    await folders.setFileMode(path);
  }
  await syncFolder(dirname(path));
}

/**
 * Returns whether a record file says what the row has. Its revision may be higher: where an older version rebuilt the
 * catalog, the row lost it.
 */
export function isSound(told: ImageRecord, row: StoredRecord): boolean {
  if (revisionOf(told) < revisionOf(row)) return false;
  const { revision: _, ...record } = bareRecord(row);
  const { revision: __, ...found } = told;
  return isDeepStrictEqual(found, record);
}

/** Returns no text for what is no file but can be moved as one. */
function unreadable(error: unknown): string {
  if (error instanceof NotPlainError && error.code !== 'EISDIR') return '';
  throw error;
}

/** Returns what the record file says, if it matches the bytes, else what filename and embedded metadata say. */
async function recordFor(
  { context }: LocalStore,
  filename: string,
  imagePath: string,
  recordPath: string,
): Promise<ImageRecord> {
  await using file = await openPlain(imagePath);
  const image = await inspectOrphan(filename, chunksOf(file, CHUNK_BYTES), context.limits.imageCheck);
  const text = await readText(recordPath).catch(unreadable);
  const told = parseRecord(text ?? '', filename);
  if (told?.sha256 === image.sha256 && told.size === image.size) return told;
  const { mtimeMs } = await file.stat();
  return await recordOfOrphan(filename, image, readerOfHandle(file), Math.round(mtimeMs));
}

async function insert({ committer, layout, context }: LocalStore, record: ImageRecord): Promise<void> {
  const folders = [dirname(layout.image(record.filename))];
  const change = { kind: 'insert', record, arrival: context.now() } as const;
  const outcome = await committer.submit(change, folders);
  // Another image has the idempotency key by now, and keeps it.
  if (!outcome.done && outcome.why === 'key_taken') {
    await committer.submit({ ...change, record: { ...record, idempotencyKey: '' } }, folders);
  }
}
