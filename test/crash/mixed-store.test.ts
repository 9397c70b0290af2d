/** Stores whose parts are of different ages: every pair of older, newest and missing parts is opened and judged. */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { recordKey } from '../../src/storage/domain/naming.ts';
import type { Storage } from '../../src/storage/index.ts';
import { openStorage } from '../../src/storage/storage.ts';
import { collect, sha256Of } from '../support/bytes.ts';
import { imageOf, Ledger, type Target, type TrashTarget } from '../support/ledger.ts';
import { verified } from '../support/maintained-store.ts';
import { full, seed } from '../support/scale.ts';
import { forkStore } from './forked-store.ts';
import type { StoreProcessOptions } from './store-process.ts';

const run = promisify(execFile);
const TIMEOUT_MS = 10 * 60_000;
const AT_ONCE = 4;
/** Unless all are wanted, one share of the pairs is tried, by the seed. */
const SHARES = 5;
/** The daemon notes beside the images once a second how far it has come. */
const TICKS_MS = 2500;

const PARTS = {
  catalog: 'metadata/catalog.db',
  wal: 'metadata/catalog.db-wal',
  format: 'metadata/FORMAT',
  clean: 'metadata/CLEAN',
  records: 'metadata/generations',
  images: 'images',
  trash: 'metadata/trash',
  metadata: 'metadata',
};
type Part = keyof typeof PARTS;
type Age = 'older' | 'missing';
type Mix = Partial<Record<Part, Age>>;

interface History {
  older: string;
  newest: string;
  ledger: Ledger;
}

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'image-storage-mixed-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

it.each(
  (full ? [true, false] : [true]).flatMap((trash) => [
    ['stopped', trash, historyOfStops] as const,
    ['killed, and copied while it ran', trash, historyOfKill] as const,
  ]),
)(
  'a store that was %s, with a trash: %s, keeps its promises whatever two parts are older or missing',
  async (_, trash, make) => {
    const history = await make(trash);
    const mixes = mixesOf(history);
    const findings: string[] = [];
    await inParallel(mixes, async (mix) => {
      const about = Object.entries(mix).map(([part, age]) => `${part} ${age}`);
      for (const finding of await judge(history, mix)) findings.push(`${about.join(', ')}: ${finding}`);
    });
    console.info(`mixed stores: ${mixes.length}`);
    expect(findings).toEqual([]);
  },
  TIMEOUT_MS,
);

/** The older parts are those of an earlier clean stop. */
async function historyOfStops(trash: boolean): Promise<History> {
  const [basePath, ledger] = [await mkdtemp(join(folder, 'store-')), new Ledger({ trash })];
  const settings = settingsOf(basePath, ledger);
  const first = await forkStore(settings);
  await saveAll(first, ledger, 1, 6);
  await deleteFirst(first, ledger);
  await trashThree(first, ledger);
  await first.close();
  const older = await copyOf(basePath);
  const second = await forkStore(settings);
  await saveAll(second, ledger, 7, 10);
  await deleteFirst(second, ledger);
  await deleteLast(second, ledger);
  await takeOutTwo(second, ledger);
  await second.close();
  return { older, newest: basePath, ledger };
}

/** The older parts were copied from a running store, which was killed later. */
async function historyOfKill(trash: boolean): Promise<History> {
  const [basePath, ledger] = [await mkdtemp(join(folder, 'store-')), new Ledger({ trash })];
  const settings = settingsOf(basePath, ledger);
  const first = await forkStore(settings);
  await saveAll(first, ledger, 1, 3);
  await first.close();
  const second = await forkStore(settings);
  await saveAll(second, ledger, 4, 6);
  await deleteFirst(second, ledger);
  await trashThree(second, ledger);
  await second.settled();
  const older = await copyOf(basePath);
  await saveAll(second, ledger, 7, 10);
  await deleteFirst(second, ledger);
  await deleteLast(second, ledger);
  await takeOutTwo(second, ledger);
  await second.settled();
  await sleep(TICKS_MS);
  await second.kill();
  return { older, newest: basePath, ledger };
}

async function saveAll(store: Target, ledger: Ledger, from: number, to: number) {
  for (let number = from; number <= to; number += 1) await ledger.save(store, imageOf(number));
}

async function deleteFirst(store: Target, ledger: Ledger): Promise<void> {
  await ledger.delete(store, ledger.live()[0]!.filename);
}

function settingsOf(basePath: string, { hasTrash }: Ledger): StoreProcessOptions {
  return { basePath, ...(!hasTrash && { trashDays: 0 }) };
}

