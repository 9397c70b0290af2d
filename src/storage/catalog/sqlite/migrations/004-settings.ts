/** What is read of the parameters, and a text index with it, which an older catalog fills behind the calls it serves. */
import { NO_TIMESTAMP, SEARCH_TABLES } from './003-timeline.ts';

export const SETTINGS = `
  -- Derived from prompt and parameters of a live image. generation is JSON, or empty where they name nothing. An image
  -- that the text index lacks may have no row.
  CREATE TABLE settings (seq INTEGER PRIMARY KEY, has_workflow INTEGER NOT NULL, generation TEXT NOT NULL) STRICT;

  DROP TABLE prompts;
  DROP TABLE timeline;
  DROP TABLE crowded;
  ${SEARCH_TABLES}
  DELETE FROM store WHERE name = 'indexed_from';
  INSERT INTO store (name, value) SELECT 'indexed_from', ${NO_TIMESTAMP} WHERE EXISTS (SELECT 1 FROM images);
`;
