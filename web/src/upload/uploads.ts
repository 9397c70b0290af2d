/** Files on their way into the store: three at once, each saved once whatever happens, and the rest go on where one fails. */
import { computed, signal } from '@preact/signals';
import { CallError } from '../api/call.ts';
import type { ImageJson } from '../api/contract.ts';
import { saveFile } from '../api/save.ts';
import { lookNow } from '../state/live.ts';
import { say, tell } from '../state/notices.ts';
import { openNamed } from '../state/open.ts';
import { view } from '../state/view.ts';
import { texts } from '../texts.ts';

const AT_ONCE = 3;
const MAX_ATTEMPTS = 4;
const RETRY_MS = 1000;

interface Upload {
  file: File;
  provider: string;
  idempotencyKey: string;
  state: 'waiting' | 'sending' | 'saved' | 'failed';
  sentBytes: number;
  problem?: CallError;
}

/** Since nothing was on its way the last time. */
let uploads: Upload[] = [];
const changed = signal(0);
let cancelled = new AbortController();
let firstSaved: ImageJson | undefined;

export interface Progress {
  count: number;
  saved: number;
  isUnderWay: boolean;
  /** 0 to 1, of the bytes. */
  part: number;
  failed: readonly { name: string; problem: CallError }[];
}

/** Undefined: there is nothing to tell. */
export const progress = computed((): Progress | undefined => {
  changed.value;
  if (uploads.length === 0) return undefined;
  const bytes = uploads.reduce((sum, { file }) => sum + file.size, 0);
  const sent = uploads.reduce((sum, { state, sentBytes, file }) => sum + (isOver(state) ? file.size : sentBytes), 0);
  return {
    count: uploads.length,
    saved: uploads.filter(({ state }) => state === 'saved').length,
    isUnderWay: isUnderWay(),
    part: bytes === 0 ? 0 : sent / bytes,
    failed: uploads.flatMap(({ file, problem }) => (problem === undefined ? [] : [{ name: file.name, problem }])),
  };
});

/** Begins to save them where the view looks. */
export function upload(files: readonly File[]): void {
  if (files.length === 0) return;
  if (!isUnderWay()) clearUploads();
  const provider = view.peek().provider === '*' ? '' : view.peek().provider;
  for (const file of files) {
    uploads.push({ file, provider, idempotencyKey: randomKey(), state: 'waiting', sentBytes: 0 });
  }
  say(texts.upload.begun(files.length));
  pump();
}

export function retryFailed(): void {
  for (const each of uploads)
    if (each.state === 'failed') Object.assign(each, { state: 'waiting', problem: undefined });
  pump();
}

/** What is saved already stays. */
export function cancelUploads(): void {
  cancelled.abort();
  cancelled = new AbortController();
  uploads = uploads.filter(({ state }) => isOver(state));
  ended();
}

/** Puts away what failed. */
export function clearUploads(): void {
  uploads = [];
  firstSaved = undefined;
  changed.value += 1;
}

function isOver(state: Upload['state']): boolean {
  return state === 'saved' || state === 'failed';
}

function isUnderWay(): boolean {
  return uploads.some(({ state }) => !isOver(state));
}

function pump(): void {
  const free = AT_ONCE - uploads.filter(({ state }) => state === 'sending').length;
  const next = uploads.filter(({ state }) => state === 'waiting').slice(0, free);
  for (const each of next) void send(each, cancelled.signal);
  changed.value += 1;
}

async function send(each: Upload, signal: AbortSignal): Promise<void> {
  each.state = 'sending';
  try {
    const image = await saved(each, signal);
    firstSaved ??= image;
    each.state = 'saved';
  } catch (error) {
    if (signal.aborted) return;
    each.problem = error instanceof CallError ? error : new CallError(String(error));
    each.state = 'failed';
  }
  if (isUnderWay()) pump();
  else ended();
}

/** A daemon that is busy or starts again is asked again: the key lets nothing be stored twice. */
async function saved(each: Upload, signal: AbortSignal): Promise<ImageJson> {
  const onSent = (bytes: number) => {
    each.sentBytes = bytes;
    changed.value += 1;
  };
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await saveFile(each, { signal, onSent });
    } catch (error) {
      const isPassing = error instanceof CallError && (error.isOffline || error.retryAfterMs !== undefined);
      if (!isPassing || attempt === MAX_ATTEMPTS || signal.aborted) throw error;
      await new Promise((resolve) => setTimeout(resolve, error.retryAfterMs ?? attempt * RETRY_MS));
      signal.throwIfAborted();
    }
  }
}

function ended(): void {
  changed.value += 1;
  const { saved = 0, failed = [] } = progress.peek() ?? {};
  if (saved > 0) void lookNow();
  if (failed.length > 0) {
    say(texts.upload.ended(saved, failed.length));
    return;
  }
  const image = firstSaved;
  clearUploads();
  if (image === undefined) return;
  const { filename = '', provider = '' } = image;
  const action = { text: texts.upload.show, run: () => openNamed({ filename, provider }) };
  tell({ text: texts.upload.ended(saved, 0), action });
}

/** Without TLS a page has neither hashes nor UUIDs. */
function randomKey(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return `page:${[...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join('')}`;
}
