/** Families of metrics: numbers by their labels, which cost no more to count than a field. */

export type Labels = Readonly<Record<string, string>>;

export interface Sample {
  /** Behind the family's name, such as `_bucket`; default: nothing. */
  suffix?: string;
  labels: Labels;
  value: number;
}

/** The numbers of one name. */
export interface Family {
  readonly name: string;
  readonly help: string;
  readonly type: 'counter' | 'gauge' | 'histogram';
  samples(): Sample[];
}

/** A number that only grows. */
export interface Counter {
  value: number;
}

/** One child for each set of labels, made at its first use. */
class Children<T> {
  readonly #names: readonly string[];
  readonly #create: () => T;
  readonly #children = new Map<string, { labels: Labels; child: T }>();

  constructor(names: readonly string[], create: () => T) {
    this.#names = names;
    this.#create = create;
  }

  /** The values are those of the names, in their order. */
  of(values: readonly string[]): T {
    const key = values.join('\0');
    let found = this.#children.get(key);
    if (found === undefined) {
      const labels = Object.fromEntries(this.#names.map((name, at) => [name, values[at]!]));
      found = { labels, child: this.#create() };
      this.#children.set(key, found);
    }
    return found.child;
  }

  samples(of: (child: T, labels: Labels) => Sample[]): Sample[] {
    return [...this.#children.values()].flatMap(({ labels, child }) => of(child, labels));
  }
}

export class Counters implements Family {
  readonly type = 'counter';
  readonly name: string;
  readonly help: string;
  readonly #children: Children<Counter>;

  /** A name ends with `_total`. */
  constructor(name: string, help: string, labels: readonly string[]) {
    this.name = name;
    this.help = help;
    this.#children = new Children(labels, () => ({ value: 0 }));
  }

  of(...values: string[]): Counter {
    return this.#children.of(values);
  }

  samples(): Sample[] {
    return this.#children.samples(({ value }, labels) => [{ labels, value }]);
  }
}

export class Histograms implements Family {
  readonly type = 'histogram';
  readonly name: string;
  readonly help: string;
  readonly #children: Children<Histogram>;

  constructor(name: string, help: string, labels: readonly string[], bounds: readonly number[]) {
    this.name = name;
    this.help = help;
    this.#children = new Children(labels, () => new Histogram(bounds));
  }

  of(...values: string[]): Histogram {
    return this.#children.of(values);
  }

  samples(): Sample[] {
    return this.#children.samples((histogram, labels) => histogram.samples(labels));
  }
}

/** How many values were at most each bound, and their sum. */
export class Histogram {
  readonly #bounds: readonly number[];
  /** The last is of those above all bounds. */
  readonly #counts: number[];
  #sum = 0;

  constructor(bounds: readonly number[]) {
    this.#bounds = bounds;
    this.#counts = Array(bounds.length + 1).fill(0);
  }

  observe(value: number): void {
    let at = 0;
    while (at < this.#bounds.length && value > this.#bounds[at]!) at += 1;
    this.#counts[at]! += 1;
    this.#sum += value;
  }

  samples(labels: Labels): Sample[] {
    let count = 0;
    const buckets = this.#counts.map((counted, at): Sample => {
      count += counted;
      return { suffix: '_bucket', labels: { ...labels, le: `${this.#bounds[at] ?? '+Inf'}` }, value: count };
    });
    return [...buckets, { suffix: '_sum', labels, value: this.#sum }, { suffix: '_count', labels, value: count }];
  }
}

/** Returns a family of numbers that are read when they are asked for. */
export function gauges(name: string, help: string, samples: Sample[]): Family {
  return { name, help, type: 'gauge', samples: () => samples };
}
