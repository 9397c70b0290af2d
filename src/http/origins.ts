/**
 * Refuses what pages of other sites send through a browser: a form or a script must change nothing here. Pages of origins
 * that are configured may do what their own token allows, and read what a link opens.
 */
import type { OutgoingHttpHeaders } from 'node:http';
import { begin, sendProblem } from './errors.ts';
import { type Handler, type HttpRequest, type HttpResponse, hostOfUrl } from './router.ts';

const SAFE = new Set(['GET', 'HEAD', 'OPTIONS']);

/** What a page may send: the routes of plain HTTP, Connect and gRPC-Web. */
const PREFLIGHT: OutgoingHttpHeaders = {
  'access-control-allow-methods': 'GET, HEAD, POST, DELETE',
  'access-control-allow-headers': [
    ...['authorization', 'content-type', 'idempotency-key', 'range', 'if-range', 'if-none-match', 'x-request-id'],
    ...['connect-protocol-version', 'connect-timeout-ms', 'grpc-timeout', 'x-grpc-web', 'x-user-agent'],
  ].join(', '),
  // Chromium keeps it no longer.
  'access-control-max-age': '7200',
  'cache-control': 'no-store',
  vary: 'Origin, Access-Control-Request-Method, Access-Control-Request-Headers',
};
const EXPOSED = [
  ...['ETag', 'Content-Range', 'Content-Length', 'Content-Disposition', 'Location', 'Retry-After'],
  ...['Grpc-Status', 'Grpc-Message', 'Grpc-Status-Details-Bin'],
].join(', ');

export interface OriginOptions {
  publicUrl: string;
  /** Of other pages. */
  corsOrigins: readonly string[];
  /** Whether tokens are asked for. */
  hasTokens: boolean;
  /** Whether the request is judged by a token alone: neither a cookie nor a certificate does anything for it. */
  countsToken(request: HttpRequest): boolean;
  /** Whether its URL is a link that holds. */
  isLink(request: HttpRequest): boolean;
}

/**
 * Hands on safe methods, and others that the own page sends, or no browser: browsers send Sec-Fetch-Site to https and
 * localhost only, and Origin with every method that is not safe.
 */
export function checkOrigins(next: Handler, options: OriginOptions): Handler {
  const { publicUrl, hasTokens, countsToken, isLink } = options;
  const published = publicUrl === '' ? undefined : new URL(publicUrl).host;
  const origins = new Set(options.corsOrigins);
  return (request, response, caller) => {
    const { origin } = request.headers;
    const known = origin !== undefined && origins.has(origin) ? origin : undefined;
    if (origins.size > 0) response.setHeader('vary', 'Origin');
    const hasToken = known !== undefined && countsToken(request);
    if (known !== undefined && isPreflight(request) && (hasTokens || isLink(request))) {
      return answerPreflight(response, known);
    }
    if (known !== undefined && (hasToken || isLink(request))) allow(response, known);
    if (SAFE.has(request.method ?? '') || hasToken || isOwn(request, published)) return next(request, response, caller);
    const message = 'pages of other sites may not change anything here';
    sendProblem(response, { status: 403, code: 'permission_denied', reason: 'ORIGIN_NOT_ALLOWED', message });
  };
}

function isOwn(request: HttpRequest, published: string | undefined): boolean {
  const { origin, host, ':authority': authority, 'sec-fetch-site': site } = request.headers;
  if (site !== undefined) return site === 'same-origin';
  if (origin === undefined) return true;
  const from = URL.parse(origin)?.host;
  return from !== undefined && from !== '' && [hostOfUrl(request) ?? host ?? authority, published].includes(from);
}

/** A browser asks by it whether a page may send what follows; it sends no token along. */
function isPreflight({ method, headers }: HttpRequest): boolean {
  return method === 'OPTIONS' && headers['access-control-request-method'] !== undefined;
}

function answerPreflight(response: HttpResponse, origin: string): void {
  begin(response, 204, { ...PREFLIGHT, 'access-control-allow-origin': origin });
  response.end();
}

function allow(response: HttpResponse, origin: string): void {
  response.setHeader('access-control-allow-origin', origin);
  response.setHeader('access-control-expose-headers', EXPOSED);
}
