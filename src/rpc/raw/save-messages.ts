/** Reads the messages of a Save from a stream of node:http2, and hands the bytes of the image on in batches. */
import type { ServerHttp2Stream } from 'node:http2';
import { fromBinary } from '@bufbuild/protobuf';
import { type SaveHeader, type SaveRequest, SaveRequestSchema } from '../../../gen/imagestorage/v1/image_storage_pb.ts';
import type { Hold } from '../../storage/async/budget.ts';
import type { ByteBatch, Declared } from '../../storage/domain/requests.ts';
import type { Messages } from '../call.ts';
import { checkEmptyChunks } from '../empty-chunks.ts';
import { undecodable } from '../errors.ts';
import { FieldCounter } from '../field-counter.ts';
import { tooLarge } from '../inflate.ts';
import { costOfBytes, costOfFields, type MessageRules, packedUnnamed, type Sender } from '../request-body.ts';
import {
  checkChunk,
  headerOf,
  type IncomingSave,
  notHeader,
  outOfOrder,
  type SaveStreamLimits,
  stalled,
  trailerOf,
} from '../save-stream.ts';
import { BatchQueue } from './batch-queue.ts';
import { MessageSplitter } from './message-splitter.ts';

const NOTHING = Buffer.alloc(0);

export interface RawSaveOptions {
  rules: MessageRules;
  limits: SaveStreamLimits;
  sender: Sender;
  /** Counts those received. */
  messages: Messages;
  /** Aborted with SAVE_STALLED when the client takes too long. */
  stop: AbortController;
}

export class RawSaveMessages implements IncomingSave {
  declared: Declared = {};
  readonly #stream: ServerHttp2Stream;
  readonly #options: RawSaveOptions;
  readonly #splitter: MessageSplitter;
  readonly #batches = new BatchQueue(() => this.#goOn());
  readonly #header = Promise.withResolvers<SaveHeader>();
  readonly #wholeSave: NodeJS.Timeout;
  readonly #firstMessage: NodeJS.Timeout;
  #gap: NodeJS.Timeout | undefined;
  /** When a message began, or the stream was read again, last. */
  #movedAt = 0;
  /** The message that is no chunk, as far as it has arrived. */
  #message: Buffer = NOTHING;
  #messageBytes = 0;
  #sizeBytes = 0;
  #counter: FieldCounter | undefined;
  /** For the header, and for such a message behind it. */
  #kept: Hold | undefined;
  #passing: Hold | undefined;
  readonly #decoded: Hold[] = [];
  /** What has arrived behind the beginning of a message that waits for memory. */
  #early: Buffer = NOTHING;
  #waitsForMemory = false;
  #hasEnded = false;
  #hasHeader = false;
  #hasTrailer = false;
  #empty = 0;

