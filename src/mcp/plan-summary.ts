/** Sums up the images that would be deleted, of which there may be a thousand. */

const SHOWN_FILENAMES = 10;
const SHOWN_MODELS = 5;
const FILENAME = /^(\d{4})(\d\d)(\d\d)_(\d\d)(\d\d)(\d\d)_([a-z0-9-]+)_/;

interface Summary {
  oldest?: string;
  newest?: string;
  /** By slug, those of most images first, then the number of all others. */
  byModel: [model: string | null, count: number][];
  /** Not named again where these are all. */
  tenOldest: string[];
}

/** The names tell time and model of each image. */
export function summaryOf(filenames: readonly string[]): Summary {
  const sorted = filenames.toSorted();
  return {
    oldest: timeIn(sorted[0]),
    newest: timeIn(sorted.at(-1)),
    byModel: byModel(sorted),
    tenOldest: sorted.slice(0, SHOWN_FILENAMES),
  };
}

function timeIn(filename = ''): string | undefined {
  const [, year, month, day, hours, minutes, seconds] = FILENAME.exec(filename) ?? [];
  return year && `${year}-${month}-${day}T${hours}:${minutes}:${seconds}Z`;
}

function byModel(filenames: readonly string[]): Summary['byModel'] {
  const counts = new Map<string, number>();
  for (const filename of filenames) {
    const model = FILENAME.exec(filename)?.[7] ?? '';
    counts.set(model, (counts.get(model) ?? 0) + 1);
  }
  const groups = [...counts].sort(([, one], [, other]) => other - one);
  const rest = groups.slice(SHOWN_MODELS).reduce((sum, [, count]) => sum + count, 0);
  return [...groups.slice(0, SHOWN_MODELS), ...(rest > 0 ? [[null, rest] as [null, number]] : [])];
}
