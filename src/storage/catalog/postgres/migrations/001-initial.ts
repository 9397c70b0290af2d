/** The first schema of the Postgres catalog. All tables lie in a schema of the store's own. */

export const INITIAL = `
  CREATE TABLE notes (name text PRIMARY KEY, value text NOT NULL);

  -- What lies at the key of a record. state: live, trashed, deleted, failed, foreign. With a sweep_time the object of a
  -- tombstone is removed again then. record: of a tombstone, what a repeated save is answered with.
  CREATE TABLE entries (
    key text COLLATE "C" PRIMARY KEY,
    etag text NOT NULL,
    state text NOT NULL,
    -- Of the image; leads to its slice.
    timestamp bigint NOT NULL,
    -- Of live images and those in the trash.
    revision integer NOT NULL,
    idempotency_key text COLLATE "C" NOT NULL,
    delete_time bigint,
    sweep_time bigint,
    record text
  );
  CREATE UNIQUE INDEX entries_idempotency ON entries (idempotency_key) WHERE idempotency_key <> '';
  CREATE INDEX entries_sweep ON entries (sweep_time) WHERE sweep_time IS NOT NULL;

  -- The tables of live images, each with those from one timestamp up to another.
  CREATE TABLE slices (
    number integer PRIMARY KEY,
    from_time bigint NOT NULL UNIQUE,
    to_time bigint NOT NULL
  );
  CREATE SEQUENCE slice_numbers AS integer;

  CREATE TABLE trash (
    filename text COLLATE "C" PRIMARY KEY,
    size bigint NOT NULL,
    delete_time bigint NOT NULL,
    purge_time bigint NOT NULL,
    text_bytes integer NOT NULL,
    thumb_hash text,
    head text NOT NULL,
    prompt text NOT NULL,
    generation text NOT NULL,
    parameters text NOT NULL
  );
  CREATE INDEX trash_listed ON trash (delete_time, filename);
  CREATE INDEX trash_due ON trash (purge_time);

  -- Live images that go by themselves.
  CREATE TABLE expiries (filename text COLLATE "C" PRIMARY KEY, expire_time bigint NOT NULL, pinned boolean NOT NULL);
  CREATE INDEX expiries_due ON expiries (expire_time) WHERE NOT pinned;

  -- Live images that were copied, adopted, brought back or unpinned, and when; kept for two days.
  CREATE TABLE arrivals (filename text COLLATE "C" PRIMARY KEY, time bigint NOT NULL);
  CREATE INDEX arrivals_old ON arrivals (time);

  -- Half of the sha256 of bytes that were deleted within about a year, and not saved again.
  CREATE TABLE deleted_bytes (sha256 text COLLATE "C" PRIMARY KEY, delete_time bigint NOT NULL);
  CREATE INDEX deleted_bytes_old ON deleted_bytes (delete_time);

  -- Sums over live images, and what was added to them since they were folded. kind: total, pinned, trash (name ''), model,
  -- category, date, tag, lora, slice (its number).
  CREATE TABLE sums (
    kind text NOT NULL,
    name text COLLATE "C" NOT NULL,
    count bigint NOT NULL,
    bytes bigint NOT NULL,
    PRIMARY KEY (kind, name)
  );
  CREATE INDEX sums_largest ON sums (kind, bytes DESC, name);
  CREATE TABLE sum_deltas (
    number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind text NOT NULL,
    name text COLLATE "C" NOT NULL,
    count bigint NOT NULL,
    bytes bigint NOT NULL
  );
`;

/** The table of a slice. Long columns go out of line, so that a walk reads little. */
export function sliceTable(name: string): string {
  return `
    CREATE TABLE ${name} (
      timestamp bigint NOT NULL,
      size bigint NOT NULL,
      create_time bigint NOT NULL,
      change bigint NOT NULL,
      -- Of the texts that a list returns.
      text_bytes integer NOT NULL,
      pinned boolean NOT NULL,
      -- Some words are left out: only its texts tell whether a query finds it.
      is_cut boolean NOT NULL,
      filename text COLLATE "C" NOT NULL,
      model_slug text COLLATE "C" NOT NULL,
      model text COLLATE "C" NOT NULL,
      category text COLLATE "C" NOT NULL,
      sha256 text COLLATE "C" NOT NULL,
      -- Words in the order of their numbers.
      steps text COLLATE "C",
      cfg text COLLATE "C",
      pixels text COLLATE "C" NOT NULL,
      tags text[] COLLATE "C" NOT NULL,
      loras text[] COLLATE "C" NOT NULL,
      thumb_hash text,
      words tsvector NOT NULL,
      head text NOT NULL,
      prompt text NOT NULL,
      generation text NOT NULL,
      parameters text NOT NULL,
      -- size spares counts and cleanups the rows.
      PRIMARY KEY (timestamp, filename) INCLUDE (size)
    ) WITH (toast_tuple_target = 512);
    CREATE INDEX ${name}_model ON ${name} (model_slug, timestamp, filename);
    CREATE INDEX ${name}_category ON ${name} (category, timestamp, filename) WHERE category <> '';
    CREATE INDEX ${name}_pinned ON ${name} (timestamp, filename) WHERE pinned;
    CREATE INDEX ${name}_unhashed ON ${name} (timestamp) WHERE thumb_hash IS NULL;
    CREATE INDEX ${name}_words ON ${name} USING gin (words) WITH (fastupdate = off);
  `;
}
