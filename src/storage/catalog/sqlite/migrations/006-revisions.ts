/** How often images were updated, and which record files may be older than their row. */

export const REVISIONS = `
  -- Of live images that were updated. record_pending: the record file of this revision may not be on stable storage.
  CREATE TABLE revisions (seq INTEGER PRIMARY KEY, revision INTEGER NOT NULL, record_pending INTEGER NOT NULL) STRICT;
  CREATE INDEX revisions_pending ON revisions (record_pending) WHERE record_pending = 1;
`;
