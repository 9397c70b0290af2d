/** Tells by which names an image is grouped. */
import { Calendar } from '../../domain/calendar.ts';
import { generationOf } from '../../domain/generation.ts';
import type { ImageRecord } from '../../domain/record.ts';
import type { GroupBy } from '../../domain/requests.ts';
import type { Connection } from './connection.ts';
import type { Hit } from './query.ts';

/** Of images that have none. */
const NONE: readonly string[] = [''];

/** Returns a function that returns the names of the groups of an image: several tags or LoRAs, else one; '' is none. */
export function namesOf(db: Connection, by: GroupBy | undefined, timeZone?: string): (hit: Hit) => readonly string[] {
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
      return ({ seq }) => orNone(JSON.parse(db.value('SELECT tags FROM images WHERE seq = ?', seq) as string));
    case 'lora':
      return ({ seq }) => orNone(lorasOf(db.get(TEXTS, seq) as never));
  }
}

const TEXTS = 'SELECT prompt, parameters_json AS parametersJson FROM images WHERE seq = ?';

function lorasOf(image: Pick<ImageRecord, 'prompt' | 'parametersJson'>): readonly string[] {
  return [...new Set(generationOf(image)?.loras)];
}

function orNone(names: readonly string[]): readonly string[] {
  return names.length === 0 ? NONE : names;
}
