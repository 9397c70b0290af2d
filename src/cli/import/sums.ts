/** Sums what an import would bring by model and by month, for a look before it runs. */
import { tableFormatter } from '../terminal/table.ts';
import { formatBytes } from '../terminal/text.ts';

export interface Sum {
  /** A model as it would be stored, empty where none is known; or a month, `2024-09` (UTC). */
  name: string;
  count: number;
  bytes: number;
}

/** By model, those with the most images first; by month, the newest first. */
export interface Sums {
  byModel: Sum[];
  byMonth: Sum[];
}

const SHOWN_MODELS = 10;
const SHOWN_MONTHS = 24;
const MODEL_WIDTH = 40;

export class ImportSums {
  readonly #models = new Map<string, Sum>();
  readonly #months = new Map<string, Sum>();

  add({ model = '', timestamp }: { model?: string; timestamp: Date }, bytes: number): void {
    addTo(this.#models, model, bytes);
    addTo(this.#months, timestamp.toISOString().slice(0, 'YYYY-MM'.length), bytes);
  }

  all(): Sums {
    const byModel = [...this.#models.values()].sort((a, b) => b.count - a.count || compare(a.name, b.name));
    const byMonth = [...this.#months.values()].sort((a, b) => compare(b.name, a.name));
    return { byModel, byMonth };
  }
}

function addTo(sums: Map<string, Sum>, name: string, bytes: number): void {
  const sum = sums.get(name) ?? { name, count: 0, bytes: 0 };
  sum.count += 1;
  sum.bytes += bytes;
  sums.set(name, sum);
}

function compare(a: string, b: string): number {
  return a < b ? -1 : 1;
}

/** Returns a table of each, and nothing for an import of nothing. */
export function sumsLines({ byModel, byMonth }: Sums = { byModel: [], byMonth: [] }): string[] {
  if (byModel.length === 0) return [];
  const models = byModel.map((sum) => ({ ...sum, name: sum.name || '(no model)' }));
  return [
    '',
    ...table('MODEL', shortened(models, SHOWN_MODELS)),
    '',
    ...table('MONTH', shortened(byMonth, SHOWN_MONTHS)),
  ];
}

/** The first of them, and all others as one. */
function shortened(sums: readonly Sum[], shown: number): Sum[] {
  if (sums.length <= shown) return [...sums];
  const rest = sums.slice(shown);
  const sumOf = (field: 'count' | 'bytes') => rest.reduce((sum, each) => sum + each[field], 0);
  return [...sums.slice(0, shown), { name: `${rest.length} others`, count: sumOf('count'), bytes: sumOf('bytes') }];
}

function table(title: string, sums: readonly Sum[]): string[] {
  const columns = [
    { title, maxWidth: MODEL_WIDTH },
    { title: 'IMAGES', align: 'right' },
    { title: 'SIZE', align: 'right' },
  ] as const;
  const rows = sums.map(({ name, count, bytes }) => [name, count.toLocaleString('en'), formatBytes(bytes)]);
  return tableFormatter(columns, Number.POSITIVE_INFINITY)(rows);
}
