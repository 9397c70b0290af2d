/** Looks through the messages of a request before connect decodes them, and holds memory for them. */
import type { DescMessage } from '@bufbuild/protobuf';
import type { Hold } from '../storage/async/budget.ts';
import { turnOf } from '../storage/async/fair-turn.ts';
import type { Caller } from '../storage/domain/caller.ts';
import { type Reason, StorageError, throwIfCancelled } from '../storage/domain/errors.ts';
import { jsonObjectProblem } from '../storage/domain/json.ts';
import type { Arrived } from './caller-key.ts';
import { type ChunkField, ChunkMessages } from './chunk-messages.ts';
import { COMPRESSED, chunkHead, PREFIX_BYTES, prefixOf } from './envelope.ts';
import { toConnectError } from './errors.ts';
import { FieldCounter, MAX_FIELDS } from './field-counter.ts';
import { inflate, joined, tooLarge } from './inflate.ts';
import type { CallMemory } from './memory.ts';
import type { Packing } from './packing.ts';
import { PieceReader } from './piece-reader.ts';
import { statusOf } from './status.ts';

/** What a call takes of memory besides its message. */
const CALL_BYTES = 32 * 1024;
/** As it was sent, and as text; of a message that is decoded, the text is left. */
const COST_OF_A_BYTE = 2;
/** Each name of a Delete, with what is done and answered for it. */
const COST_OF_A_FIELD = 1024;
/** So many are within what a call takes. */
const FEW_FIELDS = 32;
/** Bytes of the shortest value in JSON, with its comma. */
const JSON_VALUE_BYTES = 2;
/** Larger chunks are handed on in parts, so that an upload holds no more than one of them. */
const PART_BYTES = 256 * 1024;
/** Inflating a message costs a tenth of a millisecond, however small it is. */
const CRUMB_BYTES = 1024;
const MAX_CRUMBS = 10_000;
/** From here on, a message has a buffer of its own. */
const ALONE_BYTES = 64 * 1024;
const NOTHING = new Uint8Array(0);

/** What a method takes. */
export interface MessageRules {
  input: DescMessage;
  maxBytes: number;
  /** Of the first message, where that may be less. */
  maxFirstBytes?: number;
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
  /** Counts what comes. */
  arrived: Arrived;
  /** Called when the first message has come, before it is handed on. */
  begin?(): Promise<void>;
}

/**
 * Yields the same messages, uncompressed and each in one piece, which is valid until the next is asked for; of an upload,
 * small chunks may be joined, large ones divided and empty ones left out. Throws a ConnectError with the details of
 * MESSAGE_TOO_LARGE, FIELD_INVALID or TOO_MANY_SAVES.
 */
export class RequestBody implements AsyncIterableIterator<Uint8Array, undefined> {
  readonly #reader: PieceReader;
  readonly #format: BodyFormat;
  readonly #rules: MessageRules;
  readonly #sender: Sender;
  readonly #chunks: ChunkMessages | undefined;
  #last: 'nothing' | 'message' | 'chunk' = 'nothing';
  /** Bytes of the current chunk that are not handed on yet. */
  #parts = 0;
  /** What was handed on, and its memory, which is freed when the next is asked for. */
  #given: Uint8Array | undefined;
  /** For the first message, until the end of the call, and for the current one of those behind it. */
  #first: Hold | undefined;
  #firstBytes = 0;
  #current: Hold | undefined;
  readonly #decoded: Hold[] = [];
  #crumbs = 0;