  constructor(stream: ServerHttp2Stream, options: RawSaveOptions) {
    this.#stream = stream;
    this.#options = options;
    this.#splitter = new MessageSplitter(options.rules.chunk!.tag, {
      chunk: (bytes) => this.#beginChunk(bytes),
      chunkBytes: (bytes) => this.#batches.push(bytes),
      message: (bytes, isCompressed) => this.#beginMessage(bytes, isCompressed),
      messageBytes: (bytes) => this.#takeMessageBytes(bytes),
      messageEnd: () => this.#endMessage(),
    });
    const { limits, sender } = options;
    // Nobody waits for it where the call ends before.
    this.#header.promise.catch(() => undefined);
    this.#wholeSave = this.#stopAfter(limits.saveMs, 'the whole save');
    this.#firstMessage = this.#stopAfter(limits.firstMessageMs, 'the next message');
    sender.signal.addEventListener('abort', () => this.#release(), { once: true });
    stream.on('data', (piece: Buffer) => this.#arrived(piece)).once('end', () => this.#ended());
  }

  [Symbol.asyncIterator](): AsyncIterator<ByteBatch, undefined> {
    return this.#batches;
  }

  header(): Promise<SaveHeader> {
    return this.#header.promise;
  }

  stopTimers(): void {
    for (const timer of [this.#wholeSave, this.#firstMessage, this.#gap]) clearTimeout(timer);
    this.#batches.stop();
  }

  #stopAfter(waitMs: number, forWhat: string): NodeJS.Timeout {
    return setTimeout(() => this.#options.stop.abort(stalled(waitMs, forWhat)), waitMs);
  }

  /** Gives up where no message began in time; not while the daemon does not read. */
  #watch(waitMs: number): void {
    const { limits, stop } = this.#options;
    this.#gap = setTimeout(() => {
      const idleMs = this.#stream.isPaused() ? 0 : performance.now() - this.#movedAt;
      if (idleMs < limits.chunkGapMs) this.#watch(limits.chunkGapMs - idleMs);
      else stop.abort(stalled(limits.chunkGapMs, 'the next message'));
    }, waitMs);
  }

  #release(): void {
    this.stopTimers();
    this.#kept?.release();
    this.#passing?.release();
    for (const hold of this.#decoded) hold.release();
  }

  #arrived(piece: Buffer): void {
    this.#options.sender.arrived.bytes += piece.length;
    this.#take(piece);
  }

  #take(piece: Buffer): void {
    try {
      const early = this.#splitter.push(piece);
      if (early.length > 0) this.#early = early;
    } catch (error) {
      this.#fail(error);
      return;
    }
    this.#batches.deliver();
    if (this.#waitsForMemory || this.#batches.isFull) this.#stream.pause();
  }

  #goOn(): void {
    if (this.#waitsForMemory || !this.#stream.isPaused()) return;
    this.#movedAt = performance.now();
    this.#stream.resume();
  }

  /** A stream ends although it is paused; what waits for memory comes first. */
  #ended(): void {
    this.#hasEnded = true;
    this.stopTimers();
    if (!this.#waitsForMemory) this.#endMessages();
  }

  #endMessages(): void {
    if (!this.#splitter.isBetweenMessages) this.#fail(undecodable(undefined));
    else if (this.#hasHeader) this.#batches.end();
    else this.#fail(notHeader());
  }

  #fail(error: unknown): void {
    this.#stream.removeAllListeners('data').pause();
    this.stopTimers();
    this.#header.reject(error);
    this.#batches.fail(error);
  }

  #beginChunk(bytes: number): void {
    checkChunk(bytes, this.#options.rules.chunk!.maxBytes);
    this.#options.messages.received += 1;
    if (bytes === 0) this.#countEmpty();
    if (this.#hasTrailer) throw outOfOrder('nothing follows a trailer');
    this.#movedAt = performance.now();
    this.#batches.countMessage();
  }

  /** Returns false: its bytes wait until there is memory for it. */
  #beginMessage(bytes: number, isCompressed: boolean): boolean {
    const { rules, messages } = this.#options;
    messages.received += 1;
    if (bytes > rules.maxBytes) throw tooLarge();
    if (isCompressed) throw packedUnnamed();
    this.#movedAt = performance.now();
    this.#counter = new FieldCounter(rules.input);
    this.#message = NOTHING;
    this.#sizeBytes = bytes;
    this.#waitFor(this.#holdFor(bytes));
    return false;
  }

  /** Reads on once the memory is there. */
  #waitFor(memory: Promise<void>): void {
    this.#waitsForMemory = true;
    memory.then(
      () => {
        this.#waitsForMemory = false;
        const early = this.#early;
        this.#early = NOTHING;
        this.#take(early);
        if (this.#hasEnded && !this.#waitsForMemory) this.#endMessages();
        else this.#goOn();
      },
      (error) => this.#fail(error),
    );
  }

  /** For the header until the end of the call, for another message until it is decoded. */
  async #holdFor(bytes: number): Promise<void> {
    const { caller, memory, signal } = this.#options.sender;
    const options = { signal, refusal: this.#options.rules.refusal };
    if (this.#hasHeader) this.#passing = await memory.passing.hold(caller, costOfBytes(bytes), options);
    else this.#kept = await memory.kept.hold(caller, costOfBytes(bytes), options);
  }

  #takeMessageBytes(bytes: Buffer): void {
    this.#counter!.push(bytes);
    // In one buffer: a view of each piece would take more than its bytes.
    if (this.#message.length === 0) this.#message = Buffer.allocUnsafe(this.#sizeBytes);
    this.#messageBytes += bytes.copy(this.#message, this.#messageBytes);
  }

  /** Returns false: what follows waits until there is memory for what the fields of the message become. */
  #endMessage(): boolean {
    const message = this.#message;
    this.#message = NOTHING;
    this.#messageBytes = 0;
    const cost = costOfFields(this.#counter!.fields);
    if (cost > 0) {
      this.#waitFor(this.#holdDecoded(cost).then(() => this.#takeMessage(message)));
      return false;
    }
    this.#takeMessage(message);
    return true;
  }

  async #holdDecoded(cost: number): Promise<void> {
    const { caller, memory, signal } = this.#options.sender;
    const { refusal } = this.#options.rules;
    this.#decoded.push(await memory.decoded.hold(caller, cost, { signal, refusal }));
  }

  #takeMessage(bytes: Buffer): void {
    const { payload } = decoded(bytes);
    if (this.#hasHeader) this.#takeLater(payload);
    else this.#takeHeader(headerOf(payload), bytes.length);
    this.#passing?.release();
  }

  #takeHeader(header: SaveHeader, bytes: number): void {
    const { limits } = this.#options;
    // As text.
    this.#kept?.shrink(costOfBytes(bytes) - bytes);
    clearTimeout(this.#firstMessage);
    if (!this.#hasEnded) this.#watch(limits.chunkGapMs);
    this.#hasHeader = true;
    this.#header.resolve(header);
  }

  #takeLater(payload: SaveRequest['payload']): void {
    if (this.#hasTrailer) throw outOfOrder('nothing follows a trailer');
    if (payload.case === 'chunk') {
      // One that has something else in its message.
      checkChunk(payload.value.length, this.#options.limits.maxChunkBytes);
      if (payload.value.length > 0) this.#batches.push(Buffer.from(payload.value));
      else this.#countEmpty();
      return;
    }
    this.declared = trailerOf(payload);
    this.#hasTrailer = true;
  }

  #countEmpty(): void {
    this.#empty += 1;
    checkEmptyChunks(this.#empty);
  }
}

function decoded(bytes: Buffer): SaveRequest {
  try {
    return fromBinary(SaveRequestSchema, bytes, { readUnknownFields: false });
  } catch (error) {
    throw undecodable(error);
  }
}
