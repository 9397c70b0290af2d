/** The sections of docs/object-stores.md that messages send their readers to. */
const PAGE = 'docs/object-stores.md';

export const HELP = {
  format: `${PAGE}#format`,
  conditionalWrites: `${PAGE}#conditional-writes`,
  listings: `${PAGE}#listings`,
  objectLock: `${PAGE}#object-lock`,
  clock: `${PAGE}#clock-skew`,
  emptied: `${PAGE}#an-emptied-bucket`,
  trash: `${PAGE}#trash`,
  index: `${PAGE}#an-index-in-postgres`,
  snapshots: `${PAGE}#snapshots`,
  silence: `${PAGE}#when-the-bucket-does-not-answer`,
} as const;
