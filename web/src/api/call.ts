/** Asks the daemon: plain routes and unary rpcs in JSON. Whatever fails is one kind of error. */
import type { RequestOf, ResponseOf, UnaryRpc } from './contract.ts';
import { urlOf } from './root.ts';

/** `OFFLINE`: no answer came. Any other reason is the daemon's, or `UNKNOWN`. */
export class CallError extends Error {
  override readonly name = 'CallError';
  /** 0 without an answer. */
  readonly status: number;
  readonly reason: string;
  /** The field at fault, in the contract's snake_case. */
  readonly field: string | undefined;
  readonly retryAfterMs: number | undefined;

  constructor(message: string, about: Partial<Pick<CallError, 'status' | 'reason' | 'field' | 'retryAfterMs'>> = {}) {
    super(message);
    this.status = about.status ?? 0;
    this.reason = about.reason ?? 'UNKNOWN';
    this.field = about.field;
    this.retryAfterMs = about.retryAfterMs;
  }

  get isOffline(): boolean {
    return this.reason === 'OFFLINE';
  }

  /** The daemon wants a token, or another one. */
  get isLocked(): boolean {
    return this.status === 401;
  }
}

type Listener = (error: CallError) => void;
const listeners = new Set<Listener>();

/** Calls `listener` with every error, such as that of a session that has ended. Returns what ends it. */
export function onCallError(listener: Listener): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

/** GET of a plain route, such as `images`. Rejects with a CallError, or with an AbortError. */
export function getJson<T>(path: string, parameters: URLSearchParams, signal?: AbortSignal): Promise<T> {
  return answerOf<T>(urlOf(path, parameters), { signal });
}

/** Any other plain route; `path` is below the root. Rejects as `getJson`. */
export function ask<T>(path: string, init: RequestInit): Promise<T> {
  return answerOf<T>(urlOf(path), init);
}

/** A unary rpc by Connect, such as `stats`. Rejects as `getJson`. */
export function callRpc<Name extends UnaryRpc>(
  name: Name,
  request: RequestOf<Name>,
  signal?: AbortSignal,
): Promise<ResponseOf<Name>> {
  const headers = { 'content-type': 'application/json', 'connect-protocol-version': '1' };
  return answerOf(rpcUrl(name), { method: 'POST', headers, body: JSON.stringify(request), signal });
}

function rpcUrl(name: UnaryRpc): string {
  return urlOf(`imagestorage.v1.ImageStorage/${name[0]!.toUpperCase()}${name.slice(1)}`);
}

async function answerOf<T>(url: string, init: RequestInit): Promise<T> {
  let response: Response;
  try {
    response = await fetch(url, init);
  } catch (error) {
    if (init.signal?.aborted) throw error;
    throw told(new CallError('the daemon does not answer', { reason: 'OFFLINE' }));
  }
  const text = await response.text().catch(() => '');
  const json = parsed(text);
  if (response.ok && json !== undefined) return json as T;
  throw told(errorOf(response, json));
}

/** Tells who listens. */
export function told(error: CallError): CallError {
  for (const listener of listeners) listener(error);
  return error;
}

/** Of a plain route, or of Connect, which has the reason in its details. */
interface ErrorJson {
  message?: string;
  reason?: string;
  field?: string;
  details?: { debug?: { reason?: string } }[];
}

export function errorOf({ status, headers }: Pick<Response, 'status' | 'headers'>, json: unknown): CallError {
  const { message, reason, field, details } = (json ?? {}) as ErrorJson;
  const seconds = Number(headers.get('retry-after') ?? Number.NaN);
  return new CallError(message ?? `the answer was ${status}`, {
    status,
    reason: reason ?? details?.find(({ debug }) => debug?.reason)?.debug?.reason,
    field,
    retryAfterMs: Number.isNaN(seconds) ? undefined : seconds * 1000,
  });
}

export function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