  constructor(source: AsyncIterable<Buffer>, format: BodyFormat, rules: MessageRules, sender: Sender) {
    this.#reader = new PieceReader(source, sender.arrived);
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
    this.#decodedGiven();
    try {
      for (;;) {
        const isFirst = this.#last === 'nothing';
        const value = await this.#next();
        if (value === undefined) return { done: true, value };
        if (isFirst) await this.#sender.begin?.();
        this.#given = value;
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

  /** connect has copied and decoded the message. Left to the garbage collector, messages pile up. */
  #decodedGiven(): void {
    const { buffer, byteLength } = this.#given ?? NOTHING;
    if (byteLength >= ALONE_BYTES && buffer.byteLength === byteLength) (buffer as ArrayBuffer).transfer(0);
    if (this.#given !== undefined && this.#last === 'message') this.#first?.shrink(CALL_BYTES + this.#firstBytes);
    this.#given = undefined;
  }

  #release(): void {
    this.#first?.release();
    this.#current?.release();
    for (const hold of this.#decoded) hold.release();
  }

  /** Returns the next message, possibly empty bytes, or undefined at the end. */
  async #next(): Promise<Uint8Array | undefined> {
    await turnOf(this.#sender.caller);
    if (this.#parts > 0) return this.#part();
    if (!this.#format.isEnveloped) return this.#wholeBody();
    return this.#last === 'nothing' || this.#chunks === undefined ? this.#message() : this.#upload(this.#chunks);
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
    if (small !== undefined) return Buffer.concat([this.#chunkHead(bytes), small]);
    this.#parts = bytes;
    return this.#part();
  }

  #part(): Promise<Uint8Array> {
    const bytes = Math.min(this.#parts, PART_BYTES);
    this.#parts -= bytes;
    return this.#filled(this.#chunkHead(bytes), bytes);
  }

  #chunkHead(bytes: number): Buffer {
    return chunkHead(this.#rules.chunk!.tag, bytes);
  }

  async #message(): Promise<Uint8Array | undefined> {
    const prefix = await this.#reader.exactly(PREFIX_BYTES);
    if (prefix.length === 0) return undefined;
    // connect says that the rest is missing.
    if (prefix.length < PREFIX_BYTES) return prefix;
    const length = prefix.readUInt32BE(1);
    if (length > this.#rules.maxBytes) throw tooLarge();
    const isPacked = (prefix[0]! & COMPRESSED) !== 0;
    if (isPacked && !this.#format.isGzip) throw packedUnnamed();
    if (isPacked && length < CRUMB_BYTES) this.#countCrumb();
    const maxBytes = this.#maxBytes;
    await this.#holdFor(isPacked ? maxBytes : length);
    if (!isPacked) {
      const message = await this.#filled(prefix, length);
      await this.#look(message.subarray(PREFIX_BYTES));
      return message;
    }
    const message = await this.#inflated(await this.#reader.exactly(length), maxBytes);
    return enveloped(message);
  }

  #countCrumb(): void {
    throwIfCancelled(this.#sender.signal);
    this.#crumbs += 1;
    if (this.#crumbs <= MAX_CRUMBS) return;
    const most = MAX_CRUMBS.toLocaleString('en');
    throw new StorageError('FIELD_INVALID', `more than ${most} messages of the call are small and compressed`);
  }

  /** Of the current message. */
  get #maxBytes(): number {
    const { maxBytes, maxFirstBytes = maxBytes } = this.#rules;
    return this.#last === 'nothing' ? maxFirstBytes : maxBytes;
  }

  /** Returns the next bytes behind a head; fewer at the end, of which connect says that the rest is missing. */
  async #filled(head: Uint8Array, bytes: number): Promise<Uint8Array> {
    const target = allocate(head.length + bytes);
    target.set(head);
    const filled = await this.#reader.fill(target.subarray(head.length));
    return filled === bytes ? target : target.subarray(0, head.length + filled);
  }

  /** Holds memory for the first message until the end of the call, for each later one until the next. */
  async #holdFor(bytes: number): Promise<void> {
    const { caller, memory, signal } = this.#sender;
    const options = { signal, refusal: this.#rules.refusal };
    const isFirst = this.#last === 'nothing';
    this.#last = 'message';
    this.#current?.release();
    const cost = costOfBytes(bytes);
    if (isFirst) this.#first = await memory.kept.hold(caller, cost, options);
    else this.#current = await memory.passing.hold(caller, cost, options);
    if (isFirst) this.#firstBytes = bytes;
  }

  /** Looks through a message before it is decoded, and holds memory for what it becomes. */
  async #look(message: Uint8Array): Promise<void> {
    let fields = Math.min(message.length / JSON_VALUE_BYTES, MAX_FIELDS);
    if (this.#format.isJson) await this.#checkJson(message);
    else {
      const counter = new FieldCounter(this.#rules.input);
      counter.push(message);
      fields = counter.fields;
    }
    const cost = costOfFields(fields);
    if (cost === 0) return;
    const { caller, memory, signal } = this.#sender;
    const options = { signal, refusal: this.#rules.refusal };
    this.#decoded.push(await memory.decoded.hold(caller, cost, options));
  }

  async #inflated(bytes: Uint8Array, maxBytes: number): Promise<Uint8Array> {
    const pieces: Uint8Array[] = [];
    let length = 0;
    for await (const piece of inflate(bytes, maxBytes)) {
      throwIfCancelled(this.#sender.signal);
      length += piece.length;
      pieces.push(piece);
    }
    const hold = this.#current ?? this.#first;
    hold?.shrink(costOfBytes(length));
    if (hold === this.#first) this.#firstBytes = length;
    const message = joined(pieces, length);
    await this.#look(message);
    return message;
  }

  async #checkJson(message: Uint8Array): Promise<void> {
    const steps = jsonObjectProblem(Buffer.from(message.buffer, message.byteOffset, message.length).toString(), {
      maxValues: MAX_FIELDS,
    });
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
    const { maxBytes } = this.#rules;
    await this.#holdFor(maxBytes);
    const bytes = await this.#reader.upTo(maxBytes + 1);
    if (bytes.length > maxBytes) throw tooLarge();
    if (this.#format.isGzip) return this.#inflated(bytes, maxBytes);
    this.#first?.shrink(costOfBytes(bytes.length));
    this.#firstBytes = bytes.length;
    await this.#look(bytes);
    return bytes;
  }
}

function enveloped(message: Uint8Array): Uint8Array {
  const envelope = allocate(PREFIX_BYTES + message.length);
  envelope.set(prefixOf(message.length));
  envelope.set(message, PREFIX_BYTES);
  return envelope;
}

/** Returns bytes whose buffer is theirs alone where they are many. */
function allocate(bytes: number): Uint8Array {
  return bytes >= ALONE_BYTES ? new Uint8Array(bytes) : Buffer.allocUnsafe(bytes);
}

export function packedUnnamed(): StorageError {
  return new StorageError('FIELD_INVALID', 'a message is compressed, and the call names no compression');
}

/** What the bytes of a message take of memory, with its call. */
export function costOfBytes(bytes: number): number {
  return CALL_BYTES + bytes * COST_OF_A_BYTE;
}

/** What the fields of a message become when they are decoded; those of most calls are within what a call takes. */
export function costOfFields(fields: number): number {
  return fields <= FEW_FIELDS ? 0 : fields * COST_OF_A_FIELD;
}
