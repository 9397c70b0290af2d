/** Converts messages of the contract to the client's plain objects, and options to requests. */
import type { MessageInitShape } from '@bufbuild/protobuf';
import { durationFromMs, type Timestamp, timestampDate, timestampFromMs } from '@bufbuild/protobuf/wkt';
import { status } from '@grpc/grpc-js';
import {
  type CleanupRequestSchema,
  type CleanupResponse,
  type DateRangeSchema,
  type DeleteResult as DeleteResultMessage,
  type Generation as GenerationMessage,
  GroupBy as GroupByMessage,
  type GroupStats as GroupStatsMessage,
  type Image as ImageMessage,
  type ListRequestSchema,
  Order,
  type PolicyStats as PolicyStatsMessage,
  type ProviderStats as ProviderStatsMessage,
  type SelectionSchema,
  type StatsRequestSchema,
  type StatsResponse,
  View,
} from '../../gen/imagestorage/v1/image_storage_pb.ts';
import { ImageStorageError } from './errors.ts';
import type { GroupBy, GroupStats, PolicyStats, ProviderStats, Totals, TotalsOptions } from './stats-types.ts';
import type {
  Age,
  CleanupOptions,
  CleanupResult,
  DeleteResult,
  Generation,
  Image,
  ImageFilter,
  ListOptions,
  Selection,
  TrashedImage,
} from './types.ts';

const GROUPS: Record<GroupBy, GroupByMessage> = {
  day: GroupByMessage.DAY,
  month: GroupByMessage.MONTH,
  model: GroupByMessage.MODEL,
  category: GroupByMessage.CATEGORY,
  tag: GroupByMessage.TAG,
  lora: GroupByMessage.LORA,
};

/** `baseUrl`: where the daemon answers by HTTP; undefined for a Unix socket. */
export function imageFrom(message: ImageMessage | undefined, baseUrl: string | undefined): Image {
  if (!message) throw new ImageStorageError(status.INTERNAL, 'the daemon answered without an image');
  const { metadata } = message;
  return {
    url: message.url,
    ...linkOf(message.url, baseUrl),
    filename: message.filename,
    path: message.path,
    key: message.key,
    size: Number(message.size),
    storageType: message.storageType,
    provider: message.provider,
    metadata: {
      prompt: metadata?.prompt ?? '',
      model: metadata?.model ?? '',
      timestamp: dateFrom(metadata?.timestamp) ?? new Date(0),
      category: metadata?.category ?? '',
      parametersJson: metadata?.parametersJson ?? '',
      tags: metadata?.tags ?? [],
    },
    sha256: Buffer.from(message.sha256).toString('hex'),
    contentType: message.contentType,
    width: message.width,
    height: message.height,
    createTime: dateFrom(message.createTime) ?? new Date(0),
    pinned: message.pinned,
    ...(message.thumbHash.length > 0 && { thumbHash: message.thumbHash }),
    ...(message.expireTime && { expireTime: timestampDate(message.expireTime) }),
    ...(message.generation && { generation: generationFrom(message.generation) }),
  };
}

function linkOf(url: string, baseUrl: string | undefined): { link?: string } {
  if (!url.startsWith('/')) return { link: url };
  return baseUrl === undefined ? {} : { link: baseUrl + url };
}

export function trashedImageFrom(message: ImageMessage, baseUrl: string | undefined): TrashedImage {
  const { deleteTime, purgeTime } = message;
  return {
    ...imageFrom(message, baseUrl),
    deleteTime: dateFrom(deleteTime) ?? new Date(0),
    purgeTime: dateFrom(purgeTime) ?? new Date(0),
  };
}

export function deleteResultFrom({ filename, deleted, reason, restorableUntil }: DeleteResultMessage): DeleteResult {
  return { filename, deleted, reason, ...(restorableUntil && { restorableUntil: timestampDate(restorableUntil) }) };
}

function generationFrom(message: GenerationMessage): Generation {
  const { negativePrompt, seed, steps, cfg, sampler, scheduler, loras, width, height } = message;
  return {
    ...(negativePrompt && { negativePrompt }),
    ...(seed && { seed }),
    ...(steps !== undefined && { steps }),
    ...(cfg !== undefined && { cfg }),
    ...(sampler && { sampler }),
    ...(scheduler && { scheduler }),
    ...(loras.length > 0 && { loras }),
    ...(width && { width }),
    ...(height && { height }),
  };
}

export function listRequest(options: ListOptions): MessageInitShape<typeof ListRequestSchema> {
  const { dateRange, order, view, signal: _, onHints, ...same } = options;
  return {
    ...same,
    dateRange: dateRangeOf(dateRange),
    order: order === 'oldest' ? Order.OLDEST_FIRST : Order.NEWEST_FIRST,
    view: view === 'row' ? View.ROW : View.UNSPECIFIED,
    hints: onHints !== undefined,
  };
}

export function totalsRequest(options: TotalsOptions): MessageInitShape<typeof StatsRequestSchema> {
  const { dateRange, by, signal: _, ...same } = options;
  return { ...same, dateRange: dateRangeOf(dateRange), ...(by && { by: GROUPS[by] }) };
}

