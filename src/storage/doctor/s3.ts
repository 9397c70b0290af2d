/** What is examined of an S3 bucket: its objects, with errors that name the missing permission, and its URLs. */

import { HELP } from '../bucket/help.ts';
import { type ObjectStore, ObjectStoreError } from '../bucket/object-store.ts';
import type { S3Config } from '../domain/config.ts';
import { foldS3Error, lacksPermission } from '../s3/errors.ts';
import { s3Objects } from '../s3/objects.ts';
import { hasPublicUrls, urlsOf } from '../s3/urls.ts';
import { type ExaminedBucket, MissingPermission } from './bucket.ts';
import type { BucketUrls } from './urls.ts';

const SIGNED_SECONDS = 60;

export function examinedS3(config: S3Config): ExaminedBucket {
  return { objects: namingPermissions(s3Objects(config)), urls: examinedUrls(config) };
}

function examinedUrls(config: S3Config): BucketUrls {
  const signedUrlOf = urlsOf({ ...config, urls: { mode: 'presigned', expiresSeconds: SIGNED_SECONDS } });
  const urls = {
    urlOf: urlsOf(config),
    servedBy: config.endpoint === undefined ? 'region' : 'endpoint',
    signedUrlOf: (key: string) => signedUrlOf(key).catch((error) => Promise.reject(foldS3Error(error, 'read'))),
  };
  if (!hasPublicUrls(config)) return urls;
  return { ...urls, publicBy: config.cdnUrl === undefined ? 'urls.mode' : 'cdnUrl' };
}

function namingPermissions(store: ObjectStore): ObjectStore {
  return {
    location: store.location,
    putNew: (...args) => naming('s3:PutObject', store.putNew(...args)),
    // https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html
    replaceIf: (...args) => naming('s3:PutObject and s3:GetObject', store.replaceIf(...args)),
    // AWS answers 403 for a missing object, unless the credentials may list the bucket.
    get: (...args) => naming('s3:GetObject (and s3:ListBucket)', store.get(...args)),
    list: (...args) => naming('s3:ListBucket', store.list(...args)),
    remove: (...args) => naming('s3:DeleteObject', store.remove(...args), ` (or Object Lock: ${HELP.objectLock})`),
    close: () => store.close?.(),
  };
}

/** `other` is what else may be the cause. */
async function naming<T>(permission: string, answer: Promise<T>, other = ''): Promise<T> {
  try {
    return await answer;
  } catch (error) {
    if (!(error instanceof ObjectStoreError) || !lacksPermission(error)) throw error;
    const guess = `refused: the credentials (accessKey) need ${permission} on the bucket${other}`;
    throw new MissingPermission(guess, error);
  }
}
