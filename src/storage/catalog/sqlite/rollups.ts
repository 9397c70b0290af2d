/** The rollups that statistics are read from: writes what a transaction adds and removes, once. */
import { Sums } from '../sums.ts';
import type { Connection } from './connection.ts';

export class Rollups extends Sums {
  /** Requires that the transaction is open and has made its last change. */
  write(db: Connection): void {
    for (const { kind, name, count, bytes } of this.changed()) {
      db.run(
        `INSERT INTO rollups (kind, name, count, bytes) VALUES (?, ?, ?, ?)
         ON CONFLICT DO UPDATE SET count = count + excluded.count, bytes = bytes + excluded.bytes`,
        kind,
        name,
        count,
        bytes,
      );
      if (count < 0) db.run('DELETE FROM rollups WHERE kind = ? AND name = ? AND count = 0', kind, name);
    }
  }
}
