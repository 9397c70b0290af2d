/** Requires that a store's own files are plain files, and its folders no links: SQLite, for one, would follow them. */
import { ifPresent } from '../disk/files.ts';
import { checkFolder, NotPlainError, statPlain } from '../disk/plain-files.ts';
import { StoreOpenError } from '../domain/errors.ts';
import type { Layout } from './layout.ts';
import { reservePieces } from './reserve.ts';

/** Rejects with a StoreOpenError `config` that names the first offence. What is missing passes. */
export async function checkStoreFiles(layout: Layout): Promise<void> {
  const { images, records, staging, logs } = layout;
  const { lock, catalog, format, clean, rebuild, auditLog } = layout;
  const database = [catalog, `${catalog}-wal`, `${catalog}-shm`];
  const files = [lock, ...database, format, ...reservePieces(layout), clean, rebuild, auditLog];
  try {
    for (const path of [images, records, staging, logs]) await ifPresent(checkFolder(path));
    for (const path of files) await ifPresent(statPlain(path));
  } catch (error) {
    throw notPlain(error);
  }
}

/** Returns the StoreOpenError for a NotPlainError; any other error as it is. */
export function notPlain(error: unknown): unknown {
  if (!(error instanceof NotPlainError)) return error;
  const message = `${error.message}; put the file or folder itself there`;
  return new StoreOpenError('config', message, { cause: error });
}
