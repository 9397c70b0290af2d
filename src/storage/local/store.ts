/** What the parts of an open local store share. */
import { unlink } from 'node:fs/promises';
import type { KeyedQueue } from '../async/keyed-queue.ts';
import type { Catalog } from '../catalog/catalog.ts';
import { type Folders, ifPresent } from '../disk/files.ts';
import type { ProviderContext } from '../types.ts';
import type { AuditLog } from './audit-log.ts';
import type { Committer } from './committer.ts';
import type { LocalCondition } from './condition.ts';
import type { Layout } from './layout.ts';

/** How long at least a catalog keeps the filename and the idempotency key of a deleted image. */
export const LOCAL_TOMBSTONE_MS: number = 24 * 60 * 60 * 1000;

export interface LocalStore {
  storeId: string;
  layout: Layout;
  context: ProviderContext;
  catalog: Catalog;
  committer: Committer;
  folders: Folders;
  audit: AuditLog;
  condition: LocalCondition;
  /** Work on the files of one image, in order. */
  byFilename: KeyedQueue;
  /** Commits with one idempotency key, in order. */
  byKey: KeyedQueue;
}

/** Unlinks all names of a deleted image, the record before the bytes; what is gone already is fine. */
export async function unlinkImage(layout: Layout, filename: string, failpoint: (step: string) => void): Promise<void> {
  const record = layout.record(filename);
  const staged = [layout.stagedRecord(filename), layout.part(filename)];
  for (const path of [...staged, `${record}.tmp`, record, layout.image(filename)]) {
    await ifPresent(unlink(path));
    failpoint('unlinked');
  }
}
