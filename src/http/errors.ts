/** Answers that are no success: JSON with code, reason and message, under the HTTP status of the gRPC code. */
import type { OutgoingHttpHeaders } from 'node:http';
import { constants } from 'node:http2';
import type { Status, StatusCode } from '../rpc/status.ts';
import { toStorageError } from '../storage/domain/errors.ts';
import type { HttpResponse } from './router.ts';

/** See google/rpc/code.proto. */
const HTTP_STATUS: Readonly<Record<StatusCode, number>> = {
  Canceled: 499,
  Unknown: 500,
  InvalidArgument: 400,
  DeadlineExceeded: 504,
  NotFound: 404,
  AlreadyExists: 409,
  PermissionDenied: 403,
  ResourceExhausted: 429,
  FailedPrecondition: 400,
  Aborted: 409,
  OutOfRange: 400,
  Unimplemented: 501,
  Internal: 500,
  Unavailable: 503,
  DataLoss: 500,
  Unauthenticated: 401,
};

/** What these say for programs is no secret of the daemon. */
const IS_OF_THE_LOCK = new Set<StatusCode>(['Unauthenticated', 'PermissionDenied']);

/** Headers that are there whatever the answer. */
const OF_ANY_ANSWER = new Set([
  ...['connection', 'set-cookie', 'vary'],
  ...['access-control-allow-origin', 'access-control-expose-headers'],
]);

export interface Problem {
  status: number;
  /** As Connect writes it, such as `not_found`. */
  code: string;
  reason: string;
  message: string;
  /** The field at fault, in the contract's snake_case. */
  field?: string;
  /** Facts for programs, such as the scope that is missing. */
  metadata?: Readonly<Record<string, string>>;
  headers?: OutgoingHttpHeaders;
}

/** Returns what a failed call is answered with. */
export function problemOf({ code, message, cause }: Status): Problem {
  const { reason, field, retryAfterMs, details } = toStorageError(cause);
  return {
    status: HTTP_STATUS[code],
    code: code.replace(/(?<!^)[A-Z]/g, '_$&').toLowerCase(),
    reason,
    message,
    field,
    ...(IS_OF_THE_LOCK.has(code) && Object.keys(details).length > 0 && { metadata: details }),
    headers: {
      ...(retryAfterMs !== undefined && { 'retry-after': `${Math.ceil(retryAfterMs / 1000)}` }),
      // See RFC 9110, section 11.6.1.
      ...(code === 'Unauthenticated' && { 'www-authenticate': 'Bearer' }),
    },
  };
}

/** gRPC clients read a 404 as UNIMPLEMENTED. */
export function answerNothing(_request: unknown, response: HttpResponse): void {
  const message = 'nothing is served under this path';
  sendProblem(response, { status: 404, code: 'not_found', reason: 'ROUTE_NOT_FOUND', message });
}

export function sendProblem(response: HttpResponse, { status, headers, ...problem }: Problem): void {
  sendJson(response, status, JSON.stringify(problem), headers);
}

/** Sends an answer that no cache may keep. */
export function sendJson(
  response: HttpResponse,
  status: number,
  json: string,
  headers: OutgoingHttpHeaders = {},
): void {
  if (response.headersSent || response.destroyed) return;
  // Of an answer that was begun and has failed.
  for (const name of response.getHeaderNames()) if (!OF_ANY_ANSWER.has(name)) response.removeHeader(name);
  begin(response, status, {
    'content-type': 'application/json',
    'cache-control': 'no-store',
    'x-content-type-options': 'nosniff',
    'cross-origin-resource-policy': 'same-origin',
    'content-length': Buffer.byteLength(json),
    ...headers,
  });
  response.end(json);
}

/** Ends an answer that has begun, and cannot go on: HTTP/1.1 can do so only with its connection. */
export function cut(response: HttpResponse): void {
  if ('stream' in response) response.stream.close(constants.NGHTTP2_INTERNAL_ERROR);
  else response.destroy();
}

/** Sends status and headers with the body that follows, for either protocol. */
export function begin(response: HttpResponse, status: number, headers: OutgoingHttpHeaders): void {
  response.statusCode = status;
  for (const [name, value] of Object.entries(headers)) if (value !== undefined) response.setHeader(name, value);
}
