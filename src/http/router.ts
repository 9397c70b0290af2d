/** Hands each request to the first route that knows its method and path, and answers 404 where none does. */
import type { Http2ServerRequest, Http2ServerResponse } from 'node:http2';
import type { Caller } from '../storage/domain/caller.ts';

export type Handler = (request: Http2ServerRequest, response: Http2ServerResponse, caller: Caller) => void;

/** What a request asks for; the path without its query. */
export interface Target {
  method: string;
  path: string;
}

/** Returns the handler of a target, or undefined where it does not know the path. */
export type Route = (target: Target) => Handler | undefined;

/** gRPC clients read the 404 as UNIMPLEMENTED. */
export function createRouter(routes: readonly Route[]): Handler {
  return (request, response, caller) => {
    const target = { method: request.method, path: request.url.split('?', 1)[0]! };
    for (const route of routes) {
      const handler = route(target);
      if (handler !== undefined) return handler(request, response, caller);
    }
    response.writeHead(404).end();
  };
}
