/** The rollups of tags and LoRAs, kinds `tag` and `lora`, which an older catalog fills behind the calls that it serves. */
import { NO_TIMESTAMP } from './003-timeline.ts';

/** `[timestamp, filename]`: older images are not counted. Not there where all are. */
export const COUNTED_FROM = 'labels_counted_from';

/** The value of COUNTED_FROM where no image is counted. */
export const NONE_COUNTED = `[${NO_TIMESTAMP},""]`;

export const LABEL_COUNTS = `
  INSERT INTO store (name, value) SELECT '${COUNTED_FROM}', '${NONE_COUNTED}' WHERE EXISTS (SELECT 1 FROM images);
`;
