/** Makes a store as versions before the trash left it: the catalog without what they do not know, and no folder of deletes. */
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';

const WITHOUT_TRASH = `
  BEGIN;
  DROP TABLE trash; DROP TABLE expiries; DROP TABLE arrivals; DROP TABLE revisions;
  PRAGMA user_version = 5;
  COMMIT;
`;

/** Requires a store that was closed, whose images were neither updated nor deleted. */
export async function toBeforeTrash(basePath: string): Promise<void> {
  const db = new DatabaseSync(join(basePath, 'metadata/catalog.db'));
  db.exec(WITHOUT_TRASH);
  db.close();
  await rm(join(basePath, 'metadata/trash'), { recursive: true });
}
