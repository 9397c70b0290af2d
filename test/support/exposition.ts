/** Reads what a scrape got, in the text format of Prometheus or in OpenMetrics, and refuses what either would refuse. */

export interface ScrapedSample {
  name: string;
  labels: Record<string, string>;
  value: number;
}

export interface ScrapedFamily {
  type: string;
  help: string;
  samples: ScrapedSample[];
}

const NAME = /^[a-zA-Z_:][a-zA-Z0-9_:]*$/;
const SAMPLE = /^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)$/;
const LABEL = /([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"(,|$)/y;
const SUFFIXES: Record<string, string[]> = {
  histogram: ['_bucket', '_sum', '_count'],
  summary: ['', '_sum', '_count'],
};

/** Throws at the first line that is not as it must be. */
export function parseExposition(text: string, isOpenMetrics = false): Map<string, ScrapedFamily> {
  const families = new Map<string, ScrapedFamily>();
  const seen = new Set<string>();
  const lines = text.split('\n');
  if (lines.pop() !== '') throw new Error('the last line does not end');
  if (isOpenMetrics && lines.pop() !== '# EOF') throw new Error('no # EOF at the end');
  let current: [name: string, family: ScrapedFamily] | undefined;
  for (const line of lines) {
    if (line === '' && !isOpenMetrics) continue;
    const comment = /^# (HELP|TYPE) (\S+) (.*)$/.exec(line);
    if (comment) {
      const [, kind, name, rest] = comment as unknown as [string, string, string, string];
      if (!NAME.test(name)) throw new Error(`no name: ${line}`);
      if (kind === 'HELP' && families.has(name)) throw new Error(`twice: ${line}`);
      if (kind === 'HELP') families.set(name, { type: 'untyped', help: rest, samples: [] });
      current = [name, families.get(name)!];
      if (kind === 'TYPE') current[1].type = rest;
      continue;
    }
    const [, name, labels = '', value] = (SAMPLE.exec(line) ?? []) as unknown as [string, string, string, string];
    if (name === undefined || current === undefined) throw new Error(`not a sample: ${line}`);
    const [family, { type, samples }] = current;
    const suffixes = SUFFIXES[type] ?? [isOpenMetrics && type === 'counter' ? '_total' : ''];
    if (!suffixes.some((suffix) => name === family + suffix)) throw new Error(`not of ${family}: ${line}`);
    const sample = { name, labels: labelsOf(labels, line), value: numberOf(value, line) };
    const series = JSON.stringify([name, Object.entries(sample.labels).sort()]);
    if (seen.has(series)) throw new Error(`twice: ${line}`);
    seen.add(series);
    samples.push(sample);
  }
  for (const [name, family] of families) checkFamily(name, family, isOpenMetrics);
  return families;
}

function labelsOf(text: string, line: string): Record<string, string> {
  const labels: Record<string, string> = {};
  let at = 0;
  while (at < text.length) {
    LABEL.lastIndex = at;
    const [whole, name, value] = LABEL.exec(text) ?? [];
    if (whole === undefined || name! in labels) throw new Error(`not labels: ${line}`);
    labels[name!] = value!;
    at += whole.length;
  }
  return labels;
}

function numberOf(text: string, line: string): number {
  const value = text === '+Inf' ? Number.POSITIVE_INFINITY : Number(text);
  if (Number.isNaN(value) && text !== 'NaN' && text !== 'Nan') throw new Error(`not a number: ${line}`);
  return value;
}

function checkFamily(name: string, { type, help, samples }: ScrapedFamily, isOpenMetrics: boolean): void {
  if (help === '') throw new Error(`${name} has no help`);
  if (type === 'counter' && !isOpenMetrics && !name.endsWith('_total')) throw new Error(`a counter is named ${name}`);
  if (type === 'histogram') checkBuckets(name, samples);
}

/** Of each histogram, the buckets grow, and the last one counts all. */
function checkBuckets(name: string, samples: readonly ScrapedSample[]): void {
  const last = new Map<string, { le: number; count: number }>();
  for (const { name: series, labels, value } of samples) {
    const { le, ...others } = labels;
    const key = JSON.stringify(others);
    const before = last.get(key);
    if (series === `${name}_bucket`) {
      const bound = le === '+Inf' ? Number.POSITIVE_INFINITY : Number(le);
      if (before && (bound <= before.le || value < before.count)) throw new Error(`buckets of ${name} do not grow`);
      last.set(key, { le: bound, count: value });
    } else if (series === `${name}_count` && (before?.le !== Infinity || before.count !== value)) {
      throw new Error(`the buckets of ${name} do not count all`);
    }
  }
}

/** Returns the value of one series; undefined where there is none. */
export function sampleOf(
  families: ReadonlyMap<string, ScrapedFamily>,
  name: string,
  labels: Record<string, string> = {},
): number | undefined {
  const samples = [...families.values()].flatMap((family) => family.samples).filter((sample) => sample.name === name);
  const found = samples.filter((sample) =>
    Object.entries(labels).every(([key, value]) => sample.labels[key] === value),
  );
  if (found.length > 1) throw new Error(`${found.length} series of ${name} have ${JSON.stringify(labels)}`);
  return found[0]?.value;
}
