/** Reads a short form of a page: the body as it is, within a size and a time. */

import { cancelled } from '../rpc/call.ts';
import { stalled } from '../rpc/save-stream.ts';
import { unlessCancelled } from '../storage/async/byte-source.ts';
import { StorageError } from '../storage/domain/errors.ts';
import type { HttpRequest } from './router.ts';

const TYPE = /^application\/x-www-form-urlencoded\s*(;|$)/i;

export interface FormLimits {
  maxBytes: number;
  /** How long the whole form may take. */
  waitMs: number;
  /** Fires when the client has left. */
  signal: AbortSignal;
}

export function isForm({ headers }: HttpRequest): boolean {
  return TYPE.test(headers['content-type'] ?? '');
}

/** Returns the fields in their order. Rejects with MESSAGE_TOO_LARGE, SAVE_STALLED or CANCELLED. */
export async function readForm(
  request: HttpRequest,
  { maxBytes, waitMs, signal }: FormLimits,
): Promise<URLSearchParams> {
  const late = new AbortController();
  const timer = setTimeout(() => late.abort(stalled(waitMs, 'the form')), waitMs);
  try {
    const body = await unlessCancelled(bodyOf(request, maxBytes), AbortSignal.any([signal, late.signal]));
    return new URLSearchParams(body.toString());
  } catch (error) {
    if (late.signal.aborted) throw late.signal.reason;
    throw error;
  } finally {
    clearTimeout(timer);
  }
}

async function bodyOf(request: HttpRequest, maxBytes: number): Promise<Buffer> {
  const pieces: Buffer[] = [];
  let bytes = 0;
  try {
    // The connection stays open for the answer.
    for await (const piece of request.iterator({ destroyOnReturn: false })) {
      bytes += piece.length;
      if (bytes > maxBytes) throw new StorageError('MESSAGE_TOO_LARGE', `the form has more than ${maxBytes} bytes`);
      pieces.push(piece);
    }
  } catch (error) {
    throw error instanceof StorageError ? error : cancelled(error);
  }
  return Buffer.concat(pieces);
}