/** Images of their own, so that the others are as without a trash. */
async function trashThree(store: Target, ledger: Ledger): Promise<void> {
  if (!ledger.hasTrash) return;
  for (const number of [21, 22, 23]) {
    const { filename } = await ledger.save(store, imageOf(number));
    await ledger.delete(store, filename);
  }
}

/** One comes back, and one goes for good. */
async function takeOutTwo(store: TrashTarget, ledger: Ledger): Promise<void> {
  if (!ledger.hasTrash) return;
  const [restored, purged] = ledger.trashed().slice(-3);
  await ledger.restore(store, restored!.filename);
  await ledger.purge(store, purged!.filename);
}

async function deleteLast(store: Target, ledger: Ledger): Promise<void> {
  await ledger.delete(store, ledger.live().at(-1)!.filename);
}

/** Every part alone, and every pair, or a share of them. */
function mixesOf({ older, newest }: History): Mix[] {
  const single = (Object.keys(PARTS) as Part[]).flatMap((part) =>
    (['older', 'missing'] as const)
      .filter((age) => existsSync(join(age === 'older' ? older : newest, PARTS[part])))
      .map((age): [Part, Age] => [part, age]),
  );
  const pairs = single.flatMap(([part, age], index) =>
    single
      .slice(index + 1)
      .filter(([other]) => other !== part && part !== 'metadata' && other !== 'metadata')
      .map(([other, otherAge]): Mix => ({ [part]: age, [other]: otherAge })),
  );
  const wanted = full ? pairs : pairs.filter((_, at) => at % SHARES === seed % SHARES);
  return [{}, ...single.map(([part, age]): Mix => ({ [part]: age })), ...wanted];
}

async function compose({ older, newest }: History, mix: Mix): Promise<string> {
  const basePath = await copyOf(newest);
  await rm(join(basePath, 'metadata/catalog.db-shm'), { force: true });
  for (const [part, age] of Object.entries(mix) as [Part, Age][]) {
    const path = join(basePath, PARTS[part]);
    await rm(path, { recursive: true, force: true });
    if (age === 'older') await run('cp', ['-a', join(older, PARTS[part]), path]);
  }
  return basePath;
}

/** Hard links and times included. */
async function copyOf(store: string): Promise<string> {
  const copy = await mkdtemp(join(folder, 'copy-'));
  await run('cp', ['-a', `${store}/.`, copy]);
  return copy;
}

async function judge(history: History, mix: Mix): Promise<string[]> {
  const basePath = await compose(history, mix);
  const before = filesOf(history.ledger, basePath);
  try {
    const first = await open(basePath);
    const findings = await findingsIn(first, history, mix, before).finally(() => first.storage.close());
    const second = await open(basePath);
    const again = await findingsAfterRepair(second, history, before).finally(() => second.storage.close());
    return [...findings, ...again];
  } catch (error) {
    return [`${error}`];
  } finally {
    await rm(basePath, { recursive: true, force: true });
  }
}

interface Opened {
  storage: Storage;
  warnings: string[];
}

async function open(basePath: string): Promise<Opened> {
  const warnings: string[] = [];
  const warn = (_: object, message: string) => void warnings.push(message);
  const log = { debug() {}, info() {}, warn, error: warn };
  return { storage: await openStorage({ providers: { local: { basePath, lockWaitSeconds: 5 } } }, { log }), warnings };
}

interface Files {
  record: boolean;
  image: boolean;
  trashedRecord: boolean;
  trashedImage: boolean;
}

/** Which files of each image are there before the store is opened. */
function filesOf(ledger: Ledger, basePath: string): Map<string, Files> {
  const has = (path: string) => existsSync(join(basePath, path));
  return new Map(
    ledger.entries().map(({ filename }) => {
      const record = recordKey(filename).slice('outputs/'.length);
      const image = record.replace('metadata/', 'images/').replace(/\.json$/, '');
      const trashedRecord = has(record.replace('metadata/', 'metadata/trash/'));
      return [
        filename,
        { record: has(record), image: has(image), trashedRecord, trashedImage: has(`metadata/trash/${image}`) },
      ];
    }),
  );
}

