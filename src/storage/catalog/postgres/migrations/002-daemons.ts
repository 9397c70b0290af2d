/** Adds the daemons that share the index, by which it is known whether it has all that they acknowledged. */

export const DAEMONS = `
  CREATE TABLE daemons (
    id text COLLATE "C" PRIMARY KEY,
    seen timestamptz NOT NULL,
    -- The last roll call (in notes) before which all rows of it had been written; -1: none.
    answered bigint NOT NULL
  );
`;
