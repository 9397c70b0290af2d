/** Carries out changes of the index: reads what they depend on, applies them in memory, writes what differs. */

import { revisionOf } from '../../domain/changes.ts';
import { recordKey } from '../../domain/naming.ts';
import type { ImageRecord } from '../../domain/record.ts';
import { type BucketChange, type FoundRecord, type IndexMark, MISSING_ETAG } from '../bucket-catalog.ts';
import { recordOfDeleted, stepOf } from '../found-record.ts';
import { Sums } from '../sums.ts';
import { dropOldDeleted, noteFates } from './deleted-bytes.ts';
import {
  addedOf,
  addRows,
  type Entry,
  type Image,
  type Known,
  type LiveRow,
  removeRows,
  type Wanted,
  writeEntries,
} from './differences.ts';
import { setNotes } from './migrate.ts';
import { type Pool, type Transaction, unavailable } from './pool.ts';
import { FORGOTTEN } from './roll-call.ts';
import { storable } from './rows.ts';
import { createSlice, lockShared, type Slice, sliceAt, slicesOf, tableOf } from './slices.ts';
import { epochOf, nextChange } from './state.ts';
import { addDeltas } from './sums.ts';

const ARRIVALS_KEPT_MS = 48 * 60 * 60 * 1000;

type Found = BucketChange & { kind: 'found' };
/** The changes that concern the index: the others are of operations, which no other daemon needs to know. */
export type IndexChange = Exclude<BucketChange, { kind: 'begin' | 'end' }>;

/** What a transaction has changed. */
interface Applied {
  /** How far the index is by it; unset: nothing is new. */
  mark?: IndexMark | undefined;
  /** How many images were added to each slice. */
  added: ReadonlyMap<number, number>;
}

/** Applies the changes in order, in one transaction. `write` runs it. */
export async function applyChanges(
  pool: Pool,
  changes: readonly IndexChange[],
  write: Pool['write'] = (work) => pool.write(work),
): Promise<Applied> {
  const timestamps = changes.flatMap((change) => timestampOf(change) ?? []);
  for (;;) {
    const { missing, ...applied } = await write((transaction) =>
      applyIn(transaction, pool.schema, changes, timestamps),
    );
    if (missing === undefined) return applied;
    await createSlice(pool, missing);
  }
}

function timestampOf(change: IndexChange): number | undefined {
  return change.kind === 'found' && change.found.kind === 'live' ? change.found.record.timestamp : undefined;
}

/** `missing`: a timestamp that has no slice yet; then nothing was changed. */
async function applyIn(
  transaction: Transaction,
  schema: string,
  changes: readonly IndexChange[],
  timestamps: readonly number[],
): Promise<Applied & { missing?: number }> {
  await lockShared(transaction, schema);
  const names = [...new Set(changes.flatMap((change) => ('filename' in change ? change.filename : [])))];
  const entries = await entriesOf(transaction, names);
  const { slices, missing } = await slicesOf(transaction, [
    ...timestamps,
    ...entries.filter(({ state }) => state === 'live').map(({ timestamp }) => timestamp),
  ]);
  if (missing !== undefined) return { missing, added: new Map() };
  const batch = new Batch(await imagesOf(transaction, names, entries, slices));
  await batch.readKeys(transaction, changes);
  for (const change of changes) batch.apply(change);
  const applied = await batch.write(transaction, slices);
  for (const change of changes) await note(transaction, change);
  return applied;
}

async function entriesOf(transaction: Transaction, names: readonly string[]): Promise<Entry[]> {
  if (names.length === 0) return [];
  const sql = 'SELECT * FROM entries WHERE key = ANY($1) ORDER BY key FOR UPDATE';
  return transaction.rows<Entry>(sql, [names.map(recordKey)]);
}

