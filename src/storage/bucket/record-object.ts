/** Reads and writes the object at the key of a record: a record, live or in the trash, or the tombstone that replaced it. */
import { hash } from 'node:crypto';
import type { FoundRecord, PendingOperation, RecordInTrash, RecordTombstone } from '../catalog/bucket-catalog.ts';
import { folderOf, KEY_ROOT, recordKey } from '../domain/naming.ts';
import type { ImageRecord } from '../domain/record.ts';
import { formatRecord, parseRecord } from '../domain/record-file.ts';
import type { ObjectHeaders, ObjectStore, Payload } from './object-store.ts';
import { readSmall } from './reading.ts';

/** What the keys of all records begin with. */
export const RECORDS: string = `${KEY_ROOT}metadata/generations/`;

const VERSION = 1;
/** A version that knows no trash takes it for foreign, not for a live record. */
const TRASHED_VERSION = 2;

/** A delete overwrites the record, so no cache may keep it. */
const HEADERS: ObjectHeaders = { contentType: 'application/json', cacheControl: 'no-store' };

/** Returns the filename of the image whose record has this key, or undefined for any other key. */
export function filenameAt(key: string): string | undefined {
  const filename = key.slice(key.lastIndexOf('/') + 1).replace(/\.json$/, '');
  return folderOf(filename) !== undefined && recordKey(filename) === key ? filename : undefined;
}

/** Creates the record of an image: the commit of its save. */
export async function putRecord(objects: ObjectStore, record: ImageRecord): Promise<FoundRecord> {
  const { etag } = await objects.putNew(recordKey(record.filename), payloadOf(formatRecord(record)), HEADERS);
  return { kind: 'live', etag, record };
}

/** Replaces the object with the ETag `over` by the record of an image. */
export async function replaceRecord(objects: ObjectStore, record: ImageRecord, over: string): Promise<FoundRecord> {
  const body = payloadOf(formatRecord(record));
  const { etag } = await objects.replaceIf(recordKey(record.filename), body, HEADERS, over);
  return { kind: 'live', etag, record };
}

/** Creates a tombstone where there is no object. */
export async function putTombstone(objects: ObjectStore, tombstone: RecordTombstone): Promise<FoundRecord> {
  const body = payloadOf(formatTombstone(tombstone));
  const { etag } = await objects.putNew(recordKey(tombstone.filename), body, HEADERS);
  return { kind: 'tombstone', etag, tombstone };
}

/** Replaces the record with the ETag `over` by a tombstone: the commit of a delete. */
export async function buryRecord(objects: ObjectStore, tombstone: RecordTombstone, over: string): Promise<FoundRecord> {
  const body = payloadOf(formatTombstone(tombstone));
  const { etag } = await objects.replaceIf(recordKey(tombstone.filename), body, HEADERS, over);
  return { kind: 'tombstone', etag, tombstone };
}

/** Puts a record into the trash: replaces the one with the ETag `over`, or creates it where there is none. */
export async function trashRecord(objects: ObjectStore, trashed: RecordInTrash, over?: string): Promise<FoundRecord> {
  const [key, body] = [recordKey(trashed.record.filename), payloadOf(formatTrashed(trashed))];
  const put = over === undefined ? objects.putNew(key, body, HEADERS) : objects.replaceIf(key, body, HEADERS, over);
  const { etag } = await put;
  return { kind: 'trashed', etag, trashed };
}

export async function readRecord(objects: ObjectStore, filename: string): Promise<FoundRecord> {
  const found = await readSmall(objects, recordKey(filename));
  if (found === undefined) return { kind: 'absent' };
  return parseFound(found.bytes.toString(), found.etag, filename);
}

export function tombstoneOfFailed(operation: PendingOperation, now: number): RecordTombstone {
  const { filename, nonce, idempotencyKey, fingerprint } = operation;
  const image = { filename, nonce, idempotencyKey, fingerprint, createTime: now, timestamp: now, pinned: false };
  return { ...image, kind: 'failed', deleteTime: now, deleteNonce: '' };
}

