/** Converts messages of the contract to the domain's terms and back. */
import type { MessageInitShape } from '@bufbuild/protobuf';
import { type Duration, type Timestamp, timestampFromDate } from '@bufbuild/protobuf/wkt';
import {
  type CleanupRequest,
  type CleanupResponseSchema,
  type DateRange as DateRangeMessage,
  Embedded,
  GroupBy as GroupByMessage,
  type GroupStatsSchema,
  type ImageMetadata as ImageMetadataMessage,
  type ImageSchema,
  type ListRequest,
  type ListTrashRequest,
  Order,
  type PolicyStatsSchema,
  type ProviderStatsSchema,
  type PurgeRequest,
  type SaveHeader,
  type SaveTrailer,
  type Selection,
  type StatsRequest,
  type StatsResponseSchema,
  type UpdateRequest,
  View,
} from '../../gen/imagestorage/v1/image_storage_pb.ts';
import { invalidField } from '../storage/domain/errors.ts';
import type { ImageMetadata, StorageItem } from '../storage/domain/image.ts';
import type {
  Age,
  CleanupCriteria,
  CleanupOptions,
  CleanupResult,
  DateRange,
  Declared,
  GroupBy,
  GroupStatistics,
  ImageChanges,
  ImageFilter,
  Instant,
  ListOptions,
  PolicyStatistics,
  ProviderStatistics,
  PurgeOptions,
  SaveOptions,
  Selection as SelectionOptions,
  Totals,
  TotalsOptions,
  TrashOptions,
} from '../storage/domain/requests.ts';
import type { ProviderChoice } from '../storage/types.ts';

const MAX_BATCH_SIZE = 1000;
const MAX_FILENAMES = 1000;
const SHA256_BYTES = 32;
const LAST_SECOND = 253_402_300_799n;
/** Of a Duration: 10,000 years. */
const MAX_SECONDS = 315_576_000_000n;

export function metadataOf(message: ImageMetadataMessage | undefined): ImageMetadata {
  return {
    prompt: message?.prompt ?? '',
    model: message?.model ?? '',
    timestamp: dateOf('metadata.timestamp', message?.timestamp),
    category: message?.category,
    parametersJson: message?.parametersJson,
    tags: message?.tags,
  };
}

export function saveOptionsOf(header: SaveHeader): SaveOptions & ProviderChoice {
  return {
    ...declaredOf(header),
    provider: header.provider,
    idempotencyKey: header.idempotencyKey,
    contentType: header.contentType,
    pinned: header.pinned,
    embedded: embeddedOf(header.embedded),
    unlessDeleted: header.unlessDeleted,
    ttlMs: ageOf('ttl', header.ttl)?.ageMs,
  };
}

function embeddedOf(embedded: Embedded): SaveOptions['embedded'] {
  if (embedded === Embedded.IGNORE) return 'ignore';
  if (embedded === Embedded.FILL || embedded === Embedded.UNSPECIFIED) return 'fill';
  throw invalidField('embedded', `${embedded} is none of the values`);
}

export function declaredOf({ size, sha256 }: Pick<SaveTrailer, 'size' | 'sha256'>): Declared {
  if (sha256.length !== 0 && sha256.length !== SHA256_BYTES) {
    throw invalidField('sha256', `${sha256.length} bytes, a SHA-256 has ${SHA256_BYTES}`);
  }
  return {
    size: size === undefined ? undefined : numberOf(size),
    sha256: sha256.length === 0 ? undefined : Buffer.from(sha256).toString('hex'),
  };
}

export function listOptionsOf(request: ListRequest): ListOptions & ProviderChoice {
  const { batchSize } = request;
  if (batchSize > MAX_BATCH_SIZE) throw invalidField('batch_size', `${batchSize}, at most ${MAX_BATCH_SIZE}`);
  return {
    ...filterOf(request),
    provider: request.provider,
    order: orderOf(request.order),
    view: viewOf(request.view),
    limit: request.limit,
    pageToken: request.pageToken || undefined,
    pageSize: batchSize || undefined,
  };
}

/** Returns the filters that List, Stats and a selection have in common. */
function filterOf(message: ListRequest | StatsRequest | Selection, within = ''): ImageFilter {
  const { dateRange, model, category, query, tags, pinned } = message;
  return {
    dateRange: dateRangeOf(dateRange, within),
    model: model || undefined,
    category: category || undefined,
    query: query || undefined,
    tags,
    pinned,
  };
}

function dateRangeOf(dateRange: DateRangeMessage | undefined, within: string): DateRange {
  return {
    start: dateOf(`${within}date_range.start`, dateRange?.start),
    end: dateOf(`${within}date_range.end`, dateRange?.end),
  };
}

