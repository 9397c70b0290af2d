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

/** An object in memory, and what an object store keeps beside its bytes. */
export interface MemoryObject {
  bytes: Buffer;
  etag: string;
  headers: {
    contentType: string;
    cacheControl?: string;
    contentDisposition?: string;
    metadata?: Record<string, string>;
  };
  lastModified: number;
}

/** A bucket in memory; several providers may share one. */
export type MemoryBucket = Map<string, MemoryObject>;

/** Settings of a `memory` provider, for tests. */
export interface MemoryConfig extends BucketSettings {
  type: 'memory';
  /** The objects by key; providers that are given the same one share it. */
  bucket: MemoryBucket;
}

export type ProviderConfig = LocalConfig | S3Config | MemoryConfig;

/** Settings of a provider as its user writes them; `type` defaults to the name. */
export type ProviderSettings =
  | (Partial<Omit<LocalConfig, 'type'>> & { type?: 'local' | 'project' })
  | (Omit<S3Config, 'type'> & { type?: 's3' })
  | (Omit<MemoryConfig, 'type'> & { type?: 'memory' });
