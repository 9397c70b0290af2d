/** Gives previews of images: from the cache, or made now; the newest request first, each preview once. */
import type { Logger } from '../storage/domain/logger.ts';
import { type PreviewSource, type PreviewWidth, previewName } from '../storage/domain/preview.ts';
import type { PreviewCache } from './cache.ts';
import { DecodeError, Decoder, NoDecoderError } from './decoder.ts';

/** What is held in memory of one image while it is decoded. */
const MAX_SOURCE_BYTES = 64 * 1024 * 1024;
/** Images that could not be decoded, which are not tried again. */
const MAX_FAILED = 10_000;

export interface Wanted {
  source: PreviewSource;
  width: PreviewWidth;
  /** Fires when nobody waits for it any more. */
  signal: AbortSignal;
}

export interface PreviewerOptions {
  log: Logger;
  /** Returns the cache for images of this provider. */
  cacheOf(provider: string): PreviewCache;
  /** Reads the bytes of an image. */
  read(source: PreviewSource): Promise<AsyncIterable<Uint8Array>>;
}

interface Job {
  name: string;
  source: PreviewSource;
  width: PreviewWidth;
  /** How many wait for it. */
  waiting: number;
  made: Promise<Uint8Array | undefined>;
  resolve(made: Uint8Array | undefined | Promise<Uint8Array | undefined>): void;
}

export class Previewer {
  readonly #options: PreviewerOptions;
  readonly #decoder: Decoder;
  /** By name; of those that wait, the one last that was asked for last. */
  readonly #waiting = new Map<string, Job>();
  readonly #failed = new Set<string>();
  #current: Job | undefined;

  constructor(options: PreviewerOptions) {
    this.#options = options;
    this.#decoder = new Decoder(options.log);
  }

  /** Returns undefined where none can be made, or nobody waits for it any more. Rejects as a read of the image. */
  async preview({ source, width, signal }: Wanted): Promise<Uint8Array | undefined> {
    const { sha256, provider, size } = source;
    const kept = await this.#options.cacheOf(provider).find(sha256, width);
    if (kept !== undefined) return kept;
    if (signal.aborted || !this.#decoder.isAble || this.#failed.has(sha256) || size > MAX_SOURCE_BYTES)
      return undefined;
    return this.#ask(source, width, signal);
  }

  close(): void {
    for (const job of this.#waiting.values()) job.resolve(undefined);
    this.#waiting.clear();
    this.#decoder.stop();
  }

  async #ask(source: PreviewSource, width: PreviewWidth, signal: AbortSignal): Promise<Uint8Array | undefined> {
    const job = this.#jobOf(source, width);
    job.waiting += 1;
    const leave = () => {
      job.waiting -= 1;
      if (job.waiting === 0 && this.#waiting.get(job.name) === job) {
        this.#waiting.delete(job.name);
        job.resolve(undefined);
      }
    };
    signal.addEventListener('abort', leave, { once: true });
    void this.#work();
    return job.made.finally(() => signal.removeEventListener('abort', leave));
  }

  #jobOf(source: PreviewSource, width: PreviewWidth): Job {
    const name = previewName(source.sha256, width);
    if (this.#current?.name === name) return this.#current;
    const { promise: made, resolve } = Promise.withResolvers<Uint8Array | undefined>();
    const job = this.#waiting.get(name) ?? { name, source, width, waiting: 0, made, resolve };
    // It is the newest again.
    this.#waiting.delete(name);
    this.#waiting.set(name, job);
    return job;
  }

  async #work(): Promise<void> {
    if (this.#current !== undefined) return;
    for (;;) {
      const job = [...this.#waiting.values()].at(-1);
      this.#current = job;
      if (job === undefined) return;
      this.#waiting.delete(job.name);
      const made = this.#make(job);
      // Whoever waits for it is told.
      job.resolve(made);
      await made.catch(() => undefined);
    }
  }

  async #make({ source, width }: Job): Promise<Uint8Array | undefined> {
    const { sha256, size: sizeBytes, provider, filename } = source;
    const { log, read, cacheOf } = this.#options;
    try {
      const { previews } = await this.#decoder.decode({ widths: [width], sizeBytes }, await read(source));
      for (const made of previews) await cacheOf(provider).keep(sha256, made.width, made.bytes);
      return previews[0]?.bytes;
    } catch (error) {
      if (error instanceof NoDecoderError) return undefined;
      // What cannot be read is told as by the image itself.
      if (!(error instanceof DecodeError)) throw error;
      if (this.#failed.size >= MAX_FAILED) this.#failed.clear();
      this.#failed.add(sha256);
      log.warn({ provider, filename, problem: error.message }, 'no preview could be made');
      return undefined;
    }
  }
}
