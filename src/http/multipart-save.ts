/** Reads a Save from a form: fields first, then the file, whose bytes are handed on as they come. */
import type { Readable } from 'node:stream';
import { Busboy, type BusboyFileStream, type BusboyInstance } from '@fastify/busboy';
import { cancelled } from '../rpc/call.ts';
import type { Arrived } from '../rpc/caller-key.ts';
import { saveHeaderFrom } from '../rpc/json.ts';
import { type IncomingSave, type SaveStreamLimits, stalled } from '../rpc/save-stream.ts';
import { turnOf } from '../storage/async/fair-turn.ts';
import type { Caller } from '../storage/domain/caller.ts';
import { invalidField, StorageError } from '../storage/domain/errors.ts';
import type { Declared } from '../storage/domain/requests.ts';
import { leaveBehind } from './garbage.ts';
import type { HttpRequest } from './router.ts';

/** Room for boundaries and headers of parts. */
export const FRAMING_BYTES: number = 64 * 1024;
/** Tags, and each other field once. */
const MAX_FIELDS = 100;
const MAX_NAME_BYTES = 100;
const MAX_PART_HEADER_BYTES = 4 * 1024;
const MAX_PART_HEADERS = 16;
const FILE_BUFFER_BYTES = 256 * 1024;
/** Handed to the parser at a time: it goes through hundreds of small parts in one go. */
const SLICE_BYTES = 16 * 1024;
const FILE = 'file';

type SaveHeader = Awaited<ReturnType<IncomingSave['header']>>;

export interface MultipartOptions {
  caller: Caller;
  limits: SaveStreamLimits;
  /** Bytes of all fields together. */
  maxFieldBytes: number;
  /** From the header of the request. */
  idempotencyKey: string | undefined;
  /** Counts what comes. */
  arrived: Arrived;
  /** Aborted with the reason when the client takes too long. */
  stop: AbortController;
}

/** The bytes end only when the form has: what follows the file is refused before anything is committed. */
export class MultipartSave implements IncomingSave {
  /** A form declares all in its fields. */
  readonly declared: Declared = {};
  readonly #options: MultipartOptions;
  readonly #parser: BusboyInstance;
  readonly #fields: [name: string, text: string][] = [];
  readonly #file = Promise.withResolvers<Readable>();
  readonly #end = Promise.withResolvers<void>();
  readonly #wholeSave: NodeJS.Timeout;
  #next: NodeJS.Timeout | undefined;
  #stream: Readable | undefined;
  #hasFailed = false;
  /** Whether nobody reads the file any more. */
  #isOver = false;
  #wake = (): void => undefined;

  /** Throws FIELD_INVALID for a content type without a boundary. */
  constructor(request: HttpRequest, options: MultipartOptions) {
    this.#options = options;
    this.#parser = openParser(request, options.maxFieldBytes);
    // Whoever waits for them hears of it.
    this.#file.promise.catch(() => undefined);
    this.#end.promise.catch(() => undefined);
    this.#listen();
    this.#wholeSave = this.#stopAfter(options.limits.saveMs, 'the whole save');
    this.#next = this.#stopAfter(options.limits.firstMessageMs, 'the file');
    this.#read(request).catch((error) => this.#fail(error instanceof StorageError ? error : cancelled(error)));
  }

