/** What a storage is configured by: its providers, each with settings of its own, and its limits. Sizes are bytes. */

/** What `createStorage` is built from. */
export interface StorageConfig {
  /** The provider of calls that name none. Default: the only one, or `local`. */
  defaultProvider?: string;
  /** By name: `[a-z][a-z0-9]*`; `project` is another name of `local`. Default: `local`, in `./outputs`. */
  providers?: Record<string, ProviderSettings>;
  /** Prefix of local URLs, such as `https://images.example.com`; empty: paths alone. */
  publicUrl?: string;
  limits?: Partial<StorageLimits>;
}

/** The limits a provider enforces. */
export interface StorageLimits {
  maxImageBytes: number;
  maxPromptBytes: number;
  maxMetadataBytes: number;
  /** Saves in flight at once. */
  maxSaves: number;
  /** How long a save waits for its turn before TOO_MANY_SAVES. */
  saveQueueMs: number;
}

export const DEFAULT_LIMITS: StorageLimits = {
  maxImageBytes: 256 * 1024 * 1024,
  maxPromptBytes: 64 * 1024,
  maxMetadataBytes: 1024 * 1024,
  maxSaves: 64,
  saveQueueMs: 10_000,
};

/** What is configured where nothing is. */
export const DEFAULT_PROVIDERS: Record<string, ProviderSettings> = { local: {} };
export const DEFAULT_BASE_PATH = './outputs';
export const DEFAULT_STATE_DIR = './outputs/metadata';
export const DEFAULT_LOCK_WAIT_SECONDS = 30;
export const DEFAULT_SYNC_SECONDS = 300;
export const DEFAULT_URL_SECONDS = 3600;

/** Settings of a `local` provider (alias `project`). */
export interface LocalConfig {
  type: 'local';
  /** The root folder, what is called `outputs` in keys; default `./outputs`. */
  basePath: string;
  /** How long to wait for another process to let go of the store; default 30. */
  lockWaitSeconds?: number;
  /** False: while the folder cannot be opened only the calls of this provider fail, and it is tried again; default true. */
  required?: boolean;
}

/** What every provider in a bucket may be told. */
export interface BucketSettings {
  /** Where its catalog, lock and spool lie; default `./outputs/metadata`. On a local disk. */
  stateDir?: string;
  /** Others save and delete in the bucket, too: the catalog follows them; default false. */
  shared?: boolean;
  /** How often the catalog of a shared bucket follows the others; default 300. */
  syncSeconds?: number;
  /** How long to wait for another process to let go of the state; default 30. */
  lockWaitSeconds?: number;
  /** False: while the bucket cannot be opened only the calls of this provider fail, and it is tried again; default true. */
  required?: boolean;
}

/** How callers reach the bytes of an image in a bucket. */
export interface UrlSettings {
  /** `public`: by a fixed URL · `presigned`: by one that expires. Default: public with a `cdnUrl`, else presigned. */
  mode?: 'public' | 'presigned';
  /** How long a presigned URL is good for, at most 7 days; default 3600. */
  expiresSeconds?: number;
  /** The endpoint as callers reach it, where it is not the one that the daemon uses. */
  endpoint?: string;
}

/** Settings of an `s3` provider: AWS S3, Cloudflare R2, or whatever speaks S3 with conditional writes. */
export interface S3Config extends BucketSettings {
  type: 's3';
  bucket: string;
  /** Such as `eu-central-1`; `auto` for R2. */
  region: string;
  /** Unset, with `secretKey`: the SDK's own chain of credentials. */
  accessKey?: string;
  secretKey?: string;
  /** Unset: AWS in that region. */
  endpoint?: string;
  /** Where callers reach the bucket, with or without `https://`. */
  cdnUrl?: string;
  /** What all keys begin with, such as `team-a`; default none. */
  prefix?: string;
  /** `endpoint/bucket/key` instead of `bucket.endpoint/key`; default: true with an `endpoint`. */
  forcePathStyle?: boolean;
  urls?: UrlSettings;
}

/** Settings of a provider, complete: what every type has; its own type adds the others. */
export interface ProviderConfig {
  type: string;
  /** False: while it cannot be opened only its own calls fail, and it is tried again; default true. */
  required?: boolean;
  /** How long to wait for another process to let go of its folder; default 30. */
  lockWaitSeconds?: number;
}

/** Settings of a provider of whatever type. */
export type AnyProviderConfig = ProviderConfig & Record<string, unknown>;

/** Settings of a provider as its user writes them; `type` defaults to the name. */
export type ProviderSettings =
  | (Partial<Omit<LocalConfig, 'type'>> & { type?: 'local' | 'project' })
  | (Omit<S3Config, 'type'> & { type?: 's3' })
  | AnyProviderConfig;
