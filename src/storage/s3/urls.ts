/** Where callers reach the objects of a bucket: by a fixed URL, or by one that expires. */
import { DEFAULT_URL_SECONDS, type S3Config } from '../domain/config.ts';
import { createClient, prefixOf } from './client.ts';
import { presigner } from './direct-put.ts';
import { escapedPath } from './signature.ts';

/** Whether callers get fixed URLs rather than ones that expire. */
export function hasPublicUrls({ cdnUrl, urls }: S3Config): boolean {
  return (urls?.mode ?? (cdnUrl === undefined ? 'presigned' : 'public')) === 'public';
}

/** Gives the URLs that callers get; one that expires takes credentials, and rejects with what the SDK throws without any. */
export function urlsOf(config: S3Config): (key: string) => Promise<string> {
  const { bucket, cdnUrl, urls = {} } = config;
  const prefix = prefixOf(config);
  if (hasPublicUrls(config)) {
    const base = cdnUrl === undefined ? bucketUrl(config) : withScheme(cdnUrl);
    return async (key) => `${base}/${escapedPath(prefix + key)}`;
  }
  const client = createClient(config, urls.endpoint ?? config.endpoint);
  const expiresIn = Math.floor(urls.expiresSeconds ?? DEFAULT_URL_SECONDS);
  const sign = presigner(client, bucket, expiresIn);
  return (key) => sign(prefix + key);
}

function bucketUrl({ bucket, region, endpoint, forcePathStyle = endpoint !== undefined, urls }: S3Config): string {
  const url = new URL(urls?.endpoint ?? endpoint ?? `https://s3.${region}.amazonaws.com`);
  if (forcePathStyle) return `${url.href.replace(/\/+$/, '')}/${bucket}`;
  url.host = `${bucket}.${url.host}`;
  return url.href.replace(/\/+$/, '');
}

function withScheme(url: string): string {
  const bare = url.replace(/\/+$/, '');
  return /^https?:\/\//.test(bare) ? bare : `https://${bare}`;
}
