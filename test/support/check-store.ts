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
import type { Ledger } from './ledger.ts';

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
    const items = await storage.list();
    const findings = [
      ...compareWithLedger(items, ledger, untilNs),
      ...(await readAll(storage, items)),
      ...compareStatistics(items, (await storage.getStatistics())[0]!),
      ...(await searchAll(storage, items)),
      ...(await compareFiles(basePath, items)),
    ];
    ledger.settle(items, untilNs);
    await afterwards?.(storage);
    return findings;
  } finally {
    await storage.close();
  }
}

function compareWithLedger(items: StorageItem[], ledger: Ledger, untilNs: bigint | undefined): string[] {
  const bySha256 = Map.groupBy(items, ({ sha256 }) => sha256);
  const known = ledger.entries().flatMap(({ image, filename }) => {
    const found = bySha256.get(image.sha256) ?? [];
    const name = filename || image.metadata.prompt;
    const fate = ledger.fateOf(image.sha256, untilNs);
    if (found.length === 0) return fate === 'present' ? [`lost: ${name}`] : [];
    if (fate === 'absent') return [`came back: ${name}`];
    if (found.length > 1) return [`there are ${found.length} of: ${name}`];
    const { filename: foundName, metadata } = found[0]!;
    if (filename !== '' && foundName !== filename) return [`has another name: ${foundName} instead of ${filename}`];
    const { category: _, tags: __, ...sent } = image.metadata;
    if (!sameMetadata(metadata, { ...sent, ...image.filled })) return [`metadata differ: ${name}`];
    const { pinned } = found[0]!;
    const labels = JSON.stringify({ pinned, category: metadata.category, tags: metadata.tags });
    const allowed = ledger
      .labelsOf(image.sha256, untilNs)
      .map(({ pinned, category, tags }) => JSON.stringify({ pinned, category, tags }));
    return allowed.includes(labels) ? [] : [`labels differ: ${name}: ${labels} instead of ${allowed.join(' or ')}`];
  });
  const asked = new Set(ledger.entries().map(({ image }) => image.sha256));
  const strangers = items
    .filter(({ sha256 }) => !asked.has(sha256))
    .map(({ filename }) => `was never saved: ${filename}`);
  return [...known, ...strangers];
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

function compareStatistics(items: StorageItem[], statistics: ProviderStatistics): string[] {
  const times = items.map(({ metadata }) => metadata.timestamp.getTime());
  const expected = {
    ...sumOf(items),
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

/** Every image has its file and its record, there is no other file, and nothing is in doubt. */
async function compareFiles(basePath: string, items: StorageItem[]): Promise<string[]> {
  const wanted = new Set(
    items.flatMap(({ key }) => {
      const path = key.slice('outputs/'.length);
      return [path, `${path.replace(/^images/, 'metadata')}.json`];
    }),
  );
  const found = (
    await Promise.all(['images', 'metadata/generations'].map((folder) => filesBelow(basePath, folder)))
  ).flat();
  const staged = (await filesBelow(basePath, 'metadata/staging')).map((path) => `left in staging: ${path}`);
  const strays = found.filter((path) => !wanted.has(path)).map((path) => `stray file: ${path}`);
  const missing = [...wanted].filter((path) => !found.includes(path)).map((path) => `missing file: ${path}`);
  const unequal = (await Promise.all(items.map((item) => compareRecord(basePath, item)))).flat();
  return [...staged, ...strays, ...missing, ...unequal];
}

async function compareRecord(
  basePath: string,
  { key, filename, sha256, pinned, metadata }: StorageItem,
): Promise<string[]> {
  try {
    const path = join(basePath, key.slice('outputs/'.length));
    const record = JSON.parse(
      await readFile(`${path.replace('/images/generations/', '/metadata/generations/')}.json`, 'utf8'),
    );
    const findings = record.sha256 === sha256 ? [] : [`record of another image: ${filename}`];
    const { category, tags } = metadata;
    const labels = JSON.stringify([record.pinned, record.category, record.tags]);
    if (labels !== JSON.stringify([pinned, category, tags])) findings.push(`record of before an update: ${filename}`);
    return (await stat(path)).nlink === 1 ? findings : [...findings, `has a second name: ${filename}`];
  } catch (error) {
    return [`no whole record: ${filename}: ${(error as Error).message}`];
  }
}