export function tombstoneOfDeleted(record: ImageRecord, deleteNonce: string, now: number): RecordTombstone {
  const { filename, nonce = '', idempotencyKey, fingerprint, createTime, timestamp, pinned } = record;
  const image = { filename, nonce, idempotencyKey, fingerprint, createTime, timestamp, pinned };
  return { ...image, kind: 'deleted', deleteTime: now, deleteNonce };
}

/** Returns what a text at the key of a record is. */
export function parseFound(text: string, etag: string, filename: string): FoundRecord {
  const record = parseRecord(text, filename);
  if (record !== undefined) return { kind: 'live', etag, record };
  const trashed = parseTrashed(text, filename);
  if (trashed !== undefined) return { kind: 'trashed', etag, trashed };
  const tombstone = parseTombstone(text, filename);
  return tombstone === undefined ? { kind: 'foreign', etag } : { kind: 'tombstone', etag, tombstone };
}

function formatTrashed({ record, deleteTime, purgeTime, deleteNonce }: RecordInTrash): string {
  const times = { deleteTime: rfc3339(deleteTime), purgeTime: rfc3339(purgeTime) };
  const { filename } = record;
  const text = { version: TRASHED_VERSION, trashed: true, filename, ...times, deleteNonce };
  return `${JSON.stringify({ ...text, record: JSON.parse(formatRecord(record)) }, null, 2)}\n`;
}

function parseTrashed(text: string, filename: string): RecordInTrash | undefined {
  const json = parseObject(text);
  if (json?.version !== TRASHED_VERSION || json.trashed !== true) return undefined;
  const record = parseRecord(JSON.stringify(json.record), filename);
  const [deleteTime, purgeTime] = [Date.parse(asText(json.deleteTime)), Date.parse(asText(json.purgeTime))];
  if (record === undefined || Number.isNaN(deleteTime) || Number.isNaN(purgeTime)) return undefined;
  return { record, deleteTime, purgeTime, deleteNonce: asText(json.deleteNonce) };
}

function formatTombstone({ kind, deleteTime, createTime, timestamp, ...rest }: RecordTombstone): string {
  const times = {
    timestamp: rfc3339(timestamp),
    createTime: rfc3339(createTime),
    deleteTime: rfc3339(deleteTime),
  };
  return `${JSON.stringify({ version: VERSION, tombstone: kind, ...rest, ...times }, null, 2)}\n`;
}

function parseTombstone(text: string, filename: string): RecordTombstone | undefined {
  const json = parseObject(text);
  const kind = json?.tombstone;
  if ((kind !== 'deleted' && kind !== 'failed') || json?.filename !== filename) return undefined;
  const deleteTime = Date.parse(asText(json.deleteTime));
  if (Number.isNaN(deleteTime)) return undefined;
  return {
    filename,
    kind,
    deleteTime,
    nonce: asText(json.nonce),
    deleteNonce: asText(json.deleteNonce),
    idempotencyKey: asText(json.idempotencyKey),
    fingerprint: asText(json.fingerprint),
    createTime: Date.parse(asText(json.createTime)) || 0,
    timestamp: Date.parse(asText(json.timestamp)) || 0,
    pinned: json.pinned === true,
  };
}

function parseObject(text: string): Record<string, unknown> | null {
  try {
    return JSON.parse(text) as Record<string, unknown> | null;
  } catch {
    return null;
  }
}

export function payloadOf(content: string | Buffer): Payload {
  const bytes = Buffer.from(content);
  return { size: bytes.length, sha256: hash('sha256', bytes), open: () => [bytes] };
}

function rfc3339(ms: number): string {
  return new Date(ms).toISOString();
}

function asText(value: unknown): string {
  return typeof value === 'string' ? value : '';
}
