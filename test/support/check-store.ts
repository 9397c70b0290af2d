/** Looks at a store the way its user and its administrator would, and names every promise that it breaks. */
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import {
  createStorage,
  type GroupStatistics,
  type ProviderStatistics,
  type Storage,
  type StorageItem,
} from '../../src/storage/index.ts';
import { sha256Of } from './bytes.ts';
import { filesBelow } from './files.ts';
import type { Ledger, LedgerEntry, Place } from './ledger.ts';

/** No test takes an hour, and the trash keeps an image for a week from its delete. */
const [LEAST_HOURS, MOST_HOURS] = [7 * 24 - 1, 7 * 24 + 1];

export interface CheckOptions {
  /** Hold only answers before this moment (`process.hrtime.bigint()`) as promises. */
  untilNs?: bigint;
  /** What to do with the open store after the check. */
  afterwards?: (storage: Storage) => Promise<void>;
}

/** Opens the store of that folder in this process; it is the provider `local`. */
export function openStore(basePath: string): Promise<Storage> {
  return createStorage({
    defaultProvider: 'local',
    providers: { local: { type: 'local', basePath, lockWaitSeconds: 10 } },
  });
}

/**
 * Opens the store, which recovers it, and says what is wrong with it, one finding a line; none when all that was
 * promised is kept. What had no answer is settled by what is found, so that a second check holds the store to it.
 */
export async function brokenPromises(
  basePath: string,
  ledger: Ledger,
  { untilNs, afterwards }: CheckOptions = {},
): Promise<string[]> {
  const storage = await openStore(basePath);
  try {
    const [items, trashed] = [await storage.list(), await storage.listTrash()];
    const findings = [
      ...compareWithLedger(items, trashed, ledger, untilNs),
      ...(await readAll(storage, items)),
      ...compareStatistics(items, trashed, (await storage.getStatistics())[0]!),
      ...(await searchAll(storage, items)),
      ...(await compareFiles(basePath, items, trashed)),
    ];
    ledger.settle(items, trashed, untilNs);
    await afterwards?.(storage);
    return findings;
  } finally {
    await storage.close();
  }
}

/** Returns what a store without a trash breaks by having one, too: its deletes are for good. */
function compareWithLedger(
  live: StorageItem[],
  trashed: StorageItem[],
  ledger: Ledger,
  untilNs: bigint | undefined,
): string[] {
  const all = [
    ...live.map((item) => ({ item, place: 'live' as const })),
    ...trashed.map((item) => ({ item, place: 'trashed' as const })),
  ];
  const bySha256 = Map.groupBy(all, ({ item }) => item.sha256);
  const known = ledger.entries().flatMap((entry) => {
    const { image, filename } = entry;
    const found = bySha256.get(image.sha256) ?? [];
    const name = filename || image.metadata.prompt;
    const places = ledger.placesOf(image.sha256, untilNs);
    if (found.length > 1) return [`there are ${found.length} of: ${name}: ${found.map(({ place }) => place).join()}`];
    const { place, item } = found[0] ?? { place: 'gone' };
    if (!places.includes(place)) return [`${problemOf(place, places)}: ${name}`];
    return item === undefined ? [] : compareItem(item, entry, ledger, untilNs);
  });
  const asked = new Set(ledger.entries().map(({ image }) => image.sha256));
  const strangers = all
    .filter(({ item }) => !asked.has(item.sha256))
    .map(({ item }) => `was never saved: ${item.filename}`);
  return [...known, ...strangers, ...trashed.flatMap(tooShort)];
}

function problemOf(place: Place, places: Place[]): string {
  if (place === 'gone') return places.includes('live') ? 'lost' : 'lost from the trash';
  if (place === 'live') return 'came back';
  return places.includes('live') ? 'is in the trash' : 'came back into the trash';
}

function compareItem(item: StorageItem, entry: LedgerEntry, ledger: Ledger, untilNs: bigint | undefined): string[] {
  const { image, filename } = entry;
  const name = filename || image.metadata.prompt;
  const { filename: foundName, metadata, pinned } = item;
  if (filename !== '' && foundName !== filename) return [`has another name: ${foundName} instead of ${filename}`];
  const { category: _, tags: __, ...sent } = image.metadata;
  if (!sameMetadata(metadata, { ...sent, ...image.filled })) return [`metadata differ: ${name}`];
  const labels = JSON.stringify({ pinned, category: metadata.category, tags: metadata.tags });
  const allowed = ledger
    .labelsOf(image.sha256, untilNs)
    .map(({ pinned, category, tags }) => JSON.stringify({ pinned, category, tags }));
  return allowed.includes(labels) ? [] : [`labels differ: ${name}: ${labels} instead of ${allowed.join(' or ')}`];
}

function tooShort({ filename, purgeTime }: StorageItem): string[] {
  const hours = ((purgeTime?.getTime() ?? 0) - Date.now()) / 3_600_000;
  return hours > LEAST_HOURS && hours < MOST_HOURS ? [] : [`is purged in ${hours} hours: ${filename}`];
}

function sameMetadata(found: StorageItem['metadata'], sent: object): boolean {
  const { parameters: _, ...rest } = found;
  return Object.entries(sent).every(
    ([field, value]) => JSON.stringify(rest[field as keyof typeof rest]) === JSON.stringify(value),
  );
}

