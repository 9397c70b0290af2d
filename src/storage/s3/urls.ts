/** The URLs at which callers fetch the objects of a bucket: fixed, or presigned. */
import { DEFAULT_URL_SECONDS, type S3Config } from '../domain/config.ts';
import { createClient, prefixOf, type ServiceClock } from './client.ts';
import { presigner } from './direct-put.ts';
import { escapedPath } from './signature.ts';

/** Returns whether callers get fixed URLs rather than presigned ones. */
export function hasPublicUrls({ cdnUrl, urls }: S3Config): boolean {
  return (urls?.mode ?? (cdnUrl === undefined ? 'presigned' : 'public')) === 'public';
}

/**
 * Returns a function from keys to URLs. A presigned URL requires credentials; without any it rejects with the SDK's
 * error.
 */
export function urlsOf(config: S3Config, clock?: ServiceClock): (key: string) => Promise<string> {
  const { bucket, cdnUrl, urls = {} } = config;
  const prefix = prefixOf(config);
  if (hasPublicUrls(config)) {
    const base = cdnUrl === undefined ? bucketUrl(config) : withScheme(cdnUrl);
    return async (key) => `${base}/${escapedPath(prefix + key)}`;
  }
  const client = createClient(config, urls.endpoint ?? config.endpoint, { clock });
  const expiresIn = Math.floor(urls.expiresSeconds ?? DEFAULT_URL_SECONDS);
  const sign = presigner(client, bucket, expiresIn);
  return (key) => sign(prefix + key);
}

function bucketUrl({ bucket, region, urls, endpoint = urls?.endpoint, ...config }: S3Config): string {
  const { forcePathStyle = endpoint !== undefined } = config;
  const url = new URL(urls?.endpoint ?? endpoint ?? `https://s3.${region}.amazonaws.com`);
  if (forcePathStyle) return `${url.href.replace(/\/+$/, '')}/${bucket}`;
  url.host = `${bucket}.${url.host}`;
  return url.href.replace(/\/+$/, '');
}

function withScheme(url: string): string {
  const bare = url.replace(/\/+$/, '');
  return /^https?:\/\//.test(bare) ? bare : `https://${bare}`;
}
