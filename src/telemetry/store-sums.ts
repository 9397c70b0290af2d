/** Asks the stores, when a scrape comes, what they hold and how much room they have. */
import type { ProviderStatistics } from '../storage/domain/requests.ts';
import type { Storage } from '../storage/types.ts';
import { answerOf } from './answer-of.ts';
import { type Family, gauges, type Sample } from './families.ts';

/** Scrapes of several servers ask once. */
const KEEP_MS = 5_000;

const SUMS: readonly [name: string, help: string, of: (statistics: ProviderStatistics) => number | undefined][] = [
  ['image_storage_images', 'Images, without those in the trash.', ({ count }) => count],
  ['image_storage_bytes', 'Bytes of images, without those in the trash.', ({ bytes }) => bytes],
  ['image_storage_pinned_images', 'Images that no cleanup deletes.', ({ pinnedCount }) => pinnedCount],
  ['image_storage_trash_images', 'Images in the trash.', ({ trashCount }) => trashCount],
  ['image_storage_trash_bytes', 'Bytes of images in the trash.', ({ trashBytes }) => trashBytes],
  [
    'image_storage_disk_free_bytes',
    'Free bytes of the file system, with those of the trash, which give way.',
    ({ freeBytes }) => freeBytes,
  ],
  ['image_storage_disk_capacity_bytes', 'Bytes of the file system.', ({ capacityBytes }) => capacityBytes],
];

export type Sums = () => Promise<Family[]>;

export function createSums(storage: Pick<Storage, 'health' | 'getStatistics'>): Sums {
  let asked: Promise<Family[]> | undefined;
  let askedAt = Number.NEGATIVE_INFINITY;
  return () => {
    const now = performance.now();
    if (asked === undefined || now - askedAt > KEEP_MS) {
      asked = ask(storage);
      askedAt = now;
    }
    return asked;
  };
}

async function ask(storage: Pick<Storage, 'health' | 'getStatistics'>): Promise<Family[]> {
  const health = Object.entries(storage.health());
  const asking = health.map(([provider]) => answerOf(storage.getStatistics(provider)));
  const statistics = (await Promise.all(asking)).flatMap((answer) => answer ?? []);
  const samplesOf = (of: (typeof SUMS)[number][2]): Sample[] =>
    statistics.flatMap((each) => {
      const value = of(each);
      return value === undefined ? [] : [{ labels: { provider: each.provider }, value }];
    });
  const up = health.map(([provider, { serving }]) => ({ labels: { provider }, value: Number(serving) }));
  return [
    gauges('image_storage_provider_up', 'Whether the provider serves: 1 or 0.', up),
    ...SUMS.map(([name, help, of]) => gauges(name, help, samplesOf(of))),
  ];
}
