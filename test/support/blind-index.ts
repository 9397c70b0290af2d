/** Empties the text index of a closed catalog, which stays sound: searches then find nothing, lists everything. */
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { filesBelow } from './files.ts';

/** `folder` is that of a local store, or of the state of a bucket. */
export async function blindIndexIn(folder: string): Promise<void> {
  const catalog = (await filesBelow(folder)).find((path) => path.endsWith('catalog.db'))!;
  const db = new DatabaseSync(join(folder, catalog));
  const tables = db.prepare("SELECT name FROM sqlite_master WHERE sql LIKE 'CREATE VIRTUAL TABLE%fts5%'").all();
  for (const { name } of tables) db.exec(`INSERT INTO ${name} (${name}) VALUES ('delete-all')`);
  db.close();
}
