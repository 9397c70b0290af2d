/** The state that the parts of an open local store share. */
import type { KeyedQueue } from '../async/keyed-queue.ts';
import type { LocalCatalog } from '../catalog/catalog.ts';
import type { Folders } from '../disk/files.ts';
import type { ProviderContext } from '../types.ts';
import type { AuditLog } from './audit-log.ts';
import type { Committer } from './committer.ts';
import type { LocalCondition } from './condition.ts';
import type { Layout } from './layout.ts';
import type { Recovery } from './recovery.ts';
import type { Reserve } from './reserve.ts';

/** Minimum time that the catalog keeps the filename and the idempotency key of a deleted image. */
export const LOCAL_TOMBSTONE_MS: number = 24 * 60 * 60 * 1000;

export interface LocalStore {
  storeId: string;
  /** The generation of the catalog at this start. */
  generation: number;
  layout: Layout;
  context: ProviderContext;
  catalog: LocalCatalog;
  committer: Committer;
  folders: Folders;
  audit: AuditLog;
  condition: LocalCondition;
  reserve: Reserve;
  recovery: Recovery;
  /** Serializes work on the files of one image. */
  byFilename: KeyedQueue;
  /** Serializes commits with the same idempotency key. */
  byKey: KeyedQueue;
  /** Committed deletes have files to unlink or to move, or folders to sync; upkeep does so and resets this. */
  unlinksPending: boolean;
  /** Images whose files this process has moved into the trash whole; upkeep only syncs them, and removes the names. */
  moved: Set<string>;
  /** For how long files of the trash are kept of which nothing tells when they came, in ms. */
  keepMs: number;
}
