/** Decodes images in a process beside the daemon: started at the first image, ended at a deadline, started again. */
import type { Logger } from '../storage/domain/logger.ts';
import { DecoderProcess, NoDecoderError } from './decoder-process.ts';
import type { Decoded, DecodeOrder } from './messages.ts';

/** How long one image may take, once its bytes are there. */
const DEADLINE_MS = 10_000;
/** The process ends when it had nothing to do for so long. */
const IDLE_MS = 30_000;
/** What it keeps of large images beyond this is given back by its end. */
const MAX_IDLE_BYTES = 200 * 1024 * 1024;

export interface DecoderOptions {
  log: Logger;
  /** Default: 10 s. */
  deadlineMs?: number;
  /** Called when a process is started. */
  onStart?: () => void;
}

export class Decoder {
  readonly #options: DecoderOptions;
  #process: DecoderProcess | undefined;
  #idle: NodeJS.Timeout | undefined;
  #unable: NoDecoderError | undefined;

  constructor(options: DecoderOptions) {
    this.#options = options;
  }

  /** False: no image can be decoded here, which is known from the first attempt on. */
  get isAble(): boolean {
    return this.#unable === undefined;
  }

  get pid(): number | undefined {
    return this.#process?.pid;
  }

  /**
   * Rejects with a DecodeError, an UnreadImageError, a NoDecoderError, an InterruptedError, or as the bytes do, which are
   * those of an order without a path.
   */
  async decode(order: DecodeOrder, bytes: AsyncIterable<Uint8Array>): Promise<Decoded> {
    if (this.#unable !== undefined) throw this.#unable;
    clearTimeout(this.#idle);
    const running = this.#running();
    try {
      await running.ready;
      return await running.decode(order, bytes, this.#options.deadlineMs ?? DEADLINE_MS);
    } catch (error) {
      if (error instanceof NoDecoderError) this.#giveUp(error);
      throw error;
    } finally {
      this.#rest(running);
    }
  }

  /** Ends the process, and what it is at. */
  stop(): void {
    clearTimeout(this.#idle);
    this.#process?.kill();
    this.#process = undefined;
  }

  #running(): DecoderProcess {
    if (this.#process !== undefined && !this.#process.isKilled) return this.#process;
    const started = new DecoderProcess(() => {
      if (this.#process === started) this.#process = undefined;
    });
    this.#options.onStart?.();
    this.#process = started;
    return started;
  }

  #rest(process: DecoderProcess): void {
    if (this.#process !== process || !process.isIdle) return;
    if (process.residentBytes > MAX_IDLE_BYTES) this.stop();
    else this.#idle = setTimeout(() => this.stop(), IDLE_MS).unref();
  }

  #giveUp(error: NoDecoderError): void {
    if (this.#unable !== undefined) return;
    this.#unable = error;
    const message = 'previews need the package sharp: small originals are served in their place';
    this.#options.log.info({ problem: error.message }, message);
  }
}
