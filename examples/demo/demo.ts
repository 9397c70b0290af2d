/**
 * `npm run demo`: counts the images that survive ten kill -9 under four savers, beside a plain folder writer under as
 * many.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { connect, ImageStorageError } from '../../src/client.ts';
import { demoImage, isWhole } from './image.ts';

const KILLS = 10;
const SAVERS = 4;
const ADDRESS = '127.0.0.1:50151';
const SUBJECTS = [
  'red fox',
  'snowy owl',
  'lighthouse',
  'tea house',
  'paper boat',
  'glass whale',
  'copper robot',
  'moon garden',
];
const DAEMON = fileURLToPath(new URL('../../bin/image-storage.js', import.meta.url));
const WRITER = fileURLToPath(new URL('./folder-writer.ts', import.meta.url));

interface Tally {
  acked: number;
  found: number;
  broken: number;
}

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
const line = ({ acked, found, broken }: Tally) => `acked ${acked}, found ${found}, broken ${broken}`;
const promptOf = (seed: number) => `a ${SUBJECTS[seed % SUBJECTS.length]} at dawn, number ${seed}`;

/** Runs a process, kills it with -9 at random moments, and starts it again. */
async function underKills(start: () => Promise<ChildProcess>): Promise<ChildProcess> {
  let child = await start();
  for (let kill = 1; kill <= KILLS; kill += 1) {
    await pause(600 + Math.random() * 900);
    child.kill('SIGKILL');
    process.stdout.write(`\r  kill -9: ${kill} of ${KILLS}`);
    child = await start();
  }
  process.stdout.write('\n');
  return child;
}

async function daemonUnderKills(folder: string): Promise<Tally> {
  const start = () => startDaemon(folder);
  const client = connect(ADDRESS);
  const acked = new Set<string>();
  let running = true;
  let next = 0;
  const saver = async () => {
    while (running) {
      const seed = next++;
      const saved = await client
        .save(demoImage(seed), { prompt: promptOf(seed), model: 'demo-1' })
        .catch((error: unknown) => {
          if (!(error instanceof ImageStorageError)) throw error;
        });
      if (saved) acked.add(saved.sha256);
    }
  };
  const savers = Array.from({ length: SAVERS }, saver);
  const daemon = await underKills(start);
  running = false;
  await Promise.all(savers);
  const tally: Tally = { acked: acked.size, found: 0, broken: 0 };
  for await (const image of client.list()) {
    const { body } = await client.get(image.filename);
    const bytes: Uint8Array[] = [];
    for await (const chunk of body) bytes.push(chunk);
    if (!isWhole(Buffer.concat(bytes))) tally.broken += 1;
    else if (acked.delete(image.sha256)) tally.found += 1;
  }
  console.log(`  ${line(tally)}\n\nAn image by a word of its prompt, "owl":`);
  for await (const image of client.list({ query: 'owl', limit: 1 }))
    console.log(`  ${image.filename}  ${image.metadata.prompt}\n  ${image.path}`);
  client.close();
  await stopped(daemon);
  return tally;
}

async function startDaemon(folder: string): Promise<ChildProcess> {
  const args = [DAEMON, 'serve', '--listen', ADDRESS, '--base-path', folder, '--log-level', 'error'];
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  await new Promise<void>((resolve, reject) => {
    child.stdout.once('data', () => resolve());
    child.once('exit', (code) => reject(new Error(`the daemon did not start (exit ${code})`)));
  });
  return child;
}

async function stopped(child: ChildProcess): Promise<void> {
  const exit = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGTERM');
  await exit;
}

async function folderUnderKills(folder: string): Promise<Tally> {
  const acked = new Set<number>();
  let next = 0;
  const start = async () => {
    const child = spawn(process.execPath, [WRITER, folder], { stdio: ['pipe', 'pipe', 'inherit'] });
    child.stdin.on('error', () => undefined);
    const give = () => child.stdin.write(`${next++}\n`);
    createInterface({ input: child.stdout }).on('line', (seed) => {
      acked.add(Number(seed));
      give();
    });
    for (let saver = 0; saver < SAVERS; saver += 1) give();
    return child;
  };
  const last = await underKills(start);
  await stopped(last);
  const tally: Tally = { acked: acked.size, found: 0, broken: 0 };
  for (const name of await readdir(folder)) {
    const whole = isWhole(await readFile(join(folder, name)));
    if (!whole) tally.broken += 1;
    else if (acked.has(Number(/\d+/.exec(name)![0]))) tally.found += 1;
  }
  console.log(`  ${line(tally)}`);
  return tally;
}

/** What the two runs come to, and where to look at it. */
function moral(ours: Tally, plain: Tally, folder: string): string {
  const isKept = ours.found === ours.acked && ours.broken === 0;
  const kept = isKept
    ? `Of ImageStorage, all ${ours.acked} saves that were answered are there, whole, and nothing is torn.`
    : `ImageStorage lost ${ours.acked - ours.found} of ${ours.acked} answered saves, and ${ours.broken} are torn: a bug.`;
  const torn = `The folder has ${plain.broken} torn files among ${plain.found} whole ones, and no name tells them apart.`;
  const look = `npm start -- --base-path ${folder}`;
  return `\n${torn}\n${kept}\n\nThe images stay in ${folder}; to look at them: ${look}`;
}

const root = await mkdtemp(join(tmpdir(), 'image-storage-demo-'));
const [ours, plain] = [join(root, 'outputs'), await mkdtemp(join(root, 'folder-'))];
try {
  console.log(`Four savers stream images into the daemon while it is killed:`);
  const tally = await daemonUnderKills(ours);
  console.log(`\nThe same with a plain folder writer:`);
  console.log(moral(tally, await folderUnderKills(plain), ours));
  if (tally.found !== tally.acked || tally.broken > 0) process.exitCode = 1;
} finally {
  await rm(plain, { recursive: true, force: true });
}
