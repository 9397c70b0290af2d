/** Looks through the messages of a request before connect decodes them, and holds memory for them. */
import type { DescMessage } from '@bufbuild/protobuf';
import type { Hold } from '../storage/async/budget.ts';
import { turnOf } from '../storage/async/fair-turn.ts';
import type { Caller } from '../storage/domain/caller.ts';
import { type Reason, StorageError, throwIfCancelled } from '../storage/domain/errors.ts';
import { jsonObjectProblem } from '../storage/domain/json.ts';
import { type ChunkField, ChunkMessages } from './chunk-messages.ts';
import { COMPRESSED, PREFIX_BYTES, prefixOf } from './envelope.ts';
import { toConnectError } from './errors.ts';
import { FieldCounter, MAX_FIELDS } from './field-counter.ts';
import { freeing, inflate, tooLarge } from './inflate.ts';
import type { CallMemory } from './memory.ts';
import type { Packing } from './packing.ts';
import { PieceReader } from './piece-reader.ts';
import { statusOf } from './status.ts';

/** What a call takes of memory besides its message. */
const CALL_BYTES = 32 * 1024;
/** As it was sent, and as text. */
const COST_OF_A_BYTE = 2;
/** Each name of a Delete, with what is done and answered for it. */
const COST_OF_A_FIELD = 1024;
/** Bytes of the shortest field. */
const FIELD_BYTES = 2;
/** Larger chunks are handed on in parts, so that an upload holds no more than one of them. */
const PART_BYTES = 256 * 1024;
const NOTHING = new Uint8Array(0);

/** What a method takes. */
export interface MessageRules {
  input: DescMessage;
  maxBytes: number;
  /** Messages behind the first bring the bytes of an upload. */
  chunk?: ChunkField;
  /** How a call is refused that waits too long for memory. */
  refusal?: Reason;
}

/** How its messages are packed. */
export interface BodyFormat extends Pick<Packing, 'isEnveloped' | 'isJson'> {
  /** Messages may be compressed; where they may not, connect refuses those that are. */
  isGzip: boolean;
}

/** Who sends, and where the memory for it is held. */
export interface Sender {
  caller: Caller;
  memory: CallMemory;
  /** Fires when the call has ended. */
  signal: AbortSignal;
}

/**
 * Yields the same messages, uncompressed; of an upload, small chunks may be joined, large ones divided and empty ones left
 * out. Throws a ConnectError with the details of MESSAGE_TOO_LARGE, FIELD_INVALID or TOO_MANY_SAVES.
 */
export class RequestBody implements AsyncIterableIterator<Uint8Array, undefined> {
  readonly #reader: PieceReader;
  readonly #format: BodyFormat;
  readonly #rules: MessageRules;
  readonly #sender: Sender;
  readonly #chunks: ChunkMessages | undefined;
  #last: 'nothing' | 'message' | 'chunk' = 'nothing';
  /** Bytes of the current message, or part of a chunk, that are handed on as they come. */
  #passing = 0;
  #counter: FieldCounter | undefined;
  #length = 0;
  /** Of the current message, where it was looked through as a whole. */
  #ready: Iterator<Uint8Array> | undefined;
  /** Bytes of the current chunk behind that part. */
  #parts = 0;
  /** For the first message, until the end of the call, and for the current one of those behind it. */
  #first: Hold | undefined;
  #current: Hold | undefined;

