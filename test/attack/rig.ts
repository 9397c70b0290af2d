/** Attacks a daemon that runs as it ships, and measures what another client and the daemon's memory notice of it. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { connect, type ImageStorageClient } from '../../src/client.ts';
import { createCa, createCertificate } from '../access/certificates.ts';
import { type DaemonProcess, startDaemonProcess } from '../support/daemon-process.ts';
import { pngOf } from '../support/images.ts';
import { WITH_PREVIEWS } from '../support/previews.ts';
import type { Target } from './calls.ts';

const ATTACKER = fileURLToPath(new URL('attacker.ts', import.meta.url));
const MB = 1e6;
const STATS_EVERY_MS = 10;
const SAVE_AFTER_MS = 1_000;
const ORDINARY_SAVES = 200;
const SETTLE_MS = 10_000;
const LOOK_EVERY_MS = 50;
/** In which the daemon sees that the attacker has gone. */
const LEAVE_MS = 1_000;

/** Another machine's address, and that of the client beside it. */
export const ELSEWHERE = '127.0.0.2';
export const OWN = '127.0.0.1';

export interface Stimulus {
  /** Of attacks.ts. */
  attack: string;
  localAddress: string;
  /** MB of the daemon's heap; default Node's. */
  heapMb?: number;
  /** The daemon has TLS, and the client beside the attack comes by it. */
  tls?: boolean;
  /** Reads the memory again, 10 s later. */
  settles: boolean;
  /** Fills the store before the daemon is started. */
  layOut?: (basePath: string) => void;
  /** Saved before the attack. */
  images?: number;
  /** Bytes of the parameters of each. */
  parametersBytes?: number;
}

export interface Figures {
  name: string;
  /** Milliseconds that a call of Stats took beside the attack: 99 of 100, and the longest. */
  statsP99: number;
  statsMax: number;
  /** How many of them failed. */
  statsFailed: number;
  /** How many of the attacker's calls ended with each status. */
  answers: Record<string, number>;
  /** Of the client's Save, in milliseconds; why it failed otherwise. */
  save: number | string;
  /** MB of the daemon. */
  peak: number;
  /** MB of the process that decodes; 0 where there was none. */
  decoderPeak: number;
  /** MB of the daemon 10 s behind the attack, where that is awaited. */
  later?: Promise<number>;
  /** What the daemon said at level warn and above. */
  log: string[];
  /** Its exit code, when it did not survive. */
  died: number | string | undefined;
}

/** MB of a daemon that has served 200 ordinary saves, 10 s later. */
export async function referenceMemory(command: string): Promise<number> {
  await using daemon = await startDaemon(command);
  const client = connect(daemon.address);
  await saveMany(client, ORDINARY_SAVES);
  client.close();
  await sleep(SETTLE_MS);
  return memoryOf(daemon, 'VmRSS');
}

/** Attacks a fresh daemon, which is stopped then, or once its memory has been read again. */
export async function attackDaemon(command: string, stimulus: Stimulus): Promise<Figures> {
  const daemon = await startDaemon(command, stimulus);
  const client = daemon.connect(30_000);
  const filename = await warmUp(client, stimulus);
  const [host = '', port] = daemon.address.split(':');
  const attack = runAttacker(stimulus.attack, {
    host,
    port: Number(port),
    localAddress: stimulus.localAddress,
    filename,
  });
  const [decoderPeak, { took, failed }, save, answers] = await Promise.all([
    watchDecoder(daemon, attack),
    timeStats(client, attack),
    sleep(SAVE_AFTER_MS).then(() => timeSave(daemon)),
    attack,
  ]);
  client.close();
  await sleep(LEAVE_MS);
  const died = daemon.died();
  const peak = died === undefined ? memoryOf(daemon, 'VmHWM') : Number.NaN;
  const later = stimulus.settles ? settledMemory(daemon) : undefined;
  if (later === undefined) await daemon[Symbol.asyncDispose]();
  const sorted = took.toSorted((a, b) => a - b);
  return {
    name: `${stimulus.attack}${stimulus.localAddress === OWN ? ', from its own address' : ''}`,
    statsP99: sorted[Math.ceil(sorted.length * 0.99) - 1]!,
    statsMax: sorted.at(-1)!,
    statsFailed: failed,
    answers,
    save,
    peak,
    decoderPeak,
    later,
    log: daemon.log,
    died,
  };
}

/** MB of a daemon that was left alone; stops it. */
async function settledMemory(daemon: AttackedDaemon): Promise<number> {
  await using _ = daemon;
  await sleep(SETTLE_MS - LEAVE_MS);
  return daemon.died() === undefined ? memoryOf(daemon, 'VmRSS') : Number.NaN;
}

interface AttackedDaemon extends DaemonProcess, AsyncDisposable {
  log: string[];
  /** Returns the client that comes beside the attack. */
  connect(deadlineMs: number): ImageStorageClient;
  /** Its exit code or signal, once it has ended by itself. */
  died(): number | string | undefined;
}