async function imagesOf(
  transaction: Transaction,
  names: readonly string[],
  entries: readonly Entry[],
  slices: readonly Slice[],
): Promise<Map<string, Image>> {
  const byKey = new Map(entries.map((entry) => [entry.key, entry]));
  const live = new Map<string, LiveRow>();
  for (const slice of slices) {
    const there = names.filter((name) => {
      const entry = byKey.get(recordKey(name));
      return entry?.state === 'live' && sliceAt([slice], entry.timestamp) !== undefined;
    });
    if (there.length === 0) continue;
    const sql = `
      SELECT timestamp, filename, size, pinned, model, category, sha256, tags, loras, thumb_hash FROM ${tableOf(slice)}
      WHERE (timestamp, filename) IN (SELECT * FROM unnest($1::bigint[], $2::text[]))`;
    const times = there.map((name) => byKey.get(recordKey(name))!.timestamp);
    for (const row of await transaction.rows<LiveRow>(sql, [times, there])) live.set(row.filename, row);
  }
  const inTrash = entries.some(({ state }) => state === 'trashed')
    ? await transaction.rows<{ filename: string; size: number; thumb_hash: string | null }>(
        'SELECT filename, size, thumb_hash FROM trash WHERE filename = ANY($1)',
        [names],
      )
    : [];
  const trashed = new Map(inTrash.map((row) => [row.filename, row]));
  const arrived =
    live.size === 0
      ? []
      : await transaction.rows<{ filename: string; time: number }>(
          'SELECT filename, time FROM arrivals WHERE filename = ANY($1)',
          [[...live.keys()]],
        );
  const arrivals = new Map(arrived.map(({ filename, time }) => [filename, time]));
  return new Map(
    names.map((filename) => {
      const known: Known = {
        entry: byKey.get(recordKey(filename)),
        live: live.get(filename),
        trashed: trashed.get(filename),
        arrival: arrivals.get(filename),
      };
      const thumbHash = known.live?.thumb_hash ?? known.trashed?.thumb_hash ?? undefined;
      const image: Image = {
        filename,
        known,
        entry: known.entry,
        wanted: 'kept',
        pinned: known.live?.pinned,
        arrival: known.arrival,
        isLive: known.live !== undefined,
        sha256: known.live?.sha256,
        thumbHash,
      };
      return [filename, image];
    }),
  );
}

/** The images that a group of changes is about. */
class Batch {
  readonly #images: Map<string, Image>;
  /** Which record has an idempotency key. */
  readonly #keys = new Map<string, string>();
  readonly #fates = new Map<string, number | undefined>();

  constructor(images: Map<string, Image>) {
    this.#images = images;
  }

  async readKeys(transaction: Transaction, changes: readonly IndexChange[]): Promise<void> {
    const keys = changes.flatMap((change) => (change.kind === 'found' ? keyIn(change.found) || [] : []));
    if (keys.length === 0) return;
    const sql = 'SELECT idempotency_key, key FROM entries WHERE idempotency_key = ANY($1)';
    const rows = await transaction.rows<{ idempotency_key: string; key: string }>(sql, [keys]);
    for (const row of rows) this.#keys.set(row.idempotency_key, row.key);
  }

  apply(change: IndexChange): void {
    if (!('filename' in change)) return;
    const image = this.#images.get(change.filename)!;
    const { entry } = image;
    if (change.kind === 'found') this.#found(image, change);
    else if (entry === undefined) return;
    else if (change.kind === 'sweep') {
      if (entry.delete_time !== null) image.entry = { ...entry, sweep_time: change.sweepTime };
    } else if (entry.delete_time === null && entry.etag === change.over) {
      image.entry = { ...entry, etag: MISSING_ETAG };
    }
  }

