/** The thread that commits groups of records for the floor: one SQLite transaction each, on stable storage when it answers. */
import { DatabaseSync } from 'node:sqlite';
import { parentPort, workerData } from 'node:worker_threads';

const database = new DatabaseSync(workerData as string);
database.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL');
database.exec('CREATE TABLE IF NOT EXISTS images (name TEXT PRIMARY KEY, record TEXT) STRICT');
const insert = database.prepare('INSERT INTO images (name, record) VALUES (?, ?)');

parentPort!.on('message', (group: { name: string; record: string }[]) => {
  database.exec('BEGIN IMMEDIATE');
  for (const { name, record } of group) insert.run(name, record);
  database.exec('COMMIT');
  parentPort!.postMessage('committed');
});
