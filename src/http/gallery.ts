/** Serves the gallery: static files, for anybody. What they show they ask for, as every caller does. */
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { extname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import { begin } from './errors.ts';
import { isNotModified } from './ranges.ts';
import type { Handler, HttpRequest, HttpResponse, Route } from './router.ts';

/** Scripts, styles and pictures of the daemon alone; no address of the page can be used for another. */
const POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self' data: blob:",
  "connect-src 'self'",
  "form-action 'self'",
  "frame-ancestors 'none'",
  "base-uri 'none'",
  "require-trusted-types-for 'script'",
  "trusted-types 'none'",
].join('; ');
const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
  '.txt': 'text/plain; charset=utf-8',
};
/** Their names have a hash of what is in them. */
const FOREVER = 'public, max-age=31536000, immutable';
/** One image's page, which the script makes of the same file. */
const IMAGE_PAGE = /^\/i\/[^/]+$/;
/** No path: none begins so. */
const OF_IMAGES = 'i/NAME';

/** Where the page lies that was built: beside the bundle, or in the `dist` of a checkout. */
export function galleryFolder(): string | undefined {
  const beside = import.meta.url.endsWith('.ts') ? '../../dist/web/' : './web/';
  const folder = fileURLToPath(new URL(beside, import.meta.url));
  return existsSync(join(folder, 'index.html')) ? folder : undefined;
}

/** GET and HEAD of `/`, `/i/NAME` and `/assets/…`, from the files as they are now. */
export function galleryRoute(folder: string, prefix: string): Route {
  const files = readFiles(folder);
  return ({ method, path }) => {
    if (method !== 'GET' && method !== 'HEAD') return undefined;
    if (prefix !== '' && path === prefix) return redirectTo(`${prefix.slice(prefix.lastIndexOf('/') + 1)}/`);
    const file = files.get(IMAGE_PAGE.test(path) ? OF_IMAGES : path);
    return file && ((request, response) => void send(request, response, file));
  };
}

interface StaticFile {
  bytes: Buffer;
  packed(): Promise<Buffer>;
  etag: string;
  type: string;
  cacheControl: string;
}

function readFiles(folder: string): ReadonlyMap<string, StaticFile> {
  const page = readFileSync(join(folder, 'index.html'), 'utf8');
  const files = new Map([
    ['/', staticFile('index.html', Buffer.from(page), 'no-cache')],
    // The page names its files from where it is, so that it knows no prefix; this one is a folder further down.
    [OF_IMAGES, staticFile('index.html', Buffer.from(page.replaceAll('"./', '"../')), 'no-cache')],
  ]);
  for (const name of readdirSync(join(folder, 'assets'))) {
    files.set(`/assets/${name}`, staticFile(name, readFileSync(join(folder, 'assets', name)), FOREVER));
  }
  return files;
}

function staticFile(name: string, bytes: Buffer, cacheControl: string): StaticFile {
  let packing: Promise<Buffer> | undefined;
  return {
    bytes,
    packed: () => (packing ??= promisify(gzip)(bytes, { level: 9 })),
    etag: `"${createHash('sha256').update(bytes).digest('hex').slice(0, 32)}"`,
    type: TYPES[extname(name)] ?? 'application/octet-stream',
    cacheControl,
  };
}

async function send(request: HttpRequest, response: HttpResponse, file: StaticFile): Promise<void> {
  const { etag, type, cacheControl } = file;
  const headers = {
    etag,
    'cache-control': cacheControl,
    'content-security-policy': POLICY,
    'x-content-type-options': 'nosniff',
    'cross-origin-resource-policy': 'same-origin',
    // Forms of the page must show their origin, which `no-referrer` would take from them.
    'referrer-policy': 'same-origin',
    vary: 'Accept-Encoding',
  };
  const { 'if-none-match': tags } = request.headers;
  if (tags !== undefined && isNotModified({ 'if-none-match': tags }, etag, new Date())) {
    begin(response, 304, headers);
    response.end();
    return;
  }
  const isPacked = /\bgzip\b/.test(String(request.headers['accept-encoding'] ?? ''));
  const body = isPacked ? await file.packed() : file.bytes;
  if (response.destroyed) return;
  begin(response, 200, {
    ...headers,
    'content-type': type,
    'content-length': body.length,
    ...(isPacked && { 'content-encoding': 'gzip' }),
  });
  if (request.method === 'HEAD') response.end();
  else response.end(body);
}

/** So that what the page names from where it is lies below the prefix. */
function redirectTo(location: string): Handler {
  return (_request, response) => {
    begin(response, 308, { location, 'cache-control': 'no-store' });
    response.end();
  };
}