  async header(): Promise<SaveHeader> {
    await this.#file.promise;
    clearTimeout(this.#next);
    const { idempotencyKey } = this.#options;
    if (idempotencyKey !== undefined) this.#fields.push(['idempotencyKey', idempotencyKey]);
    return saveHeaderFrom(this.#fields);
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array> {
    const file = await this.#file.promise;
    const pieces = file.iterator({ destroyOnReturn: false });
    for (;;) {
      const { done, value } = await this.#within(pieces.next());
      if (done) break;
      yield value;
      leaveBehind(value.length);
    }
    await this.#within(this.#end.promise);
    this.stopTimers();
  }

  stopTimers(): void {
    clearTimeout(this.#wholeSave);
    clearTimeout(this.#next);
    this.#isOver = true;
    this.#wake();
  }

  #listen(): void {
    const tooMany = () => this.#fail(invalidField(FILE, `a form has one file, and at most ${MAX_FIELDS} fields`));
    this.#parser
      .on('drain', () => this.#wake())
      .on('field', (name: string | undefined, text: string, _isNameCut: boolean, isCut: boolean) =>
        this.#take(name, text, isCut),
      )
      .on('file', (_name: string, file: BusboyFileStream) => {
        file.on('error', (error: Error) => this.#fail(damaged(error)));
        this.#stream = file;
        this.#file.resolve(file);
      })
      .on('filesLimit', tooMany)
      .on('fieldsLimit', tooMany)
      .on('partsLimit', tooMany)
      .on('error', (error: Error) => this.#fail(damaged(error)))
      .on('finish', () => {
        if (this.#stream !== undefined) this.#end.resolve();
        else this.#fail(invalidField(FILE, 'the form has none'));
      });
  }

  #take(name: string | undefined, text: string, isCut: boolean): void {
    if (this.#stream !== undefined) this.#fail(invalidField(name ?? '', 'fields come before the file'));
    else if (isCut) this.#fail(tooLarge());
    else this.#fields.push([name ?? '', text]);
  }

  async #read(request: HttpRequest): Promise<void> {
    const { arrived, caller, maxFieldBytes } = this.#options;
    // The connection stays open for the answer.
    for await (const piece of request.iterator({ destroyOnReturn: false })) {
      arrived.bytes += piece.length;
      if (this.#stream === undefined && arrived.bytes > maxFieldBytes + 2 * FRAMING_BYTES) throw tooLarge();
      for (let at = 0; at < piece.length; at += SLICE_BYTES) {
        await turnOf(caller);
        // What is left is for others to read and drop.
        if (this.#hasFailed || this.#isOver) return;
        const isTaken = this.#parser.write(piece.subarray(at, at + SLICE_BYTES));
        if (!isTaken) await this.#goOn();
      }
    }
    this.#parser.end();
  }

  /** Resolves when the parser takes more, or nothing is to be read any more. */
  #goOn(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#wake = resolve;
    return promise;
  }

  #fail(error: StorageError): void {
    this.#hasFailed = true;
    this.#wake();
    this.#file.reject(error);
    this.#end.reject(error);
    this.#stream?.destroy(error);
  }

  /** Counts the time that the client takes. */
  async #within<T>(coming: Promise<T>): Promise<T> {
    this.#next = this.#stopAfter(this.#options.limits.chunkGapMs, 'the next bytes');
    try {
      return await coming;
    } finally {
      clearTimeout(this.#next);
    }
  }

  #stopAfter(waitMs: number, forWhat: string): NodeJS.Timeout {
    return setTimeout(() => this.#options.stop.abort(stalled(waitMs, forWhat)), waitMs);
  }
}

function openParser({ headers }: HttpRequest, fieldSize: number): BusboyInstance {
  const limits = {
    fieldNameSize: MAX_NAME_BYTES,
    fieldSize,
    fields: MAX_FIELDS,
    files: 1,
    parts: MAX_FIELDS + 1,
    headerPairs: MAX_PART_HEADERS,
    headerSize: MAX_PART_HEADER_BYTES,
  };
  const isPartAFile = (name: string | undefined) => name === FILE;
  const contentType = { 'content-type': headers['content-type'] ?? '' };
  try {
    return new Busboy({ headers: contentType, isPartAFile, fileHwm: FILE_BUFFER_BYTES, limits });
  } catch (error) {
    throw damaged(error);
  }
}

function damaged(cause: unknown): StorageError {
  return new StorageError('FIELD_INVALID', 'the form cannot be read: it is damaged, or ends early', { cause });
}

function tooLarge(): StorageError {
  return new StorageError('MESSAGE_TOO_LARGE', 'the fields of the form are larger than the daemon accepts');
}
