/** When each policy of a provider ran last, kept across restarts: what runs by itself must know what it has announced. */
import type { PolicyStatistics } from '../domain/requests.ts';

/** The last run of a policy, or the plan of one. Times are ms since 1970. */
export interface PolicyRun {
  /** Of the policy as it was then. */
  hash: string;
  lastRun: number;
  nextRun: number;
  /** Nothing went by it: a plan was logged. */
  announced: boolean;
  count: number;
  bytes: number;
}

/** The text of a small file, which is replaced as a whole. */
export interface TextFile {
  read(): Promise<string | undefined>;
  write(text: string): Promise<void>;
}

export class PolicyRuns {
  readonly #file: TextFile;
  #runs: Promise<Map<string, PolicyRun>> | undefined;

  constructor(file: TextFile) {
    this.#file = file;
  }

  async get(policy: string): Promise<PolicyRun | undefined> {
    return (await this.#all()).get(policy);
  }

  /** Keeps the run, and forgets those of policies that are none of these. Rejects where it is kept in memory alone. */
  async set(policy: string, run: PolicyRun, policies: readonly string[]): Promise<void> {
    const runs = await this.#all();
    for (const name of runs.keys()) if (!policies.includes(name)) runs.delete(name);
    runs.set(policy, run);
    await this.#file.write(`${JSON.stringify({ version: 1, policies: Object.fromEntries(runs) })}\n`);
  }

  async statistics(policy: string): Promise<PolicyStatistics> {
    const run = await this.get(policy);
    if (run === undefined) return { name: policy, announced: true, lastCount: 0, lastBytes: 0 };
    const { lastRun, nextRun, announced, count, bytes } = run;
    const times = { lastRun: new Date(lastRun), nextRun: new Date(nextRun) };
    return { name: policy, ...times, announced, lastCount: count, lastBytes: bytes };
  }

  /** A file that cannot be read is as none: each policy is announced again. */
  #all(): Promise<Map<string, PolicyRun>> {
    this.#runs ??= this.#file.read().then(parse, () => new Map());
    return this.#runs;
  }
}

function parse(text = ''): Map<string, PolicyRun> {
  try {
    const { version, policies } = JSON.parse(text);
    return new Map(version === 1 ? Object.entries<PolicyRun>(policies).filter(([, run]) => isRun(run)) : []);
  } catch {
    return new Map();
  }
}

function isRun({ hash, lastRun, nextRun, announced, count, bytes }: PolicyRun): boolean {
  const areTimes = [lastRun, nextRun].every((time) => Number.isSafeInteger(time) && Math.abs(time) <= 8.64e15);
  const areCounts = [count, bytes].every((value) => Number.isSafeInteger(value) && value >= 0);
  return areTimes && areCounts && typeof hash === 'string' && typeof announced === 'boolean';
}

/** A file that is forgotten at the end. */
export function fileInMemory(): TextFile {
  let kept: string | undefined;
  return {
    read: async () => kept,
    async write(text) {
      kept = text;
    },
  };
}
