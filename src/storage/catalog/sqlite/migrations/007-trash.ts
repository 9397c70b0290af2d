/** Images in the trash, those with a time to live, and when images came that were not saved here. */

export const TRASH = `
  -- Rows of images that can be brought back: their delete_time in images is IN_TRASH, so that they are neither live nor
  -- tombstones. Times are ms since 1970.
  CREATE TABLE trash (
    seq INTEGER PRIMARY KEY,
    filename TEXT NOT NULL,
    size INTEGER NOT NULL,
    delete_time INTEGER NOT NULL,
    purge_time INTEGER NOT NULL,
    -- How often its files were about to be moved back.
    attempts INTEGER NOT NULL DEFAULT 0
  ) STRICT;
  CREATE INDEX trash_listed ON trash (delete_time, filename);
  CREATE INDEX trash_due ON trash (purge_time, filename, size);

  -- Live images that go by themselves.
  CREATE TABLE expiries (seq INTEGER PRIMARY KEY, expire_time INTEGER NOT NULL) STRICT;
  CREATE INDEX expiries_due ON expiries (expire_time);

  -- Live images that were copied, adopted, brought back or unpinned, and when; kept for a day.
  CREATE TABLE arrivals (seq INTEGER PRIMARY KEY, time INTEGER NOT NULL) STRICT;
  CREATE INDEX arrivals_old ON arrivals (time);

  -- Of deletes, restores and purges in a bucket: the delete before, and how long the image stays in the trash.
  ALTER TABLE pending_operations ADD COLUMN last_delete TEXT;
  ALTER TABLE pending_operations ADD COLUMN keep_ms INTEGER;
`;

/** The `delete_time` of a row that is in the trash: later than any tombstone's. */
export const IN_TRASH: number = Number.MAX_SAFE_INTEGER;
