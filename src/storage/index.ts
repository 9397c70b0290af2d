/** The storage library: images on disk or in a bucket, in process, without the daemon. */

export {
  type BucketSettings,
  DEFAULT_LIMITS,
  type LocalConfig,
  type PolicySettings,
  type ProviderSettings,
  type S3Config,
  type StorageConfig,
  type StorageLimits,
  type UrlSettings,
} from './domain/config.ts';
export { type Code, type Reason, StorageError, StoreOpenError } from './domain/errors.ts';
export type { ImageMetadata, StorageItem, StorageResult, StoredImage } from './domain/image.ts';
export type { Logger } from './domain/logger.ts';
export type { BackendCall, Meter, RunOutcome, SaveLoad, SaveStage } from './domain/meter.ts';
export type {
  Age,
  ByteSource,
  CleanupCriteria,
  CleanupOptions,
  CleanupReason,
  CleanupResult,
  DateRange,
  Declared,
  DeleteOptions,
  Deletion,
  GetOptions,
  GroupBy,
  GroupStatistics,
  Hint,
  ImageChanges,
  ImageFilter,
  Instant,
  ListOptions,
  Order,
  Page,
  PolicyStatistics,
  ProviderHealth,
  ProviderStatistics,
  PurgeOptions,
  PurgeResult,
  SaveOptions,
  Selection,
  Totals,
  TotalsOptions,
  TrashOptions,
  View,
} from './domain/requests.ts';
export { createStorage, type StorageDependencies } from './storage.ts';
export type { ImageList, ProviderChoice, Storage, StorageProvider } from './types.ts';
