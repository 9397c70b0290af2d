/** Providers over a bucket in memory, and what lies in a bucket that belongs to no image. */

import { parseFound } from '../../src/storage/bucket/record-object.ts';
import { imageKey, recordKey, shortId } from '../../src/storage/domain/naming.ts';
import { DEFAULT_LIMITS } from '../../src/storage/index.ts';
import type { ProviderContext } from '../../src/storage/types.ts';

const SILENT = { debug() {}, info() {}, warn() {}, error() {} };

/** What a provider needs from its surroundings. */
export function contextOf(given: Partial<ProviderContext> = {}): ProviderContext {
  const onFatal = (error: Error) => {
    throw error;
  };
  const rest = { now: Date.now, shortId, onFatal, failpoint: () => {} };
  return { name: 'main', publicUrl: '', limits: DEFAULT_LIMITS, log: SILENT, ...rest, ...given };
}

/** Keys of objects without a record, and of records without their object; tombstones and FORMAT belong there. */
export function strayObjects(bucket: ReadonlyMap<string, { bytes: Buffer }>): string[] {
  const images = new Set<string>();
  const stray: string[] = [];
  for (const [key, { bytes }] of bucket) {
    const filename = key.slice(key.lastIndexOf('/') + 1).replace(/\.json$/, '');
    if (!key.startsWith('outputs/metadata/generations/')) continue;
    const { kind } = parseFound(bytes.toString(), '', filename);
    if (kind === 'foreign') stray.push(key);
    if (kind !== 'live' && kind !== 'trashed') continue;
    images.add(imageKey(filename));
    if (!bucket.has(imageKey(filename))) stray.push(recordKey(filename));
  }
  return [...stray, ...[...bucket.keys()].filter((key) => key.startsWith('outputs/images/') && !images.has(key))];
}

/** Objects without an image that no tombstone stands for: those a sweep will not find. */
export function unsweptObjects(bucket: ReadonlyMap<string, { bytes: Buffer }>): string[] {
  return strayObjects(bucket).filter((key) => {
    const record = bucket.get(recordKey(key.slice(key.lastIndexOf('/') + 1).replace(/\.json$/, '')));
    return !key.startsWith('outputs/images/') || !record?.bytes.includes('"tombstone"');
  });
}
