/**
 * Stores and reads the same images in this daemon and in what people would take instead, by turns, and writes
 * docs/benchmarks.md up to what is kept by hand: `npm run bench:peers -- [--rounds 7] [--cases 8M4,100k32] [--peers a,b]
 * [--no-page]`. The data goes to PEERS_DATA, which should be on the disk to measure, with 10 GB free.
 */
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, release, tmpdir, totalmem } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { type Peer, peersOf, start } from './peers/servers.ts';
import { findTools, type Tools } from './peers/tools.ts';
import { cpuBetween, usageOf } from './peers/usage.ts';
import { median } from './rounds.ts';

const PAGE = fileURLToPath(new URL('../docs/benchmarks.md', import.meta.url));
const BIOME = fileURLToPath(new URL('../node_modules/.bin/biome', import.meta.url));
/** What follows it on the page is written by hand, and stays. */
const BY_HAND = '<!-- From here on by hand. -->';
const GB = 1e9;
/** Smaller ones are many: see `start`. */
const LARGE_BYTES = 1 << 20;

interface Case {
  name: string;
  sizeBytes: number;
  count: number;
  concurrency: number;
  /** What its throughput is told in. */
  unit: 'MB/s' | 'images/s';
}

/** Small files first: what is deleted slows the creation of others on some file systems. */
const CASES: readonly Case[] = [
  { name: '100k32', sizeBytes: 100_000, count: 1601, concurrency: 32, unit: 'images/s' },
  { name: '8M1', sizeBytes: 8 << 20, count: 33, concurrency: 1, unit: 'MB/s' },
  { name: '8M4', sizeBytes: 8 << 20, count: 65, concurrency: 4, unit: 'MB/s' },
  { name: '64M2', sizeBytes: 64 << 20, count: 9, concurrency: 2, unit: 'MB/s' },
  { name: '2M8', sizeBytes: 2_000_000, count: 201, concurrency: 8, unit: 'MB/s' },
];

interface Result {
  perSecond: number;
  megabytesPerSecond: number;
  p50Ms: number;
  p99Ms: number;
  cpuSeconds: number;
  mainSeconds: number;
  peakMiB: number;
}

type Operation = 'save' | 'get';

async function measure(tools: Tools, peer: Peer, data: string, operation: Operation, each: Case): Promise<Result> {
  const { address, folder, process: server } = await start(peer, data);
  const pid = server?.pid;
  const usage = () => (pid === undefined ? undefined : usageOf(pid));
  const { sizeBytes, count, concurrency } = each;
  const numbers = ['-size', String(sizeBytes), '-n', String(count), '-c', String(concurrency)];
  try {
    const args = ['-step', '-target', peer.target, '-op', operation, '-addr', address, ...numbers];
    const { before, printed } = await runClient(tools.client, args, usage);
    const { MBs, perS, p50, p99 } = JSON.parse(printed) as Record<'MBs' | 'perS' | 'p50' | 'p99', number>;
    const after = usage();
    const cpu = before && after ? cpuBetween(pid!, before, after) : { all: 0, main: 0 };
    return {
      perSecond: perS,
      megabytesPerSecond: MBs,
      p50Ms: p50,
      p99Ms: p99,
      cpuSeconds: cpu.all,
      mainSeconds: cpu.main,
      peakMiB: after?.peakMiB ?? 0,
    };
  } finally {
    if (server !== undefined && server.exitCode === null) {
      server.kill();
      await once(server, 'exit');
    }
    if (each.sizeBytes >= LARGE_BYTES) rmSync(folder, { recursive: true });
  }
}

/** Returns what `usage` was before the work that is measured, and what the client printed behind it. */
async function runClient<T>(client: string, args: string[], usage: () => T): Promise<{ before: T; printed: string }> {
  const child = spawn(client, args, { stdio: ['pipe', 'pipe', 'inherit'] });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  await lines.next();
  const before = usage();
  child.stdin.end('\n');
  const { value: printed, done } = await lines.next();
  if (done) throw new Error(`the client of ${args.join(' ')} failed`);
  return { before, printed };
}

/** Each round begins with another peer. */
async function byTurns(peers: Peer[], rounds: number, measureOne: (peer: Peer) => Promise<Result>) {
  const results = new Map<Peer, Result[]>(peers.map((peer) => [peer, []]));
  for (let round = 0; round < rounds; round += 1) {
    for (let turn = 0; turn < peers.length; turn += 1) {
      const peer = peers[(round + turn) % peers.length]!;
      results.get(peer)!.push(await measureOne(peer));
    }
  }
  return results;
}