  #found(image: Image, { found, over, sweepTime = 0, arrival }: Found): void {
    const etag = image.entry?.etag;
    const isNews = found.kind === 'absent' ? etag !== undefined : etag !== found.etag;
    if (!isNews || (found.kind !== 'tombstone' && etag !== over && !follows(image, found))) return;
    const arrivedAt = found.kind === 'live' ? arrivalOf(image, found.record, arrival) : undefined;
    const last = image.entry?.idempotency_key;
    if (last) this.#keys.delete(last);
    image.entry = this.#entryOf(image.filename, found, sweepTime);
    image.wanted = wantedOf(image, found, image.entry?.idempotency_key ?? '', arrivedAt);
    image.isLive = image.wanted?.kind === 'live';
    image.sha256 = sha256In(found) ?? image.sha256;
    const fate = fateIn(found);
    if (image.sha256 && fate !== undefined) this.#fates.set(image.sha256, fate.deletedAt);
    image.pinned = image.wanted?.kind === 'live' ? image.wanted.record.pinned : undefined;
    image.arrival = arrivedAt;
    if (image.wanted === undefined) image.thumbHash = undefined;
  }

  #entryOf(filename: string, found: FoundRecord, sweepTime: number): Entry | undefined {
    if (found.kind === 'absent') return undefined;
    const key = recordKey(filename);
    const idempotencyKey = this.#takeKey(keyIn(found), key);
    const plain = { key, etag: found.etag, timestamp: 0, revision: 0, idempotency_key: idempotencyKey };
    const none = { delete_time: null, sweep_time: null, record: null };
    switch (found.kind) {
      case 'live':
        return {
          ...plain,
          ...none,
          state: 'live',
          timestamp: found.record.timestamp,
          revision: revisionOf(found.record),
        };
      case 'trashed': {
        const { record } = found.trashed;
        return { ...plain, ...none, state: 'trashed', timestamp: record.timestamp, revision: revisionOf(record) };
      }
      case 'tombstone': {
        const { tombstone } = found;
        const times = { delete_time: tombstone.deleteTime, sweep_time: sweepTime };
        const record = storable(JSON.stringify({ ...recordOfDeleted(tombstone), idempotencyKey }));
        return { ...plain, ...times, state: tombstone.kind, timestamp: tombstone.timestamp, record };
      }
      case 'foreign':
        return { ...plain, ...none, state: 'foreign' };
    }
  }

  /** Returns the key, or none where another image has it. */
  #takeKey(idempotencyKey: string, key: string): string {
    if (idempotencyKey === '') return '';
    const holder = this.#keys.get(idempotencyKey) ?? key;
    if (holder !== key) return '';
    this.#keys.set(idempotencyKey, key);
    return idempotencyKey;
  }

  async write(transaction: Transaction, slices: readonly Slice[]): Promise<Applied> {
    const images = [...this.#images.values()].sort((a, b) => (a.filename < b.filename ? -1 : 1));
    if (!images.some(({ entry, known, wanted }) => entry !== known.entry || wanted !== 'kept')) {
      return { added: new Map() };
    }
    await writeEntries(transaction, images);
    const changed = images.filter(({ wanted }) => wanted !== 'kept');
    // Before others wait for this transaction.
    const added = addedOf(changed, slices);
    const mark = await nextChange(transaction);
    if (changed.length === 0) return { mark, added: new Map() };
    await noteFates(transaction, this.#fates);
    const sums = new Sums();
    await removeRows(transaction, changed, slices, sums);
    await addRows(transaction, added, { sums, change: mark.change });
    await addDeltas(transaction, sums.changed());
    return { mark, added: new Map(added.ofSlices.map(({ slice, rows }) => [slice.number, rows.length])) };
  }
}

/** Returns whether bytes are there or were deleted, where that is told. */
function fateIn(found: FoundRecord): { deletedAt?: number } | undefined {
  if (found.kind === 'live') return {};
  if (found.kind === 'trashed') return { deletedAt: found.trashed.deleteTime };
  const isDelete = found.kind === 'tombstone' && found.tombstone.kind === 'deleted';
  return isDelete ? { deletedAt: found.tombstone.deleteTime } : undefined;
}

function sha256In(found: FoundRecord): string | undefined {
  if (found.kind === 'live') return found.record.sha256;
  return found.kind === 'trashed' ? found.trashed.record.sha256 : undefined;
}

/** Returns the key of the save; a failed one has none. */
function keyIn(found: FoundRecord): string {
  if (found.kind === 'live') return storable(found.record.idempotencyKey);
  if (found.kind === 'trashed') return storable(found.trashed.record.idempotencyKey);
  if (found.kind === 'tombstone' && found.tombstone.kind === 'deleted') return storable(found.tombstone.idempotencyKey);
  return '';
}

/** Returns whether it is a later state than the image that the index has, however it came to that. */
function follows({ entry }: Image, found: FoundRecord): boolean {
  const step = stepOf(found);
  if (entry === undefined || step === undefined) return false;
  if (entry.state !== 'live' && entry.state !== 'trashed') return false;
  return step > 2 * entry.revision + Number(entry.state === 'trashed');
}

/** Returns when an image came that is about to be live. */
function arrivalOf(image: Image, { pinned }: ImageRecord, now: number | undefined): number | undefined {
  return !image.isLive || (image.pinned && !pinned) ? now : image.arrival;
}

function wantedOf(
  { thumbHash }: Image,
  found: FoundRecord,
  idempotencyKey: string,
  arrival: number | undefined,
): Wanted {
  const kept = { idempotencyKey, ...(thumbHash !== undefined && { thumbHash }) };
  if (found.kind === 'live') return { kind: 'live', record: { ...found.record, ...kept }, arrival };
  if (found.kind !== 'trashed') return undefined;
  const { record, deleteTime, purgeTime } = found.trashed;
  return { kind: 'trashed', record: { ...record, ...kept }, deleteTime, purgeTime };
}

async function note(transaction: Transaction, change: IndexChange): Promise<void> {
  if (change.kind === 'probed') await setNotes(transaction, { probed: '1' });
  if (change.kind !== 'filled') return;
  const { comparedAt, epoch } = change;
  if (epoch !== undefined && epoch !== (await epochOf(transaction))) {
    throw unavailable(undefined, 'the index was found to be behind its bucket meanwhile');
  }
  await transaction.rows("DELETE FROM notes WHERE name = 'walk'");
  await setNotes(transaction, { filled: '1', ...(comparedAt !== undefined && { compared: `${comparedAt}` }) });
  if (comparedAt === undefined) return;
  await transaction.rows(`DELETE FROM daemons WHERE seen < clock_timestamp() - ${FORGOTTEN}`);
  await transaction.rows('DELETE FROM arrivals WHERE time < $1', [comparedAt - ARRIVALS_KEPT_MS]);
  await dropOldDeleted(transaction, comparedAt);
}
