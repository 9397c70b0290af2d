/** Computes what a fleet asks of its bucket and its Postgres, and what that costs: figures from assumptions, by a seed. */

/** What one call asks of the bucket. */
export interface Requests {
  put: number;
  get: number;
  list: number;
  delete: number;
}

/** US dollars. */
export interface Prices {
  perMillionPuts: number;
  perMillionGets: number;
  perMillionLists: number;
  perGbMonth: number;
  perGbOut: number;
}

/** A number from 0 up to 1, and the next one at each call; the same for the same seed. */
export function randomFrom(seed: number): () => number {
  let state = seed;
  return () => {
    // Mulberry32.
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Returns the shares of so many models, of which the second is chosen half as often as the first, the third a third. */
export function zipfShares(models: number): number[] {
  const weights = Array.from({ length: models }, (_, at) => 1 / (at + 1));
  const sum = weights.reduce((total, weight) => total + weight, 0);
  return weights.map((weight) => weight / sum);
}

export interface PrefixLoad {
  /** Of the busiest folder of a day and model, in its busiest second. */
  busiestPuts: number;
  /** Folders that are written to faster than a prefix takes. */
  overLimit: number;
}

/** Draws the saves of some seconds, each of which puts one object below the folders of images and one below those of records. */
export function prefixLoad(
  {
    savesPerSecond,
    models,
    seconds,
    limit,
  }: { savesPerSecond: number; models: number; seconds: number; limit: number },
  random: () => number,
): PrefixLoad {
  const shares = zipfShares(models);
  const busiest = shares.map((share) => {
    const each = Array.from({ length: seconds }, () => poisson(savesPerSecond * share, random));
    return Math.max(...each);
  });
  return { busiestPuts: Math.max(...busiest), overLimit: busiest.filter((puts) => puts > limit).length };
}

export interface IndexCosts {
  /** What a transaction does before it has the row that all share, in ms: for itself, and for each row. */
  before: [fixed: number, perRow: number];
  /** What it does until its commit, while others wait for that row. */
  held: [fixed: number, perRow: number];
}

export interface IndexLoad {
  rowsPerTransaction: number;
  /** From the record in the bucket to the row in the index. */
  p50Ms: number;
  p99Ms: number;
  /** Rows for which a save did not wait, since they took longer than it does. */
  lateShare: number;
  /** How much of the time some transaction has the row. */
  busyShare: number;
  /** Rows that are there for each that comes: below 1 the queue grows. */
  writtenShare: number;
}

interface Daemon {
  /** When each of the rows came that wait. */
  waiting: number[];
  isBusy: boolean;
}

/** Lets rows come to each daemon at random, which writes all that wait in one transaction at a time. */
export function simulateIndex(
  load: { daemons: number; rowsPerSecond: number; seconds: number; patienceMs: number },
  { before, held }: IndexCosts,
  random: () => number,
): IndexLoad {
  const { daemons: count, rowsPerSecond, seconds, patienceMs } = load;
  const endMs = seconds * 1000;
  const daemons: Daemon[] = Array.from({ length: count }, () => ({ waiting: [], isBusy: false }));
  const events = new Events();
  const gap = () => (-Math.log(1 - random()) * 1000) / rowsPerSecond;
  const times: number[] = [];
  let [transactions, came, lockFreeAt, busyMs] = [0, 0, 0, 0];
  const begin = (daemon: Daemon, now: number) => {
    const rows = daemon.waiting;
    daemon.waiting = [];
    daemon.isBusy = true;
    transactions += 1;
    // The row is had in the order in which it is asked for.
    events.add(now + before[0] + before[1] * rows.length, (asked) => {
      const heldMs = held[0] + held[1] * rows.length;
      const doneAt = Math.max(asked, lockFreeAt) + heldMs;
      lockFreeAt = doneAt;
      events.add(doneAt, (done) => {
        // Of the time that is looked at: what is written later counts for nobody.
        if (done <= endMs) busyMs += heldMs;
        if (done <= endMs) for (const arrived of rows) times.push(done - arrived);
        daemon.isBusy = false;
        if (daemon.waiting.length > 0) begin(daemon, done);
      });
    });
  };
  const arrive = (now: number) => {
    const daemon = daemons[Math.floor(random() * count)]!;
    daemon.waiting.push(now);
    came += 1;
    if (!daemon.isBusy) begin(daemon, now);
    if (now < endMs) events.add(now + gap(), arrive);
  };
  events.add(gap(), arrive);
  events.runUntil(endMs);
  const sorted = Float64Array.from(times).sort();
  const at = (percent: number) => sorted[Math.min(sorted.length - 1, Math.floor((sorted.length * percent) / 100))]!;
  return {
    rowsPerTransaction: came / transactions,
    p50Ms: at(50),
    p99Ms: at(99),
    lateShare: times.filter((ms) => ms > patienceMs).length / times.length,
    busyShare: Math.min(1, busyMs / endMs),
    writtenShare: times.length / came,
  };
}

/** What happens, in the order of its time: a binary heap. */
class Events {
  readonly #heap: { at: number; run: (now: number) => void }[] = [];

  add(at: number, run: (now: number) => void): void {
    const heap = this.#heap;
    heap.push({ at, run });
    for (let child = heap.length - 1; child > 0; ) {
      const parent = (child - 1) >> 1;
      if (heap[parent]!.at <= heap[child]!.at) break;
      [heap[parent], heap[child]] = [heap[child]!, heap[parent]!];
      child = parent;
    }
  }

  runUntil(end: number): void {
    while (this.#heap.length > 0 && this.#heap[0]!.at <= end) {
      const { at, run } = this.#take();
      run(at);
    }
  }

  #take() {
    const heap = this.#heap;
    const first = heap[0]!;
    const last = heap.pop()!;
    if (heap.length === 0) return first;
    heap[0] = last;
    for (let parent = 0; ; ) {
      const [left, right] = [2 * parent + 1, 2 * parent + 2];
      let least = parent;
      if (left < heap.length && heap[left]!.at < heap[least]!.at) least = left;
      if (right < heap.length && heap[right]!.at < heap[least]!.at) least = right;
      if (least === parent) return first;
      [heap[parent], heap[least]] = [heap[least]!, heap[parent]!];
      parent = least;
    }
  }
}

/** Of large means, the normal distribution is near enough. */
function poisson(mean: number, random: () => number): number {
  if (mean > 50) {
    const normal = Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
    return Math.max(0, Math.round(mean + Math.sqrt(mean) * normal));
  }
  let count = -1;
  for (let product = 1; product > Math.exp(-mean); count += 1) product *= random();
  return Math.max(0, count);
}

export function costOf(requests: Partial<Requests>, prices: Prices): number {
  const { put = 0, get = 0, list = 0 } = requests;
  return (put * prices.perMillionPuts + get * prices.perMillionGets + list * prices.perMillionLists) / 1e6;
}