const GROUPS: Partial<Record<GroupByMessage, GroupBy>> = {
  [GroupByMessage.DAY]: 'day',
  [GroupByMessage.MONTH]: 'month',
  [GroupByMessage.MODEL]: 'model',
  [GroupByMessage.CATEGORY]: 'category',
  [GroupByMessage.TAG]: 'tag',
  [GroupByMessage.LORA]: 'lora',
};

export function totalsOptionsOf(request: StatsRequest): TotalsOptions & ProviderChoice {
  const by = GROUPS[request.by];
  if (by === undefined && request.by !== GroupByMessage.UNSPECIFIED) {
    throw invalidField('by', `${request.by} is none of the groups`);
  }
  return {
    ...filterOf(request),
    provider: request.provider,
    by,
    startsWith: request.startsWith || undefined,
    timeZone: request.timeZone || undefined,
    limit: request.limit || undefined,
  };
}

function orderOf(order: Order): ListOptions['order'] {
  if (order === Order.OLDEST_FIRST) return 'oldest';
  if (order === Order.NEWEST_FIRST || order === Order.UNSPECIFIED) return 'newest';
  throw invalidField('order', `${order} is none of the orders`);
}

function viewOf(view: View): ListOptions['view'] {
  if (view === View.ROW) return 'row';
  if (view === View.UNSPECIFIED) return 'full';
  throw invalidField('view', `${view} is none of the views`);
}

export function cleanupOptionsOf(request: CleanupRequest): CleanupOptions<Instant> & ProviderChoice {
  return {
    provider: request.provider,
    policy: request.policy || undefined,
    selection: request.selection && selectionOf(request.selection),
    ...criteriaOf(request),
    model: request.model || undefined,
    category: request.category || undefined,
    dryRun: request.dryRun,
    maxDeletes: request.maxDeletes,
    permanent: request.permanent,
  };
}

function criteriaOf(message: CleanupRequest | Selection, within = ''): CleanupCriteria<Instant> {
  const { olderThan, olderThanAge, keepCount, keepBytes } = message;
  return {
    // The age by this daemon's clock; the date beside it is that of the client's, for daemons that know no age.
    olderThan: ageOf(`${within}older_than_age`, olderThanAge) ?? dateOf(`${within}older_than`, olderThan),
    keepCount,
    keepBytes: keepBytes === undefined ? undefined : numberOf(keepBytes),
  };
}

function selectionOf(message: Selection): SelectionOptions<Instant> {
  const within = 'selection.';
  const { only, except, plan } = message;
  return {
    ...filterOf(message, within),
    ...criteriaOf(message, within),
    only,
    except,
    plan: plan.length === 0 ? undefined : plan,
  };
}

export function trashOptionsOf({ provider, query, limit, pageToken }: ListTrashRequest): TrashOptions & ProviderChoice {
  return { provider, query, limit, pageToken: pageToken || undefined };
}

/** Throws FIELD_INVALID unless filenames or all are asked for. */
export function purgeOptionsOf({ filenames, all, provider }: PurgeRequest): PurgeOptions & ProviderChoice {
  if (all === filenames.length > 0) throw invalidField('filenames', 'name filenames, or ask for all');
  if (all) return { all, provider };
  checkFilenames(filenames);
  return { filenames, provider };
}

export function checkFilenames(filenames: readonly string[]): void {
  if (filenames.length > 0 && filenames.length <= MAX_FILENAMES) return;
  throw invalidField('filenames', `${filenames.length} filenames, 1 to ${MAX_FILENAMES} are accepted`);
}

export function changesOf({ pinned, addTags, removeTags, category }: UpdateRequest): ImageChanges {
  return { ...(pinned !== undefined && { pinned }), ...(category !== undefined && { category }), addTags, removeTags };
}

export function imageFrom(item: StorageItem): MessageInitShape<typeof ImageSchema> {
  const { prompt, model, timestamp, category, parametersJson, tags } = item.metadata;
  return {
    url: item.url,
    filename: item.filename,
    path: item.path,
    size: BigInt(item.size),
    storageType: item.storageType,
    metadata: { prompt, model, timestamp: timestampFromDate(timestamp), category, parametersJson, tags },
    provider: item.provider,
    sha256: Buffer.from(item.sha256, 'hex'),
    contentType: item.contentType,
    width: item.width,
    height: item.height,
    createTime: timestampFromDate(item.createTime),
    pinned: item.pinned,
    key: item.key,
    generation: item.generation,
    thumbHash: item.thumbHash,
    ...timesOf(item),
  };
}

