/** Serves a selection of images as one archive, which a form of a page asks for, so that a browser saves it as a file. */
import { holdForCall } from '../rpc/answers.ts';
import type { CallMemory } from '../rpc/memory.ts';
import { costOfBytes } from '../rpc/request-body.ts';
import { invalidField } from '../storage/domain/errors.ts';
import type { Logger } from '../storage/domain/logger.ts';
import type { Storage } from '../storage/types.ts';
import { begin, sendProblem } from './errors.ts';
import type { Exchange, PlainRoute } from './plain-routes.ts';
import { isForm, readForm } from './read-form.ts';
import { write } from './send-body.ts';
import { type ImageName, ZipArchive } from './zip-archive.ts';

const MAX_IMAGES = 500;
const MAX_BYTES = 2 * 1024 * 1024 * 1024;
/** Names have about a hundred bytes. */
const MAX_FORM_BYTES = 96 * 1024;
const RETRY_AFTER_SECONDS = 5;
const BEYOND = `an archive holds ${MAX_IMAGES} images and 2 GiB; image-storage export takes any number`;

export interface ZipOptions {
  storage: Pick<Storage, 'get'>;
  memory: CallMemory;
  defaultProvider: string;
  /** How long the form may take. */
  formMs: number;
  log: Logger;
}

/** POST of `/zip`, one at a time for each peer. */
export function zipRoute(options: ZipOptions): PlainRoute {
  const underWay = new Set<string>();
  return {
    methods: ['POST'],
    path: /^\/zip$/,
    scope: 'read',
    name: '/zip',
    async answer(exchange) {
      const { peer } = exchange.caller;
      if (underWay.has(peer)) return refuseSecond(exchange);
      underWay.add(peer);
      try {
        await answerZip(exchange, options);
      } finally {
        underWay.delete(peer);
      }
    },
  };
}

async function answerZip(exchange: Exchange, options: ZipOptions): Promise<void> {
  const { request, response, caller, notes, signal } = exchange;
  const { storage, memory, defaultProvider, formMs, log } = options;
  if (!isForm(request)) return refuseType(exchange);
  const receiver = { budget: memory.kept, caller, signal };
  const form = await holdForCall(costOfBytes(MAX_FORM_BYTES), receiver);
  const names = namesIn(await readForm(request, { maxBytes: MAX_FORM_BYTES, waitMs: formMs, signal }), defaultProvider);
  if (names.length > MAX_IMAGES) return refuseTooMuch(exchange, `${names.length} images`);
  const archive = new ZipArchive({ storage, memory, caller, signal });
  for (const name of names) await archive.add(name);
  form.release();
  if (archive.bytes > MAX_BYTES) return refuseTooMuch(exchange, `${archive.bytes} bytes`);
  if (archive.found.length === 0) throw archive.missing[0]!.error;
  await holdForCall(archive.cost, receiver);
  begin(response, 200, headersAt(new Date()));
  let bytes = 0;
  try {
    for await (const piece of archive.pieces()) {
      await write(response, piece, signal);
      bytes += piece.length;
    }
  } finally {
    logMissing(archive, log);
  }
  response.end();
  notes.subject = subjectOf(archive, names, bytes);
}

/** What was deleted meanwhile concerns only the caller. */
function logMissing({ missing }: ZipArchive, log: Logger): void {
  for (const { error, filename, provider } of missing) {
    if (error.code !== 'not_found') log.error({ filename, provider, err: error }, 'an archive lacks an image');
  }
}

/** A provider holds for the filenames behind it. */
function namesIn(form: URLSearchParams, defaultProvider: string): ImageName[] {
  const names = new Map<string, ImageName>();
  let provider = defaultProvider;
  let isOfNone = false;
  for (const [field, value] of form) {
    if (field === 'provider') provider = value || defaultProvider;
    else if (field === 'filename') names.set(`${provider}/${value}`, { filename: value, provider });
    else throw invalidField(field.slice(0, 100), 'is none of the fields');
    isOfNone = field === 'provider';
  }
  if (isOfNone) throw invalidField('provider', 'comes before the filenames that it holds for');
  if (names.size === 0) throw invalidField('filename', 'the form has none');
  return [...names.values()];
}

function headersAt(now: Date) {
  const stamp = now.toISOString().slice(0, 19).replaceAll(/[-:]/g, '').replace('T', '_');
  return {
    'content-type': 'application/zip',
    'content-disposition': `attachment; filename="images_${stamp}.zip"`,
    'cache-control': 'no-store',
    'x-content-type-options': 'nosniff',
  };
}

function subjectOf({ missing }: ZipArchive, names: readonly ImageName[], bytes: number) {
  const [provider, ...others] = new Set(names.map((name) => name.provider));
  return {
    images: names.length - missing.length,
    bytes,
    ...(others.length === 0 && { provider }),
    ...(missing.length > 0 && { missing: missing.length }),
  };
}

function refuseSecond({ response }: Exchange): void {
  sendProblem(response, {
    status: 429,
    code: 'resource_exhausted',
    reason: 'ARCHIVE_UNDER_WAY',
    message: 'another archive is on its way to this client; one at a time',
    headers: { 'retry-after': `${RETRY_AFTER_SECONDS}` },
  });
}

function refuseTooMuch({ response }: Exchange, asked: string): void {
  const message = `${BEYOND}: these are ${asked}`;
  sendProblem(response, { status: 400, code: 'invalid_argument', reason: 'ARCHIVE_TOO_LARGE', message });
}

function refuseType({ response }: Exchange): void {
  const message = 'an archive is asked for by application/x-www-form-urlencoded';
  sendProblem(response, { status: 415, code: 'invalid_argument', reason: 'TYPE_NOT_ALLOWED', message });
}
