/** The changes of the catalog of an object store: what was found at the keys of records, and pending operations. */
import { revisionOf } from '../../domain/changes.ts';
import { imageKey } from '../../domain/naming.ts';
import type { ImageRecord } from '../../domain/record.ts';
import type { BucketChange, FoundRecord, PendingOperation, RecordTombstone } from '../bucket-catalog.ts';
import type { EarlierSave } from '../catalog.ts';
import { BucketRecords } from './bucket-records.ts';
import type { Connection } from './connection.ts';
import type { Derived } from './derived.ts';
import type { ImageRows } from './image-rows.ts';
import { knownRevision } from './revisions.ts';

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

  #noteFound({ filename, found, over, sweepTime = 0 }: BucketChange & { kind: 'found' }, derived: Derived): void {
    const known = this.#records.known(filename)?.etag;
    const isNews = found.kind === 'absent' ? known !== undefined : known !== found.etag;
    if (!isNews || (found.kind !== 'tombstone' && known !== over && !this.#isUpdate(filename, found))) return;
    this.#index(filename, found, derived);
    this.#records.note(filename, found, sweepTime);
  }

  /** Returns whether it is a later revision than the live image that the catalog has, however it came to that. */
  #isUpdate(filename: string, found: FoundRecord): boolean {
    const known = knownRevision(this.#db, filename);
    return found.kind === 'live' && known !== undefined && revisionOf(found.record) > known;
  }

  #index(filename: string, found: FoundRecord, derived: Derived): void {
    const record = this.#rows.drop(filename, derived);
    if (found.kind === 'live') this.#rows.add(this.#rows.withFreeKey(found.record), derived);
    if (found.kind !== 'tombstone' || found.tombstone.kind === 'failed') return;
    const { deleteTime } = found.tombstone;
    this.#rows.addTombstone({ record: record ?? recordOfDeleted(found.tombstone), deleteTime, unlinkPending: false });
  }
}

/** Keeps only the fields that the answer to a repeated save needs. */
function recordOfDeleted({
  filename,
  idempotencyKey,
  fingerprint,
  createTime,
  timestamp,
  pinned,
}: RecordTombstone): ImageRecord {
  const blank = {
    size: 0,
    sha256: '',
    contentType: '',
    width: 0,
    height: 0,
    prompt: '',
    model: '',
    category: '',
    tags: [],
    parametersJson: '',
  };
  return { ...blank, filename, key: imageKey(filename), idempotencyKey, fingerprint, createTime, timestamp, pinned };
}
