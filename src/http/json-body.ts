/** Reads a small request as a JSON object. */
import { constants } from 'node:http2';
import { invalidField, StorageError } from '../storage/domain/errors.ts';
import type { HttpRequest } from './router.ts';

const MAX_BYTES = 16 * 1024;
const JSON_TYPE = /^application\/json\s*(;|$)/i;

/**
 * Rejects with MESSAGE_TOO_LARGE, or FIELD_INVALID for what is no object. A request that does not come in time is cut. No
 * page of another site can send this content type without being asked for leave.
 */
export async function jsonBodyOf(request: HttpRequest, waitMs: number): Promise<Readonly<Record<string, unknown>>> {
  if (!JSON_TYPE.test(request.headers['content-type'] ?? '')) {
    throw new StorageError('FIELD_INVALID', 'the body must be application/json');
  }
  const tooLate = setTimeout(() => cut(request), waitMs);
  try {
    return parsed(await wholeOf(request));
  } finally {
    clearTimeout(tooLate);
  }
}

async function wholeOf(request: HttpRequest): Promise<string> {
  const parts: Buffer[] = [];
  let bytes = 0;
  for await (const part of request as AsyncIterable<Buffer>) {
    bytes += part.length;
    if (bytes > MAX_BYTES) throw new StorageError('MESSAGE_TOO_LARGE', `the body has more than ${MAX_BYTES} bytes`);
    parts.push(part);
  }
  return Buffer.concat(parts).toString('utf8');
}

function parsed(text: string): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  } catch {
    // As for any other text that is no object.
  }
  throw new StorageError('FIELD_INVALID', 'the body must be a JSON object');
}

/** Throws FIELD_INVALID for a name that is none of these. */
export function checkNames(body: object, known: readonly string[]): void {
  const unknown = Object.keys(body).find((name) => !known.includes(name));
  if (unknown !== undefined) throw invalidField(unknown.slice(0, 100), 'is none of the fields');
}

function cut(request: HttpRequest): void {
  if ('stream' in request) request.stream.close(constants.NGHTTP2_CANCEL);
  else request.socket.destroy();
}
