/** Refuses what pages of other sites send through a browser: a form or a script must change nothing here. */
import { sendProblem } from './errors.ts';
import { type Handler, type HttpRequest, hostOfUrl } from './router.ts';

const SAFE = new Set(['GET', 'HEAD', 'OPTIONS']);

/**
 * Hands on safe methods, and others that the own page sends, or no browser: browsers send Sec-Fetch-Site to https and
 * localhost only, and Origin with every method that is not safe.
 */
export function checkOrigins(next: Handler, publicUrl: string): Handler {
  const published = publicUrl === '' ? undefined : new URL(publicUrl).host;
  return (request, response, caller) => {
    if (SAFE.has(request.method ?? '') || isOwn(request, published)) {
      next(request, response, caller);
      return;
    }
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
