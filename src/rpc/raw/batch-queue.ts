/** Collects the bytes of an upload and hands them on in batches, so that what is done for each batch is done seldom. */
import type { ByteBatch } from '../../storage/domain/requests.ts';

/** From here on a batch is full; smaller where many uploads share their memory, of which each has three batches. */
const MAX_BATCH_BYTES = 512 * 1024;
const MIN_BATCH_BYTES = 64 * 1024;
const BATCHES_BYTES = 8 * 1024 * 1024;
/** Parts of a batch, and messages that they came in: both cost more than their bytes. */
const BATCH_PARTS = 1_024;
const BATCH_MESSAGES = 4_096;
/** A slow client's bytes are handed on after this, as few as they are. */
const BATCH_MS = 100;
/** Shorter pieces are copied together: a view takes more than a hundred bytes, and keeps all the bytes that were read with it. */
const SMALL_BYTES = 4 * 1024;
const BLOCK_BYTES = 16 * 1024;
const NOTHING = Buffer.alloc(0);

/** Queues that still take bytes. */
let open = 0;

type Result = IteratorResult<ByteBatch, undefined>;

export class BatchQueue {
  /** Called when the batch was taken. */
  readonly #onTaken: () => void;
  #parts: Buffer[] = [];
  #bytes = 0;
  #messages = 0;
  /** Where small pieces are copied to; of it, those that are no part yet. */
  #block: Buffer = NOTHING;
  #blockFrom = 0;
  #blockTo = 0;
  #timer: NodeJS.Timeout | undefined;
  #isDue = false;
  #isOpen = true;
  #hasEnded = false;
  #failure: { error: unknown } | undefined;
  #reader: { resolve: (result: Result) => void; reject: (error: unknown) => void } | undefined;

  constructor(onTaken: () => void) {
    this.#onTaken = onTaken;
    open += 1;
  }

  get isFull(): boolean {
    const batchBytes = Math.max(MIN_BATCH_BYTES, Math.min(MAX_BATCH_BYTES, BATCHES_BYTES / open));
    return this.#bytes >= batchBytes || this.#parts.length >= BATCH_PARTS || this.#messages >= BATCH_MESSAGES;
  }

  /** Counts a message that the next bytes come in. */
  countMessage(): void {
    this.#messages += 1;
  }

  push(piece: Buffer): void {
    if (this.#bytes === 0) this.#timer = setTimeout(() => this.#due(), BATCH_MS);
    this.#bytes += piece.length;
    if (piece.length < SMALL_BYTES) this.#copy(piece);
    else {
      this.#closeBlock();
      this.#parts.push(piece);
    }
  }

  /** Hands a full batch to who waits for it. */
  deliver(): void {
    if (this.#reader === undefined) return;
    const { resolve, reject } = this.#reader;
    if (this.#failure !== undefined) reject(this.#failure.error);
    else if (this.isFull || ((this.#isDue || this.#hasEnded) && this.#bytes > 0))
      resolve({ done: false, value: this.#takeAll() });
    else if (this.#hasEnded) resolve({ done: true, value: undefined });
    else return;
    this.#reader = undefined;
  }

  /** Resolves with a batch; only once at a time. */
  next(): Promise<Result> {
    return new Promise((resolve, reject) => {
      this.#reader = { resolve, reject };
      this.deliver();
    });
  }

  /** No more bytes come. */
  end(): void {
    this.#hasEnded = true;
    this.deliver();
  }

  fail(error: unknown): void {
    this.#failure ??= { error };
    this.stop();
    this.deliver();
  }

  /** No more bytes are awaited. */
  stop(): void {
    clearTimeout(this.#timer);
    if (this.#isOpen) open -= 1;
    this.#isOpen = false;
  }

  #due(): void {
    this.#isDue = true;
    this.deliver();
  }

  #takeAll(): ByteBatch {
    clearTimeout(this.#timer);
    this.#closeBlock();
    const parts = this.#parts;
    this.#parts = [];
    this.#bytes = 0;
    this.#messages = 0;
    this.#isDue = false;
    this.#onTaken();
    return parts;
  }

  #copy(piece: Buffer): void {
    if (this.#blockTo + piece.length > this.#block.length) {
      this.#closeBlock();
      this.#block = Buffer.allocUnsafeSlow(BLOCK_BYTES);
      this.#blockFrom = 0;
      this.#blockTo = 0;
    }
    piece.copy(this.#block, this.#blockTo);
    this.#blockTo += piece.length;
  }

  #closeBlock(): void {
    if (this.#blockTo === this.#blockFrom) return;
    this.#parts.push(this.#block.subarray(this.#blockFrom, this.#blockTo));
    this.#blockFrom = this.#blockTo;
  }
}
