/** The changes of the catalog of an object store: what was found at the keys of records, and pending operations. */
import type { ImageRecord, StoredRecord } from '../../domain/record.ts';
import type { BucketChange, FoundRecord, PendingOperation, RecordInTrash, RecordTombstone } from '../bucket-catalog.ts';
import type { EarlierSave } from '../catalog.ts';
import { recordOfDeleted, stepOf } from '../found-record.ts';
import { BucketRecords } from './bucket-records.ts';
import type { Connection } from './connection.ts';
import type { Derived } from './derived.ts';
import type { ImageRows } from './image-rows.ts';
import { knownStep } from './revisions.ts';

/** What the catalog knows of an image besides its record: the bytes behind a filename never change. */
type Kept = Pick<StoredRecord, 'thumbHash'>;

export class BucketChanges {
  readonly #db: Connection;
  readonly #rows: ImageRows;
  readonly #records: BucketRecords;

  constructor(db: Connection, rows: ImageRows) {
    this.#db = db;
    this.#rows = rows;
    this.#records = new BucketRecords(db);
  }

  /** Requires an open transaction. Returns the image that has the key of a save that was not begun. */
  apply(change: BucketChange, derived: Derived): EarlierSave | undefined {
    if (change.kind === 'begin') return this.#begin(change.operation);
    if (change.kind === 'end') this.#records.end(change.nonce);
    else if (change.kind === 'sweep') this.#records.setSweepTime(change.filename, change.sweepTime);
    else if (change.kind === 'filled') this.#records.setFilled(change.comparedAt);
    else if (change.kind === 'probed') this.#records.setProbed();
    else if (change.kind === 'missing') this.#records.setMissing(change.filename, change.over);
    else this.#noteFound(change, derived);
    return undefined;
  }

  #begin(operation: PendingOperation): EarlierSave | undefined {
    const earlier = operation.kind === 'save' ? this.#rows.withKey(operation.idempotencyKey) : undefined;
    if (earlier === undefined) this.#records.begin(operation);
    return earlier;
  }

  #noteFound(change: BucketChange & { kind: 'found' }, derived: Derived): void {
    const { filename, found, over, sweepTime = 0 } = change;
    const known = this.#records.known(filename)?.etag;
    const isNews = found.kind === 'absent' ? known !== undefined : known !== found.etag;
    if (!isNews || (found.kind !== 'tombstone' && known !== over && !this.#follows(filename, found))) return;
    this.#index(change, derived);
    this.#records.note(filename, found, sweepTime);
  }

  /** Returns whether it is a later state than the image that the catalog has, however it came to that. */
  #follows(filename: string, found: FoundRecord): boolean {
    const [known, step] = [knownStep(this.#db, filename), stepOf(found)];
    return known !== undefined && step !== undefined && step > known;
  }

  #index({ filename, found, arrival: now, searched }: BucketChange & { kind: 'found' }, derived: Derived): void {
    const isThere = this.#rows.isTaken(filename);
    const arrival = isThere && found.kind === 'live' ? this.#arrivalOf(found.record, now) : now;
    const record = isThere ? this.#rows.drop(filename, derived) : undefined;
    const kept: Kept = record?.thumbHash === undefined ? {} : { thumbHash: record.thumbHash };
    if (found.kind === 'live') {
      this.#rows.add({ ...this.#rows.withFreeKey(found.record), ...kept }, derived, arrival, searched);
    } else if (found.kind === 'trashed') this.#addTrashed(found.trashed, kept, derived);
    else if (found.kind === 'tombstone') this.#addTombstone(found.tombstone, record);
  }

  /** Returns when an image came that is about to be live. */
  #arrivalOf({ filename, pinned }: ImageRecord, now: number | undefined): number | undefined {
    const known = this.#rows.live(filename);
    return known === undefined || (known.record.pinned && !pinned) ? now : this.#rows.arrival(known.seq);
  }

  #addTrashed({ record, deleteTime, purgeTime }: RecordInTrash, kept: Kept, derived: Derived): void {
    this.#rows.addTrashed({ ...record, ...kept, deleteTime, purgeTime }, derived, false);
  }

  #addTombstone(tombstone: RecordTombstone, record = recordOfDeleted(tombstone)): void {
    if (tombstone.kind === 'failed') return;
    this.#rows.addTombstone({ record, deleteTime: tombstone.deleteTime, unlinkPending: false });
  }
}
