/** The arguments and results of stats and totals. */
import type { CallOptions, ImageFilter, ProviderChoice } from './types.ts';

export interface GroupStats {
  /** Empty for images without one, and for the rest. */
  name: string;
  count: number;
  bytes: number;
  /** True for the sum of all groups that are not listed. */
  rest: boolean;
}

export const GROUPS = ['day', 'month', 'model', 'category', 'tag', 'lora'] as const;
/** `day` and `month` are those of the image's timestamp in a time zone. */
export type GroupBy = (typeof GROUPS)[number];

/** Which images to count, and how to group them. */
export interface TotalsOptions extends CallOptions, ProviderChoice, ImageFilter {
  /** Unset: no groups. An image with several tags or LoRAs counts in each of them. */
  by?: GroupBy;
  /** Only groups whose names begin so; case is ignored. */
  startsWith?: string;
  /** The IANA time zone of days and months, such as Europe/Berlin; default UTC. */
  timeZone?: string;
  /** The most groups: 1 to 10,000, default 100. Those beyond are one rest. */
  limit?: number;
}

/** Count and size of the images that match. */
export interface Totals {
  count: number;
  bytes: number;
  oldest?: Date;
  newest?: Date;
  /** Days and months newest first, others by their images. */
  groups: GroupStats[];
  /** True when the daemon ended counting before it saw all images that match: these are of the newest of them. */
  more: boolean;
}

export interface ProviderStats {
  provider: string;
  storageType: string;
  count: number;
  bytes: number;
  pinnedCount: number;
  oldest?: Date;
  newest?: Date;
  byModel: GroupStats[];
  byCategory: GroupStats[];
  /** By UTC day, newest first. */
  byDate: GroupStats[];
  /** Of the file system; local stores only. */
  capacityBytes?: number;
  /** With the bytes of the trash, which gives way. */
  freeBytes?: number;
  /** Images in the trash, which are counted nowhere else. */
  trashCount: number;
  trashBytes: number;
  /** The retention policies that apply to this provider. */
  policies: PolicyStats[];
}

/** The runs of a retention policy on one provider. */
export interface PolicyStats {
  /** As the configuration names it. */
  name: string;
  /** Unset: never. */
  lastRun?: Date;
  nextRun?: Date;
  /** True while its next run is the first that deletes: the last one was a dry run, or none was. */
  announced: boolean;
  /** Images that went by its last run, or would have gone by a dry run. */
  lastCount: number;
  lastBytes: number;
}
