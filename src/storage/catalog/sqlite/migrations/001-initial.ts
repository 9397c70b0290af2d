/** The first schema of the SQLite catalog. */

export const INITIAL = `
  CREATE TABLE store (name TEXT PRIMARY KEY, value ANY) STRICT, WITHOUT ROWID;

  -- Live images and, with a delete_time, the tombstones that keep filename and key taken.
  -- seq is never used again; long columns come last, so that the others are read without them.
  CREATE TABLE images (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    filename TEXT NOT NULL UNIQUE,
    key TEXT NOT NULL,
    size INTEGER NOT NULL,
    sha256 TEXT NOT NULL,
    content_type TEXT NOT NULL,
    width INTEGER NOT NULL,
    height INTEGER NOT NULL,
    create_time INTEGER NOT NULL,
    timestamp INTEGER NOT NULL,
    pinned INTEGER NOT NULL,
    delete_time INTEGER,
    unlink_pending INTEGER NOT NULL DEFAULT 0,
    model_slug TEXT NOT NULL,
    model TEXT NOT NULL,
    category TEXT NOT NULL,
    idempotency_key TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    nonce TEXT,
    tags TEXT NOT NULL,
    prompt TEXT NOT NULL,
    parameters_json TEXT NOT NULL
  ) STRICT;
  CREATE UNIQUE INDEX images_key ON images (idempotency_key) WHERE idempotency_key <> '';
  CREATE INDEX images_deleted ON images (delete_time) WHERE delete_time IS NOT NULL;
  CREATE INDEX images_unlink ON images (unlink_pending) WHERE unlink_pending = 1;

  -- The orders that lists walk; size and pinned spare Cleanup the rows.
  CREATE INDEX images_time ON images (timestamp, filename, size, pinned) WHERE delete_time IS NULL;
  CREATE INDEX images_model ON images (model_slug, timestamp, filename, size, pinned) WHERE delete_time IS NULL;
  CREATE INDEX images_category ON images (category, timestamp, filename, size, pinned) WHERE delete_time IS NULL AND category <> '';
  CREATE INDEX images_pinned ON images (pinned, timestamp, filename, size) WHERE delete_time IS NULL AND pinned = 1;

  -- Of live images only, like the table of prompts.
  CREATE TABLE image_tags (tag TEXT NOT NULL, seq INTEGER NOT NULL, PRIMARY KEY (tag, seq)) STRICT, WITHOUT ROWID;
  CREATE VIRTUAL TABLE prompts USING fts5(text, content='', contentless_delete=1, tokenize='ascii');

  -- Sums over live images. kind: total and pinned (name ''), model, category, date.
  CREATE TABLE rollups (
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    count INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    PRIMARY KEY (kind, name)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX rollups_largest ON rollups (kind, bytes DESC, name, count);
`;
