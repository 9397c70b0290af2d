/** Images in a bucket of AWS S3, Cloudflare R2, or whatever speaks S3 with conditional writes. */
import type { S3Config } from '../domain/config.ts';
import { s3Objects } from '../s3/objects.ts';
import { urlsOf } from '../s3/urls.ts';
import type { ProviderContext, StorageProvider } from '../types.ts';
import { openObjectStorage } from './object-storage.ts';

/** Opens the store in the bucket. Rejects with a StoreOpenError that says which setting to change. */
export function openS3Storage(config: S3Config, context: ProviderContext): Promise<StorageProvider> {
  const options = { storageType: config.type, objects: s3Objects(config), urlOf: urlsOf(config) };
  return openObjectStorage({ ...config, ...options }, context);
}
