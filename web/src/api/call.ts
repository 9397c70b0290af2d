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

/** Whoever hangs longer does not answer. Changes may concern a thousand images. */
const READ_MS = 30_000;
const CHANGE_MS = 180_000;
const READS: readonly string[] = ['stats'] satisfies UnaryRpc[];

/** GET of a plain route, such as `images`. Rejects with a CallError, or with an AbortError. */
export function getJson<T>(path: string, parameters: URLSearchParams, signal?: AbortSignal): Promise<T> {
  return answerOf<T>(urlOf(path, parameters), { signal }, READ_MS);
}

/** Any other plain route; `path` is below the root. Rejects as `getJson`. */
export function ask<T>(path: string, init: RequestInit): Promise<T> {
  return answerOf<T>(urlOf(path), init, READ_MS);
}

/** A unary rpc by Connect, such as `stats`. Rejects as `getJson`. */
export function callRpc<Name extends UnaryRpc>(
  name: Name,
  request: RequestOf<Name>,
  signal?: AbortSignal,
): Promise<ResponseOf<Name>> {
  const headers = { 'content-type': 'application/json', 'connect-protocol-version': '1' };
  const init = { method: 'POST', headers, body: JSON.stringify(request), signal };
  return answerOf(rpcUrl(name), init, READS.includes(name) ? READ_MS : CHANGE_MS);
}

/** A server-streamed rpc by Connect, such as `ListTrash`, of one short answer. Rejects as `getJson`. */
export async function streamRpc<Answer>(name: string, request: object): Promise<Answer[]> {
  const text = new TextEncoder().encode(JSON.stringify(request));
  const body = new Uint8Array(ENVELOPE_BYTES + text.length);
  new DataView(body.buffer).setUint32(1, text.length);
  body.set(text, ENVELOPE_BYTES);
  const headers = { 'content-type': 'application/connect+json', 'connect-protocol-version': '1' };
  const url = urlOf(`imagestorage.v1.ImageStorage/${name}`);
  const { response, bytes } = await fetchWhole(url, { method: 'POST', headers, body }, READ_MS);
  if (!response.ok) throw errorOf(response, parsed(textOf(bytes)));
  const messages = messagesIn(bytes);
  const { error } = (messages.pop() ?? {}) as { error?: ErrorJson };
  if (error !== undefined) throw errorOf(response, error);
  return messages as Answer[];
}

/** Flags and length, see https://connectrpc.com/docs/protocol#streaming-rpcs. */
const ENVELOPE_BYTES = 5;

function messagesIn(bytes: Uint8Array): unknown[] {
  const view = new DataView(bytes.buffer);
  const messages: unknown[] = [];
  for (let at = 0; at + ENVELOPE_BYTES <= bytes.length; ) {
    const end = at + ENVELOPE_BYTES + view.getUint32(at + 1);
    messages.push(JSON.parse(textOf(bytes.subarray(at + ENVELOPE_BYTES, end))));
    at = end;
  }
  return messages;
}

function rpcUrl(name: UnaryRpc): string {
  return urlOf(`imagestorage.v1.ImageStorage/${name[0]!.toUpperCase()}${name.slice(1)}`);
}

function textOf(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes);
}

async function answerOf<T>(url: string, init: RequestInit, withinMs: number): Promise<T> {
  const { response, bytes } = await fetchWhole(url, init, withinMs);
  const json = parsed(textOf(bytes));
  if (response.ok && json !== undefined) return json as T;
  throw errorOf(response, json);
}

/** An answer that does not come to its end is none. */
async function fetchWhole(url: string, init: RequestInit, withinMs: number) {
  const late = new AbortController();
  const timer = setTimeout(() => late.abort(), withinMs);
  const signal = init.signal ? AbortSignal.any([init.signal, late.signal]) : late.signal;
  try {
    const response = await fetch(url, { ...init, signal });
    return { response, bytes: new Uint8Array(await response.arrayBuffer()) };
  } catch (error) {
    if (init.signal?.aborted) throw error;
    throw new CallError('the daemon does not answer', { reason: 'OFFLINE' });
  } finally {
    clearTimeout(timer);
  }
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
