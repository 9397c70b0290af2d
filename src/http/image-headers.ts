/** The headers of an image: what it is, how long it may be kept, and what a browser may do with it. */
import type { OutgoingHttpHeaders } from 'node:http';
import type { StorageItem } from '../storage/domain/image.ts';
import type { Grant } from './authorize.ts';

/** An image is a raster, and nothing in it runs: what a browser makes of one that claims to be else may do nothing. */
const POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; sandbox; frame-ancestors 'none'";

export interface HeaderOptions {
  grant: Grant;
  /** How long the caller's own cache may keep it, in seconds. */
  maxAgeSeconds: number;
  /** Whether a browser saves it as a file. */
  isDownload: boolean;
}

/** What the headers are made of. */
export type Headed = Pick<StorageItem, 'filename' | 'contentType' | 'createTime' | 'sha256' | 'deleteTime'>;

export function etagOf({ sha256 }: Headed): string {
  return `"${sha256}"`;
}

export function lastModifiedOf({ createTime }: Headed): string {
  return createTime.toUTCString();
}

/** Those of the whole image, a part of it, and 304; without its length. */
export function imageHeaders(item: Headed, options: HeaderOptions): OutgoingHttpHeaders {
  const { grant, isDownload } = options;
  const { filename } = item;
  const disposition = isDownload ? 'attachment' : 'inline';
  return {
    'content-type': item.contentType,
    'x-content-type-options': 'nosniff',
    'accept-ranges': 'bytes',
    etag: etagOf(item),
    'last-modified': lastModifiedOf(item),
    // Of an image in the trash nothing stays behind.
    'cache-control': item.deleteTime === undefined ? cacheControl(options) : 'no-store',
    'content-security-policy': POLICY,
    'cross-origin-resource-policy': grant.publicSeconds === undefined ? 'same-origin' : 'cross-origin',
    'referrer-policy': 'no-referrer',
    'x-robots-tag': 'none',
    'content-disposition': `${disposition}; filename="${asciiOf(filename)}"; filename*=UTF-8''${encodeURIComponent(filename)}`,
    vary: 'Origin',
  };
}

/** Names are never used again, so an answer may be kept for ever; who recompresses it would destroy what lies in it. */
function cacheControl({ grant: { publicSeconds }, maxAgeSeconds }: HeaderOptions): string {
  const [who, seconds] = publicSeconds === undefined ? ['private', maxAgeSeconds] : ['public', publicSeconds];
  return `${who}, max-age=${seconds}, immutable, no-transform`;
}

function asciiOf(filename: string): string {
  return filename.replace(/[^\w.-]/g, '_');
}
