/** The configuration of a storage: its providers, each with its own settings, and its limits. Sizes are bytes. */

/** The configuration that `createStorage` takes. */
export interface StorageConfig {
  /** The provider of calls that name none. Default: the only one, or `local`. */
  defaultProvider?: string;
  /** By name, `[a-z][a-z0-9]*`; `project` is an alias of `local`. Default: `local`, in `./outputs`. */
  providers?: Record<string, ProviderSettings>;
  /** Prefix of local URLs, such as `https://images.example.com`; empty: paths alone. */
  publicUrl?: string;
  limits?: Partial<StorageLimits>;
  /** Policies by name, `[a-z][a-z0-9]*`: what goes by itself. Default: nothing. */
  retention?: Record<string, PolicySettings>;
}

/** What images are grouped by, for the rules to hold in each group on its own. */
export type KeepGroup = 'model' | 'category' | 'day';

/** A policy as the user writes it. An image goes when no rule keeps it and it is not pinned; at least one rule is set. */
export interface PolicySettings {
  /** Its images are in this provider, or in each on its own with `*`; default: the default provider. */
  provider?: string;
  /** The name as it was saved, or its slug. */
  model?: string;
  category?: string;
  tag?: string;
  /** Keeps what is no older, such as `30d`. */
  keepWithin?: string;
  /** Keeps so many of the newest. */
  keepLast?: number;
  /** Keeps the newest of each of so many last days that have images. */
  keepDaily?: number;
  /** Keeps the newest that together fit into so many bytes. */
  keepBytes?: number;
  /** The rules hold in each group on its own; default: no groups. */
  groupBy?: KeepGroup;
  /** Default `1h`. */
  every?: string;
  /** How long before its first run, and the first after a change, a plan of it is logged; default `1d`. */
  delay?: string;
}

/**
 * How the bytes of an image are checked: `structure`: all parts and checksums · `pixels`: those of a PNG are decompressed,
 * too · `ends`: the parts alone, from the first to the last.
 */
export type ImageCheck = 'structure' | 'pixels' | 'ends';

/** The limits a provider enforces. */
export interface StorageLimits {
  maxImageBytes: number;
  imageCheck: ImageCheck;
  maxPromptBytes: number;
  maxMetadataBytes: number;
  /** Saves in flight at once. */
  maxSaves: number;
  /** How long a save waits for a slot before it rejects with TOO_MANY_SAVES. */
  saveQueueMs: number;
  /** What a save must receive in a second to keep its place while others have waited for one as long. */
  leastBytesPerSecond: number;
}

export const DEFAULT_LIMITS: StorageLimits = {
  maxImageBytes: 256 * 1024 * 1024,
  imageCheck: 'structure',
  maxPromptBytes: 64 * 1024,
  maxMetadataBytes: 1024 * 1024,
  maxSaves: 64,
  saveQueueMs: 10_000,
  leastBytesPerSecond: 4096,
};

/** The providers of a configuration that has none. */
export const DEFAULT_PROVIDERS: Record<string, ProviderSettings> = { local: {} };
export const DEFAULT_BASE_PATH = './outputs';
export const DEFAULT_STATE_DIR = './outputs/metadata';
export const DEFAULT_LOCK_WAIT_SECONDS = 30;
export const DEFAULT_SYNC_SECONDS = 5;
export const DEFAULT_FULL_SYNC_MINUTES = 15;
export const DEFAULT_URL_SECONDS = 3600;
export const DEFAULT_LOCAL_TRASH_DAYS = 7;
export const DEFAULT_BUCKET_TRASH_DAYS = 0;

/** Deleted images that can be brought back. */
export interface TrashSettings {
  /** How many days deleted images can be brought back; 0: deletes are for good. Default: 7 for `local`, 0 for buckets. */
  days?: number;
}

/** Settings of the trash on a disk. */
export interface LocalTrashSettings extends TrashSettings {
  /** Below this free space images of the trash are purged, the oldest first. Default: 5 % of the disk, at most 2 GiB. */
  minFreeBytes?: number;
}