async function startDaemon(command: string, { heapMb, layOut, tls }: Partial<Stimulus> = {}): Promise<AttackedDaemon> {
  const folder = await mkdtemp(join(tmpdir(), 'image-storage-attack-'));
  const basePath = join(folder, 'outputs');
  if (layOut) {
    layOut(basePath);
    // The catalog is built now, not beside the attack.
    await (await startDaemonProcess(basePath, { command })).stop('SIGTERM');
  }
  const files = tls ? certificateIn(folder) : undefined;
  const env = {
    ...files?.env,
    NODE_OPTIONS: `${process.env.ATTACK_NODE_OPTIONS ?? ''} ${heapMb ? `--max-old-space-size=${heapMb}` : ''}`,
  };
  const daemon = await startDaemonProcess(basePath, { command, stderr: 'pipe', env: { ...WITH_PREVIEWS, ...env } });
  const log: string[] = [];
  daemon.process.stderr!.setEncoding('utf8').on('data', (text: string) => log.push(...text.trim().split('\n')));
  const died = () => daemon.process.exitCode ?? daemon.process.signalCode ?? undefined;
  const stop = async () => {
    if (died() === undefined) await daemon.stop('SIGTERM');
    await rm(folder, { recursive: true });
  };
  const { address } = daemon;
  const open = (deadlineMs: number) =>
    files ? connect(`https://${address}`, { deadlineMs, caFile: files.ca }) : connect(address, { deadlineMs });
  return { ...daemon, log, connect: open, died, [Symbol.asyncDispose]: stop };
}

function certificateIn(folder: string): { env: Record<string, string>; ca: string } {
  const ca = createCa(folder, 'ca');
  const { cert, key } = createCertificate(folder, 'server', ca);
  return { env: { IMAGE_STORAGE_TLS_CERT: cert, IMAGE_STORAGE_TLS_KEY: key }, ca: ca.cert };
}

/** The daemon and the client have done before what they will do beside the attack. Returns the name of an image. */
async function warmUp(client: ImageStorageClient, { images = 1, parametersBytes = 0 }: Stimulus): Promise<string> {
  await saveMany(client, 20);
  const parametersJson = JSON.stringify({ workflow: 'x'.repeat(parametersBytes) });
  const bytes = pngOf({ width: 64, height: 64, sizeBytes: 4_000_000 });
  let filename = '';
  for (let saved = 0; saved < images; saved += 1) ({ filename } = await client.save(bytes, { parametersJson }));
  for (let asked = 0; asked < 100; asked += 1) await client.stats();
  return filename;
}

async function saveMany(client: ImageStorageClient, count: number): Promise<void> {
  for (let saved = 0; saved < count; saved += 1) {
    const sizeBytes = 100_000 + (saved % 10) * 50_000;
    await client.save(pngOf({ width: 64, height: 64, seed: saved, sizeBytes }), { prompt: `image ${saved}` });
  }
}

/** Returns how many of the attacker's calls ended with each status. */
async function runAttacker(name: string, target: Target): Promise<Record<string, number>> {
  const args = [ATTACKER, name, JSON.stringify(target)];
  const attacker = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  const exited = once(attacker, 'exit');
  const said = await text(attacker.stdout);
  await exited;
  return JSON.parse(said || '{}');
}

interface Timed {
  took: number[];
  failed: number;
}

async function timeStats(client: ImageStorageClient, until: Promise<unknown>): Promise<Timed> {
  const took: number[] = [];
  let failed = 0;
  let over = false;
  until.then(() => {
    over = true;
  });
  while (!over) {
    const started = performance.now();
    const isAnswered = await client.stats().then(
      () => true,
      () => false,
    );
    took.push(performance.now() - started);
    if (!isAnswered) failed += 1;
    await sleep(STATS_EVERY_MS);
  }
  return { took, failed };
}

/** By a connection of its own, as another client makes it. */
async function timeSave(daemon: AttackedDaemon): Promise<number | string> {
  const started = performance.now();
  const client = daemon.connect(20_000);
  try {
    await client.save(pngOf({ width: 64, height: 64, sizeBytes: 200_000 }), { prompt: 'beside an attack' });
    return performance.now() - started;
  } catch (error) {
    return (error as Error).message;
  } finally {
    client.close();
  }
}

/** Returns the most MB that a process had which the daemon started. */
async function watchDecoder({ process: { pid } }: DaemonProcess, until: Promise<unknown>): Promise<number> {
  let [peak, isOver] = [0, false];
  until.then(() => {
    isOver = true;
  });
  for (; !isOver; await sleep(LOOK_EVERY_MS)) {
    for (const child of childrenOf(pid!)) peak = Math.max(peak, memoryOfPid(child, 'VmHWM') ?? 0);
  }
  return peak;
}

function childrenOf(pid: number): string[] {
  try {
    const tasks = readdirSync(`/proc/${pid}/task`);
    return tasks.flatMap((task) =>
      readFileSync(`/proc/${pid}/task/${task}/children`, 'utf8').split(' ').filter(Boolean),
    );
  } catch {
    // A thread, or the daemon, has ended meanwhile.
    return [];
  }
}

/** MB that the daemon holds now, or held at most. */
function memoryOf({ process: { pid } }: DaemonProcess, field: 'VmRSS' | 'VmHWM'): number {
  return memoryOfPid(`${pid}`, field)!;
}

/** Returns undefined where there is no such process any more. */
function memoryOfPid(pid: string, field: 'VmRSS' | 'VmHWM'): number | undefined {
  try {
    const status = readFileSync(`/proc/${pid}/status`, 'utf8');
    const [, kib] = new RegExp(`^${field}:\\s+(\\d+) kB$`, 'm').exec(status) ?? [];
    return kib === undefined ? undefined : (Number(kib) * 1024) / MB;
  } catch {
    return undefined;
  }
}
