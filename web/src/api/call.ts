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

/** A server-streamed rpc by Connect, such as `ListTrash`, of one short answer. Rejects as `getJson`. */
export async function streamRpc<Answer>(name: string, request: object): Promise<Answer[]> {
  const text = new TextEncoder().encode(JSON.stringify(request));
  const body = new Uint8Array(ENVELOPE_BYTES + text.length);
  new DataView(body.buffer).setUint32(1, text.length);
  body.set(text, ENVELOPE_BYTES);
  const headers = { 'content-type': 'application/connect+json', 'connect-protocol-version': '1' };
  const response = await fetchOrTell(urlOf(`imagestorage.v1.ImageStorage/${name}`), { method: 'POST', headers, body });
  if (!response.ok) throw told(errorOf(response, parsed(await response.text())));
  const messages = messagesIn(new Uint8Array(await response.arrayBuffer()));
  const { error } = (messages.pop() ?? {}) as { error?: ErrorJson };
  if (error !== undefined) throw told(errorOf(response, error));
  return messages as Answer[];
}

/** Flags and length, see https://connectrpc.com/docs/protocol#streaming-rpcs. */
const ENVELOPE_BYTES = 5;

function messagesIn(bytes: Uint8Array): unknown[] {
  const view = new DataView(bytes.buffer);
  const messages: unknown[] = [];
  for (let at = 0; at + ENVELOPE_BYTES <= bytes.length; ) {
    const end = at + ENVELOPE_BYTES + view.getUint32(at + 1);
    messages.push(JSON.parse(new TextDecoder().decode(bytes.subarray(at + ENVELOPE_BYTES, end))));
    at = end;
  }
  return messages;
}

function rpcUrl(name: UnaryRpc): string {
  return urlOf(`imagestorage.v1.ImageStorage/${name[0]!.toUpperCase()}${name.slice(1)}`);
}

async function answerOf<T>(url: string, init: RequestInit): Promise<T> {
  const response = await fetchOrTell(url, init);
  const text = await response.text().catch(() => '');
  const json = parsed(text);
  if (response.ok && json !== undefined) return json as T;
  throw told(errorOf(response, json));
}

async function fetchOrTell(url: string, init: RequestInit): Promise<Response> {
  try {
    return await fetch(url, init);
  } catch (error) {
    if (init.signal?.aborted) throw error;
    throw told(new CallError('the daemon does not answer', { reason: 'OFFLINE' }));
  }
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