async function findingsIn(
  { storage, warnings }: Opened,
  { ledger }: History,
  mix: Mix,
  before: ReturnType<typeof filesOf>,
): Promise<string[]> {
  const listed = new Set((await storage.list()).map(({ filename }) => filename));
  const trashed = await trashOf(storage);
  const findings: string[] = [];
  const isNewest = mix.catalog === undefined && mix.wal === undefined && mix.metadata === undefined;
  let [hidden, hiddenFiles] = [0, 0];
  for (const { image, filename } of ledger.entries()) {
    const { record, image: hasBytes, trashedRecord, trashedImage } = before.get(filename)!;
    const place = ledger.placesOf(image.sha256)[0]!;
    if (ledger.fateOf(image.sha256) === 'absent') {
      // With the audit log gone, nothing tells a delete from a loss; its bytes are gone.
      const isBack = listed.has(filename) && !(mix.metadata !== undefined && !hasBytes);
      if (isBack) findings.push(`came back: ${image.metadata.prompt}`);
      const isInTrash = place === 'trashed' && trashedRecord && trashedImage;
      if (isInTrash && !trashed.has(filename)) findings.push(`lost from the trash: ${image.metadata.prompt}`);
      continue;
    }
    // With all that tells of its restore gone, or with its bytes in the trash alone, it is where it was.
    if ((mix.metadata === 'older' || !hasBytes) && trashedImage && trashed.has(filename)) continue;
    if (listed.has(filename)) {
      findings.push(...(await compareBytes(storage, filename, hasBytes ? image.sha256 : undefined)));
      const { replayed } = (await ledger.save(storage, image)) as { replayed?: boolean };
      if (replayed !== true && record) findings.push(`its key is gone: ${image.metadata.prompt}`);
      continue;
    }
    if (record || isNewest) findings.push(`out of sight: ${image.metadata.prompt}`);
    hidden += 1;
    if (hasBytes) hiddenFiles += 1;
  }
  // A crash alone compares nothing with the files.
  if (Object.keys(mix).length === 0) findings.push(...warnings.map((warning) => `without need: ${warning}`));
  if (hidden > 0 && warnings.length === 0) findings.push(`${hidden} out of sight without a word`);
  const told = new RegExp(`^${hiddenFiles} images? in .* without a record: .*verify --repair`);
  if (hiddenFiles > 0 && !warnings.some((warning) => told.test(warning)))
    findings.push(`${hiddenFiles} images without a record are not counted: ${warnings.join('; ')}`);
  return findings;
}

async function trashOf(storage: Storage): Promise<Set<string>> {
  return new Set((await storage.listTrash()).map(({ filename }) => filename));
}

/** What is in the trash comes back if its bytes were there. */
async function bringBack(storage: Storage, filename: string, files: Files, sha256: string): Promise<string[]> {
  const hasBytes = files.image || files.trashedImage;
  try {
    await storage.restore(filename);
    return compareBytes(storage, filename, hasBytes ? sha256 : undefined);
  } catch (error) {
    const { reason } = error as { reason?: string };
    return !hasBytes && reason === 'BYTES_MISSING' ? [] : [`does not come back: ${filename}: ${reason ?? error}`];
  }
}

async function compareBytes(storage: Storage, filename: string, sha256: string | undefined): Promise<string[]> {
  try {
    const bytes = await collect((await storage.get(filename)).body);
    return sha256Of(bytes) === sha256 ? [] : [`wrong bytes: ${filename}`];
  } catch (error) {
    const { reason } = error as { reason?: string };
    return reason === 'BYTES_MISSING' && sha256 === undefined ? [] : [`unreadable: ${filename}: ${reason ?? error}`];
  }
}

/** A second start finds nothing new, and verify brings the rest to light. */
async function findingsAfterRepair(
  { storage, warnings }: Opened,
  { ledger }: History,
  before: ReturnType<typeof filesOf>,
): Promise<string[]> {
  const findings = warnings.filter((warning) => warning.includes('older')).map((warning) => `again: ${warning}`);
  const { findings: found } = await verified(storage, { repair: true });
  const trashed = await trashOf(storage);
  const listed = new Set((await storage.list()).map(({ filename }) => filename));
  for (const { image, filename } of ledger.entries()) {
    const isLive = ledger.fateOf(image.sha256) === 'present';
    const { prompt } = image.metadata;
    if (trashed.has(filename)) {
      findings.push(...(await bringBack(storage, filename, before.get(filename)!, image.sha256)));
      continue;
    }
    if (isLive && before.get(filename)!.image && !listed.has(filename)) findings.push(`not adopted: ${prompt}`);
    const isNamed = found.some((finding) => finding.problem === 'bytes_missing' && finding.filename === filename);
    if (listed.has(filename) && !before.get(filename)!.image && !isNamed) findings.push(`not named: ${prompt}`);
  }
  return findings;
}

async function inParallel<T>(items: T[], work: (item: T) => Promise<void>): Promise<void> {
  const left = items.values();
  const worker = async () => {
    for (const item of left) await work(item);
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
}
