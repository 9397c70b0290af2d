/** The text index in the order of time, which an older catalog fills behind the calls that it serves. */

/**
 * Contentless: the prompt itself is in `images`. The text is already folded: the tokenizer only splits at spaces. The
 * rowid is the place of the image in time.
 */
export const SEARCH_TABLES = `
  CREATE VIRTUAL TABLE prompts USING fts5(text, content='', contentless_delete=1, tokenize='ascii');

  -- Where the text index has an image: timestamp << 15 | slot. The slot is any free one of those with its timestamp.
  CREATE TABLE timeline (place INTEGER PRIMARY KEY, seq INTEGER NOT NULL) STRICT;

  -- Timestamps that more images share than there are slots. Some of these images have no place.
  CREATE TABLE crowded (timestamp INTEGER PRIMARY KEY) STRICT;
`;

/** Images before `indexed_from` are not in the text index; none is after this one. */
export const NO_TIMESTAMP = 2 ** 48 - 1;

export const TIMELINE = `
  DROP TABLE image_tags;
  DROP TABLE prompts;
  ${SEARCH_TABLES}
  INSERT INTO store (name, value) SELECT 'indexed_from', ${NO_TIMESTAMP} WHERE EXISTS (SELECT 1 FROM images);
`;