  constructor(source: AsyncIterable<Buffer>, format: BodyFormat, rules: MessageRules, sender: Sender) {
    this.#reader = new PieceReader(source);
    this.#format = format;
    this.#rules = rules;
    this.#sender = sender;
    if (rules.chunk !== undefined && !format.isJson) this.#chunks = new ChunkMessages(this.#reader, rules.chunk);
    sender.signal.addEventListener('abort', () => this.#release(), { once: true });
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async next(): Promise<IteratorResult<Uint8Array, undefined>> {
    try {
      for (;;) {
        const value = await this.#next();
        if (value === undefined) return { done: true, value };
        if (value.length > 0) return { done: false, value };
      }
    } catch (error) {
      throw error instanceof StorageError ? toConnectError(statusOf(error)) : error;
    }
  }

  async return(): Promise<IteratorResult<Uint8Array, undefined>> {
    this.#release();
    await this.#reader.close();
    return { done: true, value: undefined };
  }

  #release(): void {
    this.#first?.release();
    this.#current?.release();
  }

  /** Returns the next bytes, possibly none, or undefined at the end. */
  async #next(): Promise<Uint8Array | undefined> {
    const ready = this.#ready?.next();
    if (ready?.done === false) return ready.value;
    this.#ready = undefined;
    if (this.#passing > 0) return this.#pass();
    if (this.#parts > 0) return this.#beginPart();
    await turnOf(this.#sender.caller);
    if (!this.#format.isEnveloped) return this.#wholeBody();
    return this.#last === 'nothing' || this.#chunks === undefined ? this.#message() : this.#upload(this.#chunks);
  }

  async #pass(): Promise<Uint8Array | undefined> {
    const piece = await this.#reader.some(this.#passing);
    if (piece === undefined) return undefined;
    this.#passing -= piece.length;
    if (this.#counter !== undefined) this.#count(this.#counter, piece);
    return piece;
  }

  #count(counter: FieldCounter, piece: Uint8Array): void {
    counter.push(piece);
    if (this.#passing === 0) this.#shrink(costOf(this.#length, counter.fields));
  }

  #shrink(bytes: number): void {
    (this.#current ?? this.#first)?.shrink(bytes);
  }

  async #upload(chunks: ChunkMessages): Promise<Uint8Array | undefined> {
    const small = chunks.takeSmall();
    const bytes = small?.length ?? (await chunks.begin());
    if (bytes === undefined) return this.#message();
    const isBehindChunk = this.#last === 'chunk';
    this.#last = 'chunk';
    this.#current?.release();
    // It says nothing.
    if (bytes === 0 && isBehindChunk) return NOTHING;
    if (small !== undefined) return Buffer.concat([chunks.head(bytes), small]);
    this.#parts = bytes;
    return this.#beginPart();
  }

  #beginPart(): Uint8Array {
    this.#passing = Math.min(this.#parts, PART_BYTES);
    this.#parts -= this.#passing;
    this.#counter = undefined;
    return this.#chunks!.head(this.#passing);
  }

  async #message(): Promise<Uint8Array | undefined> {
    const prefix = await this.#reader.exactly(PREFIX_BYTES);
    if (prefix.length === 0) return undefined;
    // connect says that the rest is missing.
    if (prefix.length < PREFIX_BYTES) return prefix;
    const length = prefix.readUInt32BE(1);
    if (length > this.#rules.maxBytes) throw tooLarge();
    const isPacked = (prefix[0]! & COMPRESSED) !== 0;
    this.#counter = undefined;
    if (isPacked && !this.#format.isGzip) return this.#passOn(prefix, length);
    await this.#holdFor(isPacked ? this.#rules.maxBytes : length);
    this.#counter = new FieldCounter(this.#rules.input);
    if (!isPacked && !this.#format.isJson) return this.#passOn(prefix, length);
    return prefixOf(await this.#whole(await this.#reader.exactly(length), isPacked));
  }

  #passOn(prefix: Buffer, length: number): Buffer {
    this.#passing = length;
    this.#length = length;
    return prefix;
  }

  /** Holds memory for the first message until the end of the call, for each later one until the next. */
  async #holdFor(bytes: number): Promise<void> {
    const { caller, memory, signal } = this.#sender;
    const options = { signal, refusal: this.#rules.refusal };
    const isFirst = this.#last === 'nothing';
    this.#last = 'message';
    this.#current?.release();
    if (isFirst) this.#first = await memory.kept.hold(caller, costOf(bytes), options);
    else this.#current = await memory.passing.hold(caller, costOf(bytes, 0), options);
  }

  /** Makes a message ready that has arrived whole; returns its length. */
  async #whole(bytes: Uint8Array, isPacked: boolean): Promise<number> {
    const pieces: Uint8Array[] = [];
    const counter = new FieldCounter(this.#rules.input);
    let length = 0;
    for await (const piece of isPacked ? inflate(bytes, this.#rules.maxBytes) : [bytes]) {
      throwIfCancelled(this.#sender.signal);
      if (!this.#format.isJson) counter.push(piece);
      length += piece.length;
      pieces.push(piece);
    }
    if (this.#format.isJson) await this.#checkJson(Buffer.concat(pieces));
    this.#shrink(costOf(length, this.#format.isJson ? undefined : counter.fields));
    this.#ready = isPacked ? freeing(pieces) : pieces.values();
    return length;
  }

  async #checkJson(message: Buffer): Promise<void> {
    const steps = jsonObjectProblem(message.toString(), { maxValues: MAX_FIELDS });
    for (;;) {
      const { done, value: problem } = steps.next();
      if (done && problem !== undefined) throw new StorageError('FIELD_INVALID', `a message ${problem}`);
      if (done) return;
      await turnOf(this.#sender.caller);
    }
  }

  /** The body is one message, of a length that is known when it has arrived. */
  async #wholeBody(): Promise<Uint8Array | undefined> {
    if (this.#last !== 'nothing') return undefined;
    await this.#holdFor(this.#rules.maxBytes);
    const bytes = await this.#reader.exactly(this.#rules.maxBytes + 1);
    if (bytes.length > this.#rules.maxBytes) throw tooLarge();
    await this.#whole(bytes, this.#format.isGzip);
    return NOTHING;
  }
}

/** What a message takes of memory; without their number, with as many fields as the bytes may have. */
export function costOf(bytes: number, fields: number = Math.min(bytes / FIELD_BYTES, MAX_FIELDS)): number {
  return CALL_BYTES + bytes * COST_OF_A_BYTE + fields * COST_OF_A_FIELD;
}