/** Those that most images do not have. */
function timesOf({ expireTime, deleteTime, purgeTime }: StorageItem) {
  return {
    ...(expireTime && { expireTime: timestampFromDate(expireTime) }),
    ...(deleteTime && { deleteTime: timestampFromDate(deleteTime) }),
    ...(purgeTime && { purgeTime: timestampFromDate(purgeTime) }),
  };
}

export function cleanupFrom(result: CleanupResult): MessageInitShape<typeof CleanupResponseSchema> {
  const { restorableUntil, reasons, ...rest } = result;
  return {
    ...rest,
    reasons: reasons.map(({ text, count, bytes }) => ({ text, count: BigInt(count), bytes: BigInt(bytes) })),
    restorableUntil: restorableUntil && timestampFromDate(restorableUntil),
    deletedCount: BigInt(result.deletedCount),
    freedBytes: BigInt(result.freedBytes),
    keptPinned: BigInt(result.keptPinned),
    keptFuture: BigInt(result.keptFuture),
    keptChanged: BigInt(result.keptChanged),
  };
}

export function statisticsFrom(statistics: ProviderStatistics): MessageInitShape<typeof ProviderStatsSchema> {
  const { oldest, newest, capacityBytes, freeBytes } = statistics;
  return {
    provider: statistics.provider,
    storageType: statistics.storageType,
    count: BigInt(statistics.count),
    bytes: BigInt(statistics.bytes),
    oldest: oldest && timestampFromDate(oldest),
    newest: newest && timestampFromDate(newest),
    byModel: statistics.byModel.map(groupFrom),
    byCategory: statistics.byCategory.map(groupFrom),
    byDate: statistics.byDate.map(groupFrom),
    pinnedCount: BigInt(statistics.pinnedCount),
    capacityBytes: capacityBytes === undefined ? undefined : BigInt(capacityBytes),
    freeBytes: freeBytes === undefined ? undefined : BigInt(freeBytes),
    trashCount: BigInt(statistics.trashCount),
    trashBytes: BigInt(statistics.trashBytes),
    policies: statistics.policies.map(policyFrom),
  };
}

function policyFrom({
  lastRun,
  nextRun,
  lastCount,
  lastBytes,
  ...rest
}: PolicyStatistics): MessageInitShape<typeof PolicyStatsSchema> {
  return {
    ...rest,
    lastRun: lastRun && timestampFromDate(lastRun),
    nextRun: nextRun && timestampFromDate(nextRun),
    lastCount: BigInt(lastCount),
    lastBytes: BigInt(lastBytes),
  };
}

/** Returns the part of a Stats response that counts what matches. */
export function totalsFrom({
  count,
  bytes,
  oldest,
  newest,
  groups,
  more,
}: Totals): Pick<MessageInitShape<typeof StatsResponseSchema>, 'total' | 'groups' | 'more'> {
  const total = {
    count: BigInt(count),
    bytes: BigInt(bytes),
    oldest: oldest && timestampFromDate(oldest),
    newest: newest && timestampFromDate(newest),
  };
  return { total, groups: groups.map(groupFrom), more };
}

function groupFrom({ name, count, bytes, rest }: GroupStatistics): MessageInitShape<typeof GroupStatsSchema> {
  return { name, count: BigInt(count), bytes: BigInt(bytes), rest };
}

/** Returns a count of bytes as a number; one that a double cannot hold exactly is larger than any image or store. */
export function numberOf(value: bigint): number {
  return value > BigInt(Number.MAX_SAFE_INTEGER) ? Number.MAX_SAFE_INTEGER : Number(value);
}

/** Returns the time, cut to the millisecond. Throws FIELD_INVALID outside the years 1970 to 9999. */
export function dateOf(field: string, timestamp: Timestamp | undefined): Date | undefined {
  if (timestamp === undefined) return undefined;
  const { seconds, nanos } = timestamp;
  if (seconds < 0n || seconds > LAST_SECOND || nanos < 0 || nanos > 999_999_999) {
    throw invalidField(field, 'must lie in the years 1970 to 9999, with nanos of 0 to 999,999,999');
  }
  return new Date(Number(seconds) * 1000 + Math.floor(nanos / 1e6));
}

/** Returns the age, rounded up to the millisecond: a cleanup then protects more. Throws FIELD_INVALID. */
function ageOf(field: string, duration: Duration | undefined): Age | undefined {
  if (duration === undefined) return undefined;
  const { seconds, nanos } = duration;
  if (seconds < 0n || seconds > MAX_SECONDS || nanos < 0 || nanos > 999_999_999) {
    throw invalidField(field, 'must not be negative, nor longer than 10,000 years');
  }
  return { ageMs: Number(seconds) * 1000 + Math.ceil(nanos / 1e6) };
}