/** Every listed image has its bytes. */
async function readAll(storage: Storage, items: StorageItem[]): Promise<string[]> {
  const findings: string[] = [];
  for (const { filename, sha256 } of items) {
    try {
      const bytes = await buffer((await storage.get(filename)).body);
      if (sha256Of(bytes) !== sha256) findings.push(`wrong bytes: ${filename}`);
    } catch (error) {
      findings.push(`unreadable: ${filename}: ${(error as { reason?: string }).reason ?? error}`);
    }
  }
  return findings;
}

async function searchAll(storage: Storage, items: StorageItem[]): Promise<string[]> {
  const found = await storage.list({ query: 'image' });
  return found.length === items.length ? [] : [`search finds ${found.length} of ${items.length}`];
}

function compareStatistics(items: StorageItem[], trashed: StorageItem[], statistics: ProviderStatistics): string[] {
  const times = items.map(({ metadata }) => metadata.timestamp.getTime());
  const expected = {
    ...sumOf(items),
    trash: sumOf(trashed),
    pinnedCount: items.filter(({ pinned }) => pinned).length,
    oldest: times.length === 0 ? undefined : Math.min(...times),
    newest: times.length === 0 ? undefined : Math.max(...times),
    byModel: groupsOf(items, ({ metadata }) => metadata.model),
    byCategory: groupsOf(items, ({ metadata }) => metadata.category),
    byDate: groupsOf(items, ({ metadata }) => metadata.timestamp.toISOString().slice(0, 10)),
  };
  const { count, bytes, pinnedCount, oldest, newest, byModel, byCategory, byDate } = statistics;
  const actual = {
    count,
    bytes,
    trash: { count: statistics.trashCount, bytes: statistics.trashBytes },
    pinnedCount,
    oldest: oldest?.getTime(),
    newest: newest?.getTime(),
    byModel: inOrder(byModel),
    byCategory: inOrder(byCategory),
    byDate: inOrder(byDate),
  };
  const [a, b] = [JSON.stringify(actual), JSON.stringify(expected)];
  return a === b ? [] : [`statistics differ from the list: ${a} instead of ${b}`];
}

function sumOf(items: StorageItem[]): { count: number; bytes: number } {
  return { count: items.length, bytes: items.reduce((sum, { size }) => sum + size, 0) };
}

function groupsOf(items: StorageItem[], nameOf: (item: StorageItem) => string): GroupStatistics[] {
  const groups = Map.groupBy(items, nameOf);
  return inOrder([...groups].map(([name, members]) => ({ name, ...sumOf(members), rest: false })));
}

function inOrder(groups: GroupStatistics[]): GroupStatistics[] {
  const plain = groups.map(({ name, count, bytes, rest }) => ({ name, count, bytes, rest }));
  return plain.sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** Every image has its file and its record in its tree, there is no other file, and nothing is in doubt. */
async function compareFiles(basePath: string, live: StorageItem[], trashed: StorageItem[]): Promise<string[]> {
  const wanted = new Map([
    ...live.map((item) => [item, livePaths(item)] as const),
    ...trashed.map((item) => [item, trashedPaths(item)] as const),
  ]);
  const names = new Set([...wanted.values()].flatMap(({ image, record }) => [image, record]));
  const found = (
    await Promise.all(
      ['images', 'metadata/generations', 'metadata/trash'].map((folder) => filesBelow(basePath, folder)),
    )
  ).flat();
  const staged = (await filesBelow(basePath, 'metadata/staging')).map((path) => `left in staging: ${path}`);
  const strays = found.filter((path) => !names.has(path)).map((path) => `stray file: ${path}`);
  const missing = [...names].filter((path) => !found.includes(path)).map((path) => `missing file: ${path}`);
  const unequal = await Promise.all([...wanted].map(([item, paths]) => compareRecord(basePath, item, paths)));
  const wrong = await Promise.all(trashed.map((item) => compareBytes(basePath, item)));
  return [...staged, ...strays, ...missing, ...unequal.flat(), ...wrong.flat()];
}

interface Paths {
  image: string;
  record: string;
}

function livePaths({ key }: StorageItem): Paths {
  const image = key.slice('outputs/'.length);
  return { image, record: `${image.replace(/^images/, 'metadata')}.json` };
}

function trashedPaths(item: StorageItem): Paths {
  const { image, record } = livePaths(item);
  return { image: `metadata/trash/${image}`, record: record.replace(/^metadata/, 'metadata/trash') };
}

async function compareRecord(basePath: string, item: StorageItem, { image, record }: Paths): Promise<string[]> {
  const { filename, sha256, pinned, metadata } = item;
  try {
    const found = JSON.parse(await readFile(join(basePath, record), 'utf8'));
    const findings = found.sha256 === sha256 ? [] : [`record of another image: ${filename}`];
    const { category, tags } = metadata;
    const labels = JSON.stringify([found.pinned, found.category, found.tags]);
    if (labels !== JSON.stringify([pinned, category, tags])) findings.push(`record of before an update: ${filename}`);
    const { nlink } = await stat(join(basePath, image));
    return nlink === 1 ? findings : [...findings, `has a second name: ${filename}`];
  } catch (error) {
    return [`no whole record: ${filename}: ${(error as Error).message}`];
  }
}

async function compareBytes(basePath: string, item: StorageItem): Promise<string[]> {
  const bytes = await readFile(join(basePath, trashedPaths(item).image)).catch(() => Buffer.of());
  return sha256Of(bytes) === item.sha256 ? [] : [`wrong bytes in the trash: ${item.filename}`];
}
