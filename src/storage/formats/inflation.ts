/** Decompresses zlib data in the thread pool, and keeps nothing of it but its length. */
import { addAbortSignal } from 'node:stream';
import { createInflate, type Inflate } from 'node:zlib';
import { throwIfCancelled } from '../domain/errors.ts';
import { corrupt } from './walk.ts';

/** What one step in the pool gives at most. */
const STEP_BYTES = 256 * 1024;
const LEAST_STEP_BYTES = 64;

/** One stream of zlib data that must decompress to a known length. */
export class Inflation {
  readonly #inflate: Inflate;
  readonly #expectedBytes: number;
  readonly #signal: AbortSignal | undefined;
  #bytes = 0;
  #failure: Error | undefined;
  readonly #closed: Promise<void>;
  #pieces: Buffer[] = [];

  /** Ends as soon as the signal fires. */
  constructor(expectedBytes: number, signal?: AbortSignal) {
    this.#expectedBytes = expectedBytes;
    this.#signal = signal;
    const chunkSize = Math.min(STEP_BYTES, Math.max(LEAST_STEP_BYTES, expectedBytes + 1));
    this.#inflate = createInflate({ chunkSize });
    if (signal !== undefined) addAbortSignal(signal, this.#inflate);
    this.#inflate.on('data', ({ length }: Buffer) => {
      this.#bytes += length;
      // The rest may be a bomb.
      if (this.#bytes > expectedBytes) this.#inflate.destroy();
    });
    this.#inflate.on('error', (error) => {
      this.#failure = corrupt(`the pixels of the PNG do not decompress (${error.message})`);
    });
    this.#closed = new Promise((resolve) => this.#inflate.on('close', resolve));
  }

  /** Takes a copy of the next bytes. Returns whether they are the first since `flush`. */
  add(bytes: Buffer): boolean {
    return this.#pieces.push(Buffer.from(bytes)) === 1;
  }

  /** Resolves when all that was added is decompressed. Rejects with IMAGE_TRUNCATED as soon as it shows, or CANCELLED. */
  async flush(): Promise<void> {
    const bytes = Buffer.concat(this.#pieces.splice(0));
    // Without an answer, the stream has ended: before these bytes, or by a failure.
    const written = new Promise<void>((resolve) => this.#inflate.write(bytes, () => resolve()));
    await Promise.race([written, this.#closed]);
    this.#check();
  }

  /** Resolves when the stream is whole, and as long as expected. Rejects with IMAGE_TRUNCATED. */
  async end(): Promise<void> {
    this.#inflate.end();
    await this.#closed;
    this.#check();
    if (this.#bytes === this.#expectedBytes) return;
    throw corrupt(`the pixels of the PNG decompress to ${this.#bytes} bytes instead of ${this.#expectedBytes}`);
  }

  #check(): void {
    throwIfCancelled(this.#signal);
    if (this.#failure !== undefined) throw this.#failure;
    if (this.#bytes <= this.#expectedBytes) return;
    throw corrupt(
      `the pixels of the PNG decompress to more than the ${this.#expectedBytes} bytes that its header says`,
    );
  }
}
