/** Counts images: of a store, of what filters match, and by day. */

import type { GroupStats } from '../../../gen/imagestorage/v1/image_storage_pb.ts';
import { callRpc } from './call.ts';
import type { Json, RequestOf } from './contract.ts';
import type { Filters } from './images.ts';

export interface Group {
  name: string;
  count: number;
  bytes: number;
  /** True: all that are in no other group. */
  isRest: boolean;
}

export interface Counts {
  /** Of what matches; undefined: an older daemon, which does not count. */
  matching: number | undefined;
  /** When the newest of these was made, in ms since 1970; 0: none. */
  newest: number;
  oldest: number;
  /** Of all images, whatever the filters. */
  all: number;
  /** Names of the providers that were counted. */
  providers: string[];
  groups: Group[];
  /** True: the oldest of what matches are not counted. */
  isPartial: boolean;
}

type Grouping = Pick<RequestOf<'stats'>, 'by' | 'startsWith' | 'limit'>;

/** Rejects as `callRpc`. */
export async function countImages(filters: Filters, grouping: Grouping, signal?: AbortSignal): Promise<Counts> {
  const answer = await callRpc('stats', { ...requestOf(filters), ...grouping }, signal);
  const { providers = [], total, groups = [], more = false } = answer;
  return {
    matching: total === undefined ? undefined : Number(total.count ?? 0),
    newest: Date.parse(total?.newest ?? '') || 0,
    oldest: Date.parse(total?.oldest ?? '') || 0,
    all: providers.reduce((sum, { count }) => sum + Number(count ?? 0), 0),
    providers: providers.map(({ provider }) => provider ?? ''),
    groups: groups.map(groupOf),
    isPartial: more,
  };
}

function groupOf({ name = '', count, bytes, rest = false }: Json<GroupStats>): Group {
  return { name, count: Number(count ?? 0), bytes: Number(bytes ?? 0), isRest: rest };
}

/** The fields that a List and a Stats share. */
export function requestOf(filters: Filters): RequestOf<'stats'> {
  const request: RequestOf<'stats'> = {};
  for (const [name, value] of filters) {
    if (name === 'tags') request.tags = [...(request.tags ?? []), value];
    else if (name === 'pinned') request.pinned = value === 'true';
    else if (name === 'dateRange.start') request.dateRange = { ...request.dateRange, start: value };
    else if (name === 'dateRange.end') request.dateRange = { ...request.dateRange, end: value };
    else request[name as 'provider' | 'model' | 'category' | 'query'] = value;
  }
  return request;
}
