/** The rollups of tags, kind `tag`, which an older catalog fills behind the calls that it serves. */
import { NO_TIMESTAMP } from './003-timeline.ts';

/** `[timestamp, filename]`: older images are not counted. Not there where all are. */
export const COUNTED_FROM = 'tags_counted_from';

export const TAG_COUNTS = `
  INSERT INTO store (name, value) SELECT '${COUNTED_FROM}', '[${NO_TIMESTAMP},""]' WHERE EXISTS (SELECT 1 FROM images);
`;
