/** The additional tables of an object store's catalog: the keys of records, and pending operations. */

export const BUCKETS = `
  -- What lies at the key of a record; with a delete_time a tombstone, whose object is removed again at sweep_time.
  CREATE TABLE bucket_records (
    key TEXT PRIMARY KEY,
    etag TEXT NOT NULL,
    delete_time INTEGER,
    sweep_time INTEGER
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX bucket_records_sweep ON bucket_records (sweep_time) WHERE sweep_time IS NOT NULL;

  CREATE TABLE pending_operations (
    nonce TEXT PRIMARY KEY,
    kind TEXT NOT NULL,
    filename TEXT NOT NULL,
    idempotency_key TEXT NOT NULL,
    fingerprint TEXT NOT NULL
  ) STRICT, WITHOUT ROWID;
`;
