/** The record file: JSON beside every image, for people and tools to read and to rebuild a catalog from. */

import { folderOf, imageKey } from './naming.ts';
import { bareRecord, type ImageRecord, type StoredRecord } from './record.ts';

const VERSION = 1;
const SHA256 = /^[0-9a-f]{64}$/;

/** Returns the text of a record file; times are RFC 3339 in UTC. */
export function formatRecord(record: StoredRecord): string {
  const { createTime, timestamp, expireTime, ...rest } = bareRecord(record);
  const times = {
    timestamp: rfc3339(timestamp),
    createTime: rfc3339(createTime),
    ...(expireTime !== undefined && { expireTime: rfc3339(expireTime) }),
  };
  const text = { version: VERSION, ...rest, ...times };
  return `${JSON.stringify(text, null, 2)}\n`;
}

/** Returns the record in a record file, or undefined when the text is torn, foreign or about another image. */
export function parseRecord(text: string, filename: string): ImageRecord | undefined {
  let json: Record<string, unknown>;
  try {
    json = JSON.parse(text) as Record<string, unknown>;
  } catch {
    return undefined;
  }
  if (json === null || typeof json !== 'object' || json.version !== VERSION || json.filename !== filename)
    return undefined;
  if (folderOf(filename) === undefined) return undefined;
  const record: ImageRecord = {
    filename,
    key: imageKey(filename),
    size: json.size as number,
    sha256: json.sha256 as string,
    contentType: asText(json.contentType),
    width: asCount(json.width),
    height: asCount(json.height),
    createTime: Date.parse(asText(json.createTime)),
    pinned: json.pinned === true,
    prompt: asText(json.prompt),
    model: asText(json.model),
    timestamp: Date.parse(asText(json.timestamp)),
    category: asText(json.category),
    tags: Array.isArray(json.tags) ? json.tags.map(asText).filter((tag) => tag !== '') : [],
    parametersJson: asText(json.parametersJson),
    idempotencyKey: asText(json.idempotencyKey),
    fingerprint: asText(json.fingerprint),
  };
  if (typeof json.nonce === 'string') record.nonce = json.nonce;
  if (typeof json.restoredFrom === 'string') record.restoredFrom = json.restoredFrom;
  const revision = asCount(json.revision);
  if (revision > 0) record.revision = revision;
  const expireTime = Date.parse(asText(json.expireTime));
  if (expireTime >= 0) record.expireTime = expireTime;
  const sound =
    Number.isSafeInteger(record.size) &&
    record.size > 0 &&
    SHA256.test(record.sha256) &&
    record.createTime >= 0 &&
    record.timestamp >= 0;
  return sound ? record : undefined;
}

function rfc3339(ms: number): string {
  return new Date(ms).toISOString();
}

function asText(value: unknown): string {
  return typeof value === 'string' && value.isWellFormed() ? value : '';
}

function asCount(value: unknown): number {
  return Number.isSafeInteger(value) && (value as number) >= 0 ? (value as number) : 0;
}
