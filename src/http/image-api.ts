/** Images as JSON, for callers without gRPC: save by a form, list, describe, delete. */

import { deleteResultJson, imageJson, listFrom, listResponseJson, saveResponseJson } from '../rpc/json.ts';
import type { CallMemory } from '../rpc/memory.ts';
import { costOfBytes } from '../rpc/request-body.ts';
import { getHeld, MAX_PAGE_COST, save } from '../rpc/routes.ts';
import { type SaveStreamLimits, storeIncoming } from '../rpc/save-stream.ts';
import { subjectOfDelete } from '../rpc/subjects.ts';
import { turnOf } from '../storage/async/fair-turn.ts';
import { invalidField, StorageError, throwIfCancelled } from '../storage/domain/errors.ts';
import type { Page } from '../storage/domain/requests.ts';
import type { Storage } from '../storage/types.ts';
import { sendJson, sendProblem } from './errors.ts';
import { leaveTextsBehind } from './garbage.ts';
import { FRAMING_BYTES, MultipartSave } from './multipart-save.ts';
import type { Exchange, PlainRoute } from './plain-routes.ts';

const ALL = /^\/images$/;
const ONE = /^\/images\/([^/]+)$/;
const DEFAULT_LIMIT = 100;
const MAX_LIMIT = 1000;
/** An answer with more metadata ends before its limit; its token resumes behind it. */
const ENOUGH_CHARACTERS = 512 * 1024;
/** Records, messages, JSON as text and as bytes. */
const LIST_COST = 3 * MAX_PAGE_COST;
const FORM = /^multipart\/form-data\s*;/i;

export interface ImageApiOptions {
  storage: Storage;
  memory: CallMemory;
  save: SaveStreamLimits;
  maxMetadataBytes: number;
}

export function imageApi(options: ImageApiOptions): PlainRoute[] {
  const { storage, memory } = options;
  return [
    { methods: ['POST'], path: ALL, scope: 'write', name: '/images', answer: (asked) => saveForm(asked, options) },
    {
      methods: ['GET', 'HEAD'],
      path: ALL,
      scope: 'read',
      name: '/images',
      answer: (asked) => list(asked, storage, memory),
    },
    {
      methods: ['GET', 'HEAD'],
      path: ONE,
      scope: 'read',
      name: '/images/NAME',
      answer: (asked) => describe(asked, storage, memory),
    },
    {
      methods: ['DELETE'],
      path: ONE,
      scope: 'delete',
      name: '/images/NAME',
      answer: (asked) => remove(asked, storage),
    },
  ];
}

async function saveForm(exchange: Exchange, options: ImageApiOptions): Promise<void> {
  const { request, response, caller, notes, signal } = exchange;
  const { storage, memory, save: limits, maxMetadataBytes: maxFieldBytes } = options;
  const { 'content-type': type = '', 'content-length': length, 'idempotency-key': key } = request.headers;
  if (!FORM.test(type)) return refuseType(exchange);
  const wanted = costOfBytes(Math.min(Number(length ?? Infinity), maxFieldBytes + FRAMING_BYTES));
  const hold = await memory.kept.hold(caller, wanted, { signal, refusal: 'TOO_MANY_SAVES' });
  signal.addEventListener('abort', hold.release, { once: true });
  const arrived = { bytes: 0 };
  const idempotencyKey = typeof key === 'string' ? key : undefined;
  const receive = (stop: AbortController) =>
    new MultipartSave(request, { caller, limits, maxFieldBytes, idempotencyKey, arrived, stop });
  const answer = await storeIncoming(receive, signal, (incoming) => save(storage, incoming, caller, arrived, notes));
  sendJson(response, answer.replayed ? 200 : 201, saveResponseJson(answer), { location: answer.image?.url });
}

function refuseType({ response }: Exchange): void {
  const message = 'an image is saved as multipart/form-data, its file behind its fields';
  sendProblem(response, { status: 415, code: 'invalid_argument', reason: 'TYPE_NOT_ALLOWED', message });
}

async function list(
  { target, response, caller, signal }: Exchange,
  storage: Storage,
  memory: CallMemory,
): Promise<void> {
  const { options, hintsFor } = listFrom(new URLSearchParams(target.query));
  const { limit: asked = 0, pageSize = asked } = options;
  if (asked > MAX_LIMIT) throw invalidField('limit', `${asked}, at most ${MAX_LIMIT}`);
  const limit = asked || DEFAULT_LIMIT;
  const hold = await memory.kept.hold(caller, LIST_COST, { signal });
  try {
    const page = await firstItems(storage, { ...options, limit, pageSize: Math.min(pageSize || limit, limit) });
    const hints = hintsFor !== undefined && page.items.length === 0 ? await storage.hints(hintsFor) : [];
    await turnOf(caller);
    throwIfCancelled(signal);
    const json = listResponseJson(page, hints);
    hold.shrink(json.length * 2);
    signal.addEventListener('abort', hold.release, { once: true });
    sendJson(response, 200, json);
  } catch (error) {
    // Not as soon as the client leaves: what it asked for is still read.
    hold.release();
    throw error;
  }
}

async function firstItems(storage: Storage, options: Parameters<Storage['list']>[0]): Promise<Page> {
  const items: Page['items'] = [];
  let characters = 0;
  for await (const page of storage.list(options).pages()) {
    items.push(...page.items);
    const ofPage = page.items.reduce((sum, { metadata }) => sum + charactersOf(metadata), 0);
    characters += ofPage;
    leaveTextsBehind(ofPage);
    if (characters >= ENOUGH_CHARACTERS || page.nextPageToken === '') return { ...page, items };
    if (items.length >= options!.limit!) return { ...page, items };
  }
  return { items, nextPageToken: '' };
}

function charactersOf({ prompt, parametersJson }: Page['items'][number]['metadata']): number {
  return prompt.length + parametersJson.length;
}

async function describe(exchange: Exchange, storage: Storage, memory: CallMemory): Promise<void> {
  const { response, caller, signal } = exchange;
  const { filename, provider } = named(exchange, ['provider']);
  const get = () => storage.get(filename, { provider });
  const { item } = await getHeld(get, { budget: memory.kept, caller, signal });
  sendJson(response, 200, imageJson(item));
}

async function remove(exchange: Exchange, storage: Storage): Promise<void> {
  const { filename, provider, permanent } = named(exchange, ['provider', 'permanent']);
  if (permanent !== undefined && !/^(0|1|true|false)$/.test(permanent)) {
    throw invalidField('permanent', 'must be true or false');
  }
  const deletion = await storage.remove(filename, { provider, permanent: /^(1|true)$/.test(permanent ?? '') });
  if (!deletion.deleted) throw new StorageError('IMAGE_NOT_FOUND', 'no image has this filename');
  exchange.notes.subject = subjectOfDelete([filename], provider ?? '');
  sendJson(exchange.response, 200, deleteResultJson(filename, deletion));
}

/** Returns the filename in the path, and what the query says. Throws FIELD_INVALID for a name that it does not know. */
function named({ params, target }: Exchange, known: readonly string[]) {
  const query = new URLSearchParams(target.query);
  const unknown = [...query.keys()].find((name) => !known.includes(name));
  if (unknown !== undefined) throw invalidField(unknown.slice(0, 100), 'is none of the fields');
  const [provider, permanent] = [query.get('provider') ?? undefined, query.get('permanent') ?? undefined];
  return { filename: decoded(params[0]!), provider, permanent };
}

/** What cannot be decoded is no filename. */
function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
