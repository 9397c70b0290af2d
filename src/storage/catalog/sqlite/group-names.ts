/** Tells by which names an image is grouped. */
import { Calendar } from '../../domain/calendar.ts';
import type { GroupBy } from '../../domain/requests.ts';
import { namesOf } from '../sums.ts';
import type { Connection } from './connection.ts';
import { lorasOf } from './label-counts.ts';
import type { Hit } from './query.ts';

/** Returns a function that returns the names of the groups of an image: several tags or LoRAs, else one; '' is none. */
export function groupNames(db: Connection, by: GroupBy | undefined, timeZone?: string): (hit: Hit) => Iterable<string> {
  switch (by) {
    case undefined:
      return () => [];
    case 'day':
    case 'month': {
      const calendar = new Calendar(by, timeZone);
      return ({ timestamp }) => [calendar.periodAt(timestamp).name];
    }
    case 'model':
    case 'category':
      return ({ seq }) => [db.value(`SELECT ${by} FROM images WHERE seq = ?`, seq) as string];
    case 'tag':
      return ({ seq }) => namesOf(JSON.parse(db.value('SELECT tags FROM images WHERE seq = ?', seq) as string));
    case 'lora':
      return ({ seq }) => namesOf(lorasOf(db, seq));
  }
}
