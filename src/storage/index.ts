/** The storage library: images on disk or in a bucket, in process, without the daemon. */
export { type Code, type Reason, StorageError, StoreOpenError } from './errors.ts';
export { createStorage, type StorageDependencies } from './storage.ts';
export * from './types.ts';
