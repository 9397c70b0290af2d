/** Hands each request to the first route that knows its method and path. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Http2ServerRequest, Http2ServerResponse } from 'node:http2';
import type { Caller } from '../storage/domain/caller.ts';

/** Of HTTP/1.1 or of HTTP/2. */
export type HttpRequest = IncomingMessage | Http2ServerRequest;
export type HttpResponse = ServerResponse | Http2ServerResponse;

export type Handler = (request: HttpRequest, response: HttpResponse, caller: Caller) => void;

/** What a request asks for. */
export interface Target {
  method: string;
  /** As it was sent, without prefix and query. */
  path: string;
  /** Behind the `?`; empty without one. */
  query: string;
}

/** Returns the handler of a target, or undefined where it does not know the path. */
export type Route = (target: Target) => Handler | undefined;

export interface RouterOptions {
  routes: readonly Route[];
  /** Answers what no route knows. */
  otherwise: Handler;
  /** A path below which the routes are, too: a proxy may take it away or not. Empty: none. */
  prefix?: string;
}

export function createRouter({ routes, otherwise, prefix }: RouterOptions): Handler {
  return (request, response, caller) => {
    const target = targetOf(request, prefix);
    for (const route of routes) {
      const handler = route(target);
      if (handler !== undefined) return handler(request, response, caller);
    }
    otherwise(request, response, caller);
  };
}

/** A request to a proxy has the whole URL, see RFC 9112, section 3.2.2. */
const ABSOLUTE = /^https?:\/\/([^/?#]*)/i;

/** The path is without the prefix. */
export function targetOf({ method = '', url = '' }: HttpRequest, prefix = ''): Target {
  const [absolute = ''] = ABSOLUTE.exec(url) ?? [];
  const asked = url.slice(absolute.length);
  const end = asked.indexOf('?');
  const path = (end < 0 ? asked : asked.slice(0, end)) || '/';
  return {
    method,
    path: prefix !== '' && path.startsWith(`${prefix}/`) ? path.slice(prefix.length) : path,
    query: end < 0 ? '' : asked.slice(end + 1),
  };
}

/** Returns the host that a request names in its URL, where it has a whole one. */
export function hostOfUrl({ url = '' }: HttpRequest): string | undefined {
  return ABSOLUTE.exec(url)?.[1];
}