/** How large a store may become. */
export interface DiskLimits {
  /** Saves leave so much of the disk free; default: what the trash leaves, and then nothing. */
  minFreeBytes?: number;
  /** The most bytes of all images, those in the trash included; default: no limit. */
  maxStoreBytes?: number;
  /**
   * At a limit the trash gives way, the oldest first. Then: `refuse` saves, or `evict` the oldest images that are not
   * pinned, for good; default `refuse`.
   */
  onFull?: 'refuse' | 'evict';
}

/** Settings of a `local` provider (alias `project`). */
export interface LocalConfig extends DiskLimits {
  type: 'local';
  /** The root folder, which is called `outputs` in keys; default `./outputs`. */
  basePath: string;
  /** The mode of images and records in octal, such as `0640`; default: what the umask of the process leaves. */
  fileMode?: string;
  /** False: a folder without a store is refused, such as one whose disk is not mounted; default true. */
  create?: boolean;
  trash?: LocalTrashSettings;
  /** How long to wait for another process to release the store; default 30. */
  lockWaitSeconds?: number;
  /**
   * False: while the folder cannot be opened, only calls of this provider fail, and opening is retried; default true.
   */
  required?: boolean;
}

/** Settings of every provider in a bucket. */
export interface BucketSettings {
  /** The folder of its catalog, lock and spool, on a local disk; default `./outputs/metadata`. */
  stateDir?: string;
  /** False: a bucket without a store is refused; default true. */
  create?: boolean;
  /** True: other daemons save and delete in the bucket, too, and the catalog follows their changes; default false. */
  shared?: boolean;
  /** How often the folders of the last two days and of days to come are compared in a shared bucket; default 5. */
  syncSeconds?: number;
  /** How often all folders are, in minutes; default 15, or `syncSeconds` where that is longer. */
  fullSyncMinutes?: number;
  /** The URL of a Postgres that has the index, which all daemons of the bucket share; default: a file in `stateDir`. */
  index?: string;
  trash?: TrashSettings;
  /** How long to wait for another process to release the state folder; default 30. */
  lockWaitSeconds?: number;
  /**
   * False: while the bucket cannot be opened, only calls of this provider fail, and opening is retried; default true.
   */
  required?: boolean;
}

/** How callers reach the bytes of an image in a bucket. */
export interface UrlSettings {
  /** `public`: fixed URLs · `presigned`: URLs that expire. Default: public with a `cdnUrl`, else presigned. */
  mode?: 'public' | 'presigned';
  /** How long a presigned URL is valid, at most 7 days; default 3600. */
  expiresSeconds?: number;
  /** The endpoint as callers reach it; default: the one that the daemon uses. */
  endpoint?: string;
}

/** Settings of an `s3` provider: AWS S3, Cloudflare R2, or any service that speaks S3 with conditional writes. */
export interface S3Config extends BucketSettings {
  type: 's3';
  bucket: string;
  /** Such as `eu-central-1`; `auto` for R2. */
  region: string;
  /** Unset together with `secretKey`: the SDK's own chain of credentials. */
  accessKey?: string;
  secretKey?: string;
  /** Unset: AWS in that region. */
  endpoint?: string;
  /** Where callers reach the bucket, with or without `https://`. */
  cdnUrl?: string;
  /** The prefix of all keys, such as `team-a`; default none. */
  prefix?: string;
  /** True: `endpoint/bucket/key` in requests instead of `bucket.endpoint/key`; default: true with an `endpoint`. */
  forcePathStyle?: boolean;
  urls?: UrlSettings;
}

/** Complete settings of a provider: those that every type has; each type adds its own. */
export interface ProviderConfig {
  type: string;
  /** False: while the provider cannot be opened, only its own calls fail, and opening is retried; default true. */
  required?: boolean;
  /** How long to wait for another process to release its folder; default 30. */
  lockWaitSeconds?: number;
}

/** Settings of a provider of any type. */
export type AnyProviderConfig = ProviderConfig & Record<string, unknown>;

/** Settings of a provider as the user writes them; `type` defaults to the provider's name. */
export type ProviderSettings =
  | (Partial<Omit<LocalConfig, 'type'>> & { type?: 'local' | 'project' })
  | (Omit<S3Config, 'type'> & { type?: 's3' })
  | AnyProviderConfig;
