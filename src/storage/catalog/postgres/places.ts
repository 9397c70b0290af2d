/** Finds where live images are by their names. */
import { recordKey } from '../../domain/naming.ts';
import type { Position } from '../../domain/requests.ts';
import type { Transaction } from './pool.ts';
import { type Slice, sliceAt, slicesOf } from './slices.ts';

/** Returns the name of the image whose record has this key. */
export function filenameIn(key: string): string {
  return key.slice(key.lastIndexOf('/') + 1, -'.json'.length);
}

/** Returns the positions of the live images of these names, by slice. */
export async function placesOf(
  transaction: Transaction,
  filenames: readonly string[],
): Promise<Map<Slice, Position[]>> {
  const sql = "SELECT key, timestamp FROM entries WHERE key = ANY($1) AND state = 'live'";
  const entries = await transaction.rows<{ key: string; timestamp: number }>(sql, [filenames.map(recordKey)]);
  const { slices } = await slicesOf(
    transaction,
    entries.map(({ timestamp }) => timestamp),
  );
  const places = entries.map(({ key, timestamp }) => ({ timestamp, filename: filenameIn(key) }));
  return Map.groupBy(places, ({ timestamp }) => sliceAt(slices, timestamp)!);
}