function dateRangeOf(range: ImageFilter['dateRange']): MessageInitShape<typeof DateRangeSchema> | undefined {
  return range && { start: timestampOf(range.start), end: timestampOf(range.end) };
}

export function cleanupRequest(options: CleanupOptions): MessageInitShape<typeof CleanupRequestSchema> {
  const { olderThan, keepBytes, selection, signal: _, ...same } = options;
  return {
    ...same,
    ...cutoffOf(olderThan),
    keepBytes: keepBytes === undefined ? undefined : BigInt(keepBytes),
    ...(selection && { selection: selectionOf(selection) }),
  };
}

function selectionOf(selection: Selection): MessageInitShape<typeof SelectionSchema> {
  const { dateRange, olderThan, keepBytes, only = [], except = [], ...same } = selection;
  return {
    ...same,
    ...cutoffOf(olderThan),
    dateRange: dateRangeOf(dateRange),
    keepBytes: keepBytes === undefined ? undefined : BigInt(keepBytes),
    only: [...only],
    except: [...except],
  };
}

/** Returns whether the selection has what a cleanup requires. */
export function selectsAny({ dateRange, ...selection }: Selection): boolean {
  const { model, category, query, tags, pinned, only, plan, olderThan, keepCount, keepBytes } = selection;
  const filled = [model, category, query, tags, only, plan].some((value) => value !== undefined && value.length > 0);
  const set = [pinned, olderThan, keepCount, keepBytes, dateRange?.start, dateRange?.end];
  return filled || set.some((value) => value !== undefined);
}

/** Sends the date of an age, too: an older daemon ignores the age, and with it the protection. */
function cutoffOf(
  olderThan: Date | Age | undefined,
): Pick<MessageInitShape<typeof CleanupRequestSchema>, 'olderThan' | 'olderThanAge'> {
  if (olderThan === undefined || !('ageMs' in olderThan)) return { olderThan: timestampOf(olderThan) };
  const { ageMs } = olderThan;
  return { olderThan: timestampFromMs(Date.now() - ageMs), olderThanAge: durationFromMs(ageMs) };
}

export function cleanupFrom(message: CleanupResponse): CleanupResult {
  return {
    deletedCount: Number(message.deletedCount),
    freedBytes: Number(message.freedBytes),
    filenames: message.filenames,
    keptPinned: Number(message.keptPinned),
    keptFuture: Number(message.keptFuture),
    keptChanged: Number(message.keptChanged),
    dryRun: message.dryRun,
    more: message.more,
    reasons: message.reasons.map(({ text, count, bytes }) => ({ text, count: Number(count), bytes: Number(bytes) })),
    ...(message.plan.length > 0 && { plan: message.plan }),
    ...(message.restorableUntil && { restorableUntil: timestampDate(message.restorableUntil) }),
  };
}

export function statsFrom(message: ProviderStatsMessage): ProviderStats {
  return {
    provider: message.provider,
    storageType: message.storageType,
    count: Number(message.count),
    bytes: Number(message.bytes),
    pinnedCount: Number(message.pinnedCount),
    oldest: dateFrom(message.oldest),
    newest: dateFrom(message.newest),
    byModel: message.byModel.map(groupFrom),
    byCategory: message.byCategory.map(groupFrom),
    byDate: message.byDate.map(groupFrom),
    capacityBytes: numberFrom(message.capacityBytes),
    freeBytes: numberFrom(message.freeBytes),
    trashCount: Number(message.trashCount),
    trashBytes: Number(message.trashBytes),
    policies: message.policies.map(policyFrom),
  };
}

function policyFrom({ name, lastRun, nextRun, announced, lastCount, lastBytes }: PolicyStatsMessage): PolicyStats {
  return {
    name,
    ...(lastRun && { lastRun: timestampDate(lastRun) }),
    ...(nextRun && { nextRun: timestampDate(nextRun) }),
    announced,
    lastCount: Number(lastCount),
    lastBytes: Number(lastBytes),
  };
}

/** Returns undefined for the answer of an older daemon, which counts only whole providers. */
export function totalsFrom({ total, groups, more }: StatsResponse): Totals | undefined {
  if (total === undefined) return undefined;
  const [oldest, newest] = [dateFrom(total.oldest), dateFrom(total.newest)];
  return {
    count: Number(total.count),
    bytes: Number(total.bytes),
    ...(oldest && { oldest }),
    ...(newest && { newest }),
    groups: groups.map(groupFrom),
    more,
  };
}

function groupFrom({ name, count, bytes, rest }: GroupStatsMessage): GroupStats {
  return { name, count: Number(count), bytes: Number(bytes), rest };
}

export function timestampOf(date: Date | undefined): Timestamp | undefined {
  return date && timestampFromMs(date.getTime());
}

function dateFrom(timestamp: Timestamp | undefined): Date | undefined {
  return timestamp && timestampDate(timestamp);
}

function numberFrom(value: bigint | undefined): number | undefined {
  return value === undefined ? undefined : Number(value);
}
