/** Takes deletes back: restores, lists and purges the images in the trash, and says where a daemon has none. */
import { ImageStorage } from '../../gen/imagestorage/v1/image_storage_pb.ts';
import { trashedImageFrom } from './convert.ts';
import { readBatches } from './lists.ts';
import { explainOlder } from './older.ts';
import { type Backoff, retrying } from './retry.ts';
import type { CallLimits, Transport } from './transport.ts';
import type { ProviderChoice, PurgeOptions, PurgeResult, RestoreResult, TrashedImage, TrashOptions } from './types.ts';

/** The contract's limit for one call. */
const MAX_FILENAMES = 1000;

const orOlder = explainOlder('it has no trash and deletes for good; update it to take deletes back');

/** Returns the filenames in groups that fit into one call. */
export function* inGroups(filenames: string | readonly string[]): Generator<readonly string[]> {
  const names = typeof filenames === 'string' ? [filenames] : filenames;
  for (let at = 0; at < names.length; at += MAX_FILENAMES) yield names.slice(at, at + MAX_FILENAMES);
}

export async function restore(
  transport: Transport,
  filenames: string | readonly string[],
  { provider }: ProviderChoice,
  limits: CallLimits,
  backoff: () => Backoff,
): Promise<RestoreResult[]> {
  const restored: RestoreResult[] = [];
  for (const group of inGroups(filenames)) {
    const request = { filenames: [...group], provider };
    const attempt = () => transport.unary(ImageStorage.method.restore, request, limits);
    const { results } = await retrying(backoff(), attempt).catch(orOlder);
    restored.push(...results.map(({ filename, restored, reason }) => ({ filename, restored, reason })));
  }
  return restored;
}

export async function* listTrash(
  transport: Transport,
  { provider, query, limit }: TrashOptions,
  limits: CallLimits,
  backoff: Backoff,
): AsyncGenerator<TrashedImage> {
  const read = (rest: { pageToken: string; limit: number }) =>
    transport.download(ImageStorage.method.listTrash, { provider, query, ...rest }, limits);
  try {
    for await (const message of readBatches(read, backoff, limit)) yield trashedImageFrom(message, transport.baseUrl);
  } catch (error) {
    orOlder(error);
  }
}

export async function purge(
  transport: Transport,
  options: PurgeOptions,
  limits: CallLimits,
  backoff: () => Backoff,
): Promise<PurgeResult> {
  const { provider } = options;
  const gone = { count: 0, bytes: 0 };
  /** Returns whether more are left of all. */
  const call = async (which: { filenames: string[] } | { all: true }) => {
    const attempt = () => transport.unary(ImageStorage.method.purge, { ...which, provider }, limits);
    const { count, bytes, more } = await retrying(backoff(), attempt).catch(orOlder);
    gone.count += Number(count);
    gone.bytes += Number(bytes);
    return more;
  };
  if ('all' in options) while (await call({ all: true }));
  else for (const filenames of inGroups(options.filenames)) await call({ filenames: [...filenames] });
  return gone;
}
