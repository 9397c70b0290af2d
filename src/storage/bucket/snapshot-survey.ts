/** Compares snapshots with what the catalog knows of the bucket, and says which are to be written again. */
import { type BucketCatalog, MISSING_ETAG } from '../catalog/bucket-catalog.ts';
import { recordKey } from '../domain/naming.ts';
import { Digest, type Snapshot } from './snapshot-object.ts';

const KNOWN_AT_ONCE = 2_000;
/** Of a whole snapshot, this part of the records may be missing for a while. */
const MANY = 0.1;
/** After that time a snapshot is written again for any difference: half of what is promised for a deleted image. */
const MAX_AGE_MS = 12 * 60 * 60 * 1000;

/** The records with keys above `after` up to and including `upTo`; unset where there is no such bound. */
export interface KeyRange {
  after?: string;
  upTo?: string;
}

/** A part of the keys of records, and the snapshots that begin it: one, where nothing was cut off. */
export interface Part extends KeyRange {
  snapshots: Snapshot[];
}

/** What the catalog knows of a part. */
export interface Known {
  /** Of images, live or in the trash, and of records that are damaged. */
  count: number;
  digest: string;
  hasTombstone: boolean;
}

/** Divides all keys of records at those where snapshots begin. Requires the order of these keys. */
export function partsOf(snapshots: readonly Snapshot[]): Part[] {
  const parts: Part[] = [];
  for (const [first, together] of Map.groupBy(snapshots, (snapshot) => snapshot.first)) {
    // Below the first key itself, and above all before it.
    const before = recordKey(first).slice(0, -'.json'.length);
    const last = parts.at(-1);
    if (last !== undefined) last.upTo = before;
    parts.push({ snapshots: together, ...(last !== undefined && { after: before }) });
  }
  return parts.length === 0 ? [{ snapshots: [] }] : parts;
}

/** Returns two parts that follow each other as one. */
export function joined({ snapshots, after }: Part, next: Part): Part {
  const { upTo } = next;
  return {
    snapshots: [...snapshots, ...next.snapshots],
    ...(after !== undefined && { after }),
    ...(upTo !== undefined && { upTo }),
  };
}

/**
 * `size`: how many records a snapshot has. Returns what the catalog knows of a part where its snapshots are to be
 * written again, otherwise undefined.
 */
export async function survey(
  catalog: Pick<BucketCatalog, 'knownBetween'>,
  part: Part,
  { now, size }: { now: number; size: number },
): Promise<Known | undefined> {
  const known = await knownOf(catalog, part);
  const [snapshot, ...more] = part.snapshots;
  if (snapshot === undefined) return known.count === 0 ? undefined : known;
  if (more.length > 0) return known;
  if (known.digest === snapshot.digest) return undefined;
  // Whatever was deleted may be in it.
  const isDue = known.hasTombstone || Math.abs(known.count - snapshot.count) >= MANY * size;
  return isDue || now - snapshot.lastModified > MAX_AGE_MS ? known : undefined;
}

async function knownOf(catalog: Pick<BucketCatalog, 'knownBetween'>, { after, upTo }: KeyRange): Promise<Known> {
  const digest = new Digest();
  let hasTombstone = false;
  for (let from = after, more = true; more; ) {
    const known = await catalog.knownBetween({
      ...(from !== undefined && { after: from }),
      ...(upTo !== undefined && { upTo }),
      limit: KNOWN_AT_ONCE,
    });
    for (const { filename, etag, deleted } of known) {
      hasTombstone ||= deleted;
      if (!deleted && etag !== MISSING_ETAG) digest.add({ filename, etag });
    }
    more = known.length === KNOWN_AT_ONCE;
    from = more ? recordKey(known.at(-1)!.filename) : from;
  }
  return { count: digest.count, digest: digest.end(), hasTombstone };
}
