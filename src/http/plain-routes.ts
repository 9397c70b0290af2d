/** Serves the routes of plain HTTP: finds one by method and path, asks who may, and answers what fails as JSON. */
import { type CallNotes, cancelled, startCall } from '../rpc/call.ts';
import { statusOf } from '../rpc/status.ts';
import type { Caller } from '../storage/domain/caller.ts';
import type { Logger } from '../storage/domain/logger.ts';
import type { Authorize, Grant, Need, Scope } from './authorize.ts';
import { cut, problemOf, sendProblem } from './errors.ts';
import type { Handler, HttpRequest, HttpResponse, Route, Target } from './router.ts';

/** As nginx and gRPC gateways have it. */
const CLIENT_LEFT = 499;

/** A request that may be served, and where its answer goes. */
export interface Exchange {
  request: HttpRequest;
  response: HttpResponse;
  target: Target;
  /** What the groups of the path's pattern matched. */
  params: readonly string[];
  caller: Caller;
  grant: Grant;
  /** Throws as an `Authorize` unless the caller may do more than the route needs. */
  require(scope: Scope): void;
  /** What the log and the metrics are told. */
  notes: CallNotes;
  /** Fires when the client has left. */
  signal: AbortSignal;
}

export interface PlainRoute {
  methods: readonly string[];
  path: RegExp;
  /** What its caller must be allowed. */
  scope: Need;
  /** What the log calls it. */
  name: string;
  answer(exchange: Exchange): Promise<void>;
}

/** Counts a request that was answered with this status; 499: its client left before. */
export type CountRequest = (status: number, ms: number) => void;

export interface PlainOptions {
  routes: readonly PlainRoute[];
  authorize: Authorize;
  log: Logger;
  /** Whether saves, gets and deletes have lines at info. */
  logsAccess?: boolean;
  meterOf?(route: string): CountRequest;
}

/** A path that a route knows by other methods only is answered 405. */
export function createPlainRoutes({ routes, meterOf, ...options }: PlainOptions): Route {
  const counts = new Map(routes.map((route) => [route, meterOf?.(nameOf(route))]));
  return (target) => {
    const known = routes.filter((route) => route.path.test(target.path));
    if (known.length === 0) return undefined;
    const route = known.find(({ methods }) => methods.includes(target.method));
    if (route === undefined) return refuseMethod(known.flatMap(({ methods }) => methods));
    return (request, response, caller) => {
      const arrival = { request, response, caller, ...options, count: counts.get(route) };
      serve(route, target, arrival);
    };
  };
}

function refuseMethod(methods: readonly string[]): Handler {
  const allow = methods.join(', ');
  const message = `this path takes ${allow}`;
  const problem = { status: 405, code: 'unimplemented', reason: 'METHOD_NOT_ALLOWED', message, headers: { allow } };
  return (_request, response) => sendProblem(response, problem);
}

interface Arrival extends Pick<Exchange, 'request' | 'response' | 'caller'> {
  authorize: Authorize;
  log: Logger;
  logsAccess?: boolean;
  count: CountRequest | undefined;
}

/** Such as `GET image`: HEAD counts as GET. */
function nameOf({ methods, name }: PlainRoute): string {
  return `${methods[0]} ${name}`;
}

function serve(route: PlainRoute, target: Target, arrival: Arrival): void {
  const { request, response, caller, authorize, count, ...logging } = arrival;
  const began = performance.now();
  const ended = new AbortController();
  const { signal } = ended;
  response.once('close', () => {
    ended.abort(cancelled(undefined));
    count?.(response.headersSent ? response.statusCode : CLIENT_LEFT, performance.now() - began);
  });
  const method = `${target.method} ${route.name}`;
  const origin = { caller, requestId: request.headers['x-request-id'] };
  const call = startCall({ ...logging, method, origin, signal, statusOf });
  const { notes } = call;
  const answer = async () => {
    const grant = authorize(request, route.scope, caller, target);
    const params = route.path.exec(target.path)!.slice(1);
    origin.caller = grant.caller;
    const require = (scope: Scope) => void authorize(request, scope, caller, target);
    await route.answer({ request, response, target, params, caller: grant.caller, grant, require, notes, signal });
  };
  answer().then(call.succeeded, (error) => fail(response, () => problemOf(call.failed(error))));
}

/** An answer that has begun cannot say that it failed: it is cut. */
function fail(response: HttpResponse, problem: () => Parameters<typeof sendProblem>[1]): void {
  const told = problem();
  if (!response.headersSent) sendProblem(response, told);
  else cut(response);
}
