/** Pairs of stores to copy between, images for them, and what a copy said. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import type { CopyFailure, CopyOptions, CopySummary } from '../../src/storage/domain/maintenance.ts';
import type {
  ImageMetadata,
  ProviderChoice,
  ProviderSettings,
  SaveOptions,
  Storage,
  StorageConfig,
  StorageItem,
  StorageResult,
} from '../../src/storage/index.ts';
import type { MemoryBucket } from '../../src/storage/providers/memory-storage.ts';
import { openStorage } from '../../src/storage/storage.ts';
import { type Hands, handsOnBucket, handsOnFolder } from '../support/behind-the-back.ts';
import { pngOf } from '../support/images.ts';

export const DAY_MS = 24 * 60 * 60 * 1000;
export const T0 = Date.UTC(2024, 8, 27, 14, 15, 22, 123);
export const MOVE = { from: 'a', to: 'b' };

export async function newFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'image-storage-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

export type Kind = 'folder' | 'bucket';

interface Place {
  settings: ProviderSettings;
  hands: Hands;
}

function placeOf(kind: Kind, folder: string): Place {
  if (kind === 'folder') return { settings: { type: 'local', basePath: folder }, hands: handsOnFolder(folder) };
  const bucket: MemoryBucket = new Map();
  return { settings: { type: 'memory', bucket, stateDir: folder }, hands: handsOnBucket(bucket) };
}

/** Providers `a` and `b` of these kinds. */
export async function openPair(from: Kind, to: Kind, limits: StorageConfig['limits'] = {}) {
  const folder = await newFolder();
  const [a, b] = [placeOf(from, join(folder, 'a')), placeOf(to, join(folder, 'b'))];
  const config = { defaultProvider: 'a', providers: { a: a.settings, b: b.settings }, limits };
  const pair = {
    folder,
    a: a.hands,
    b: b.hands,
    aheadMs: 0,
    storage: undefined as unknown as Storage,
    async open() {
      const clocks = { now: () => Date.now() + pair.aheadMs, elapsed: () => performance.now() + pair.aheadMs };
      pair.storage = await openStorage(config, clocks);
      return pair.storage;
    },
  };
  await pair.open();
  onTestFinished(() => pair.storage.close());
  return pair;
}

/** Image number `at`: other bytes and other metadata for each. */
export async function save(
  storage: Storage,
  at: number,
  metadata: Partial<ImageMetadata> = {},
  options: SaveOptions & ProviderChoice = {},
) {
  return storage.save(
    pngOf({ width: 8, height: 8, seed: at, sizeBytes: 2_000 + at }),
    {
      prompt: `fox ${at}`,
      model: at % 2 ? 'FLUX.1 [dev]' : 'sdxl',
      timestamp: new Date(T0 + at * 1000),
      category: at % 3 ? 'animals' : '',
      tags: ['b', 'a'],
      parametersJson: `{"seed": 18446744073709551615, "at": ${at}}`,
      ...metadata,
    },
    { idempotencyKey: `key-${at}`, pinned: at % 4 === 0, ...options },
  );
}

export async function saveMany(storage: Storage, count: number): Promise<StorageResult[]> {
  return Promise.all(Array.from({ length: count }, (_, at) => save(storage, at)));
}

interface Copied {
  summary: CopySummary;
  failures: CopyFailure[];
}

export async function copied(storage: Storage, options: Partial<CopyOptions> & { from?: string; to?: string } = {}) {
  const failures: CopyFailure[] = [];
  for await (const event of storage.copy({ ...MOVE, ...options })) {
    if (event.kind === 'failed') failures.push(event.failure);
    if (event.kind === 'summary') return { summary: event.summary, failures } satisfies Copied;
  }
  throw new Error('the copy ended without its summary');
}

export const listed = async (storage: Storage, provider: string) => (await storage.list({ provider })).map(plain);

/** What an image is, wherever it lies. */
function plain(item: StorageItem): object {
  const { url: _, path: __, provider: ___, storageType: ____, metadata, ...rest } = item;
  return { ...rest, metadata: { ...metadata } };
}

export const names = (items: { filename: string }[]) => items.map(({ filename }) => filename).sort();