function rowOf({ name }: Peer, results: Result[], { unit, sizeBytes, count }: Case): string {
  const middle = (of: (result: Result) => number) => median(results.map(of));
  const throughput = (result: Result) => (unit === 'MB/s' ? result.megabytesPerSecond : result.perSecond);
  const all = results.map(throughput);
  const gigabytes = (sizeBytes * count) / GB;
  const numbers = [
    `${middle(throughput).toFixed(0)} (${Math.min(...all).toFixed(0)}–${Math.max(...all).toFixed(0)})`,
    middle(({ p50Ms }) => p50Ms).toFixed(1),
    middle(({ p99Ms }) => p99Ms).toFixed(1),
    middle(({ cpuSeconds }) => cpuSeconds / gigabytes).toFixed(2),
    middle(({ mainSeconds }) => mainSeconds / gigabytes).toFixed(2),
    middle(({ peakMiB }) => peakMiB).toFixed(0),
  ];
  return `| ${name} | ${numbers.join(' | ')} |`;
}

function titleOf(operation: Operation, { sizeBytes, concurrency }: Case): string {
  const size = sizeBytes >= 1 << 20 ? `${Math.round(sizeBytes / 1e6)} MB` : `${sizeBytes / 1000} kB`;
  return `${operation === 'save' ? 'Save' : 'Get'} ${size} × ${concurrency}`;
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      rounds: { type: 'string', default: '7' },
      cases: { type: 'string', default: CASES.map(({ name }) => name).join(',') },
      peers: { type: 'string' },
      'no-page': { type: 'boolean', default: false },
    },
  });
  const rounds = Number(values.rounds);
  const tools = await findTools(process.env);
  const asked = values.peers?.split(',');
  const peers = peersOf(tools).filter(({ name }) => asked === undefined || asked.includes(name));
  const cases = CASES.filter(({ name }) => values.cases.split(',').includes(name));
  const tables: Record<Operation, string[]> = { save: [], get: [] };
  const data = mkdtempSync(join(process.env.PEERS_DATA ?? tmpdir(), 'peers-'));
  try {
    for (const each of cases) {
      for (const operation of ['save', 'get'] as const) {
        const results = await byTurns(peers, rounds, (peer) => measure(tools, peer, data, operation, each));
        const table = tableOf(results, operation, each);
        console.log(table);
        tables[operation].push(table);
      }
    }
  } finally {
    rmSync(data, { recursive: true });
  }
  if (values['no-page']) return;
  const page = [introduction(tools, peers, rounds), ...tables.save, ...tables.get, keptByHand()];
  writeFileSync(PAGE, page.join('\n'));
  // Pads its tables.
  execFileSync(BIOME, ['format', '--write', PAGE]);
}

function tableOf(results: Map<Peer, Result[]>, operation: Operation, each: Case): string {
  const head = `| store | ${each.unit} | p50 ms | p99 ms | CPU s/GB | of it first thread | peak MiB |
| --- | --: | --: | --: | --: | --: | --: |`;
  const rows = [...results].map(([peer, measured]) => rowOf(peer, measured, each));
  return [`## ${titleOf(operation, each)}`, '', head, ...rows, ''].join('\n');
}

/** Returns the end of the page as it is. */
function keptByHand(): string {
  const page = readFileSync(PAGE, 'utf8');
  const begin = page.indexOf(BY_HAND);
  if (begin === -1) throw new Error(`${PAGE} has no line "${BY_HAND}"`);
  return page.slice(begin);
}

function introduction({ versions }: Tools, peers: Peer[], rounds: number): string {
  const [cpu] = cpus();
  return `# Benchmarks

\`npm run bench:peers\` stores the same images in each store by turns, ${rounds} rounds, each on a fresh folder, and writes this page, up to where it is written by hand. One Go client on the same machine sends and reads; "Get" reads what it has just saved. Medians, and the range of all rounds. Ratios hold better than absolute figures, and only within one table.

Machine: ${cpus().length} × ${cpu?.model.trim()}, ${Math.round(totalmem() / 2 ** 30)} GiB, Linux ${release()}, Node ${process.versions.node}. Versions: ${Object.entries(
    versions,
  )
    .map(([name, version]) => `${name === 'tusModules' ? '' : `${name} `}${version}`)
    .join(', ')}.

What the others do not do:

${peers.map(({ name, lacks }) => `- ${name}: ${lacks}`).join('\n')}

Paths come from variables: \`BAZEL_REMOTE\` (its program, or a checkout to build), \`VERSITYGW\`, \`TUSD\`, \`PEERS_BIN\` (where programs are kept), \`PEERS_DAEMON\` (\`bin/image-storage.js\` of a package, to measure the bundle as here) and \`PEERS_DATA\` (a folder on the disk to measure). CPU is that of all threads of the store while the work is measured; what starts a store is not in it.
`;
}

await main();
