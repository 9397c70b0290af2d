/** Makes previews: each once, the newest request first, and behind all requests those of images that were just saved. */
import { availableParallelism } from 'node:os';
import type { Logger } from '../storage/domain/logger.ts';
import type { PreviewMeter } from '../storage/domain/meter.ts';
import { PREVIEW_WIDTHS, type PreviewSource, type PreviewWidth } from '../storage/domain/preview.ts';
import type { PreviewCache } from './cache.ts';
import type { Decoder } from './decoder.ts';
import { DecodeError, InterruptedError, NoDecoderError, SlowDecodeError, UnreadImageError } from './decoder-process.ts';
import { Job, type Made, type Wish } from './job.ts';
import { JobQueue } from './job-queue.ts';
import type { Decoded } from './messages.ts';

/** Larger images are decoded only where the decoder can read their file. */
const MAX_SENT_BYTES = 64 * 1024 * 1024;
/** Images that could not be decoded, which are not tried again, or not so soon where it took too long. */
const MAX_FAILED = 10_000;
const TRY_AGAIN_MS = 10 * 60_000;
const MAX_AT_ONCE = 4;
/** How long what nobody waits for gives way to saves that go on and on. */
const LONGEST_WAIT_MS = 10_000;

/** What the previewer uses of a Decoder. */
export type ImageDecoder = Pick<Decoder, 'decode' | 'isAble' | 'stop'>;

export interface PreviewerOptions {
  decoder: ImageDecoder;
  log: Logger;
  meter: PreviewMeter;
  /** Returns the cache for images of this provider. */
  cacheOf(provider: string): PreviewCache;
  /** Reads the bytes of an image. */
  read(source: PreviewSource): Promise<AsyncIterable<Uint8Array>>;
  /** Returns whether the image is there still. */
  exists(source: PreviewSource): Promise<boolean>;
  /** Called with the ThumbHash of an image; undefined: it has none, since it cannot be decoded. */
  onHash(source: PreviewSource, thumbHash: Uint8Array | undefined): void;
  /** How many small images are decoded side by side; default: half as many as there are processors, at most 4. */
  atOnce?: number;
}

export class Previewer {
  readonly #options: PreviewerOptions;
  readonly #decoder: ImageDecoder;
  readonly #queue = new JobQueue();
  readonly #atWork = new Set<Job>();
  /** By sha256, when to try again. */
  readonly #failed = new Map<string, number>();
  readonly #atOnce: number;
  #saves = 0;
  #lastBehind = performance.now();
  #later: NodeJS.Timeout | undefined;
  #isClosed = false;

  constructor(options: PreviewerOptions) {
    this.#options = options;
    this.#decoder = options.decoder;
    this.#atOnce = options.atOnce ?? Math.max(1, Math.min(MAX_AT_ONCE, availableParallelism() >> 1));
  }

  /** How many images are to be decoded. */
  get waiting(): number {
    return this.#queue.size + this.#atWork.size;
  }

  /** False: no preview can be made on this machine. */
  get isAble(): boolean {
    return this.#decoder.isAble;
  }

  /** Returns a preview that was made before. */
  async find({ provider, sha256 }: PreviewSource, width: PreviewWidth): Promise<Uint8Array | undefined> {
    const { meter, cacheOf } = this.#options;
    const kept = await cacheOf(provider).find(sha256, width);
    if (kept !== undefined) meter.served('cached');
    return kept;
  }

  /** Returns undefined where none can be made, or nobody waits for it any more. Rejects as a read of the image. */
  async make(source: PreviewSource, width: PreviewWidth, signal: AbortSignal): Promise<Made> {
    const wish = { source, widths: [width], wantsHash: source.thumbHash === undefined };
    const canBe = !signal.aborted && this.#canMake(source);
    const made = canBe ? await this.#want(wish, signal) : undefined;
    this.#options.meter.served(made === undefined ? 'none' : 'made');
    return made;
  }

  /** Makes previews that nobody waits for, behind all others. Resolves once they are made, or are not to be; never rejects. */
  async makeBehind(wish: Wish): Promise<void> {
    const job = new Job(wish, true);
    if (!this.#canMake(wish.source)) return;
    const same = this.#queue.find(job.name) ?? this.#running(job.name);
    if (same !== undefined) {
      same.join(wish);
      same.isToEnd = true;
      return;
    }
    this.#queue.addBehind(job);
    this.#pump();
    await job.made.catch(() => undefined);
  }

  /** A save begins: what nobody waits for waits for it. */
  saveBegan(): void {
    this.#saves += 1;
  }

  saveEnded(): void {
    this.#saves -= 1;
    if (this.#saves === 0) this.#pump();
  }

  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#later);
    this.#queue.clear();
    for (const job of this.#atWork) job.stop();
    this.#decoder.stop();
  }

  #canMake({ sha256, size, path }: PreviewSource): boolean {
    const againAt = this.#failed.get(sha256) ?? 0;
    if (this.#isClosed || !this.isAble || performance.now() < againAt) return false;
    return path !== undefined || size <= MAX_SENT_BYTES;
  }

  async #want(wish: Wish, signal: AbortSignal): Promise<Made> {
    const job = this.#jobOf(wish);
    job.waiting += 1;
    const leave = () => this.#leave(job);
    signal.addEventListener('abort', leave, { once: true });
    this.#pump();
    return job.made.finally(() => signal.removeEventListener('abort', leave));
  }

  #jobOf(wish: Wish): Job {
    const fresh = new Job(wish);
    const running = this.#running(fresh.name);
    const job = running ?? this.#queue.find(fresh.name) ?? fresh;
    job.join(wish);
    if (running === undefined) this.#queue.want(job);
    return job;
  }

  #running(name: string): Job | undefined {
    return [...this.#atWork].find((job) => job.name === name && !job.signal.aborted);
  }

  #leave(job: Job): void {
    job.waiting -= 1;
    if (job.waiting > 0 || job.isToEnd) return;
    job.stop();
    if (this.#queue.find(job.name) !== job) return;
    this.#queue.remove(job);
    job.settle(undefined);
  }

  /** Begins what may go on now. */
  #pump(): void {
    for (;;) {
      const job = this.#isClosed ? undefined : this.#queue.next(this.#isQuiet());
      if (job === undefined) break;
      const others = [...this.#atWork];
      const isAlone = !job.isLight || others.some((other) => !other.isLight);
      if (others.length >= (isAlone ? 1 : this.#atOnce)) return;
      this.#begin(job);
    }
    this.#pumpLater();
  }

  /** Of those that nobody waits for, one at a time. */
  #isQuiet(): boolean {
    if ([...this.#atWork].some(({ waiting }) => waiting === 0)) return false;
    return this.#saves === 0 || performance.now() - this.#lastBehind > LONGEST_WAIT_MS;
  }

  #pumpLater(): void {
    if (this.#isClosed || this.#queue.behind === 0 || this.#later !== undefined) return;
    this.#later = setTimeout(() => {
      this.#later = undefined;
      this.#pump();
    }, LONGEST_WAIT_MS).unref();
  }

  #begin(job: Job): void {
    if (job.waiting === 0) this.#lastBehind = performance.now();
    this.#queue.remove(job);
    this.#atWork.add(job);
    const made = this.#make(job);
    const end = () => {
      this.#atWork.delete(job);
      this.#pump();
    };
    made.then(
      (result) => {
        end();
        if (result !== 'again') job.settle(result);
      },
      (error) => {
        end();
        job.settle(Promise.reject(error));
      },
    );
  }

  /** Returns `again` where it was put back. */
  async #make(job: Job): Promise<Made | 'again'> {
    const { source, widths } = job.wish;
    const { cacheOf, onHash, meter } = this.#options;
    const began = performance.now();
    try {
      const { previews, thumbHash } = (await this.#decodeKept(job)) ?? (await this.#decode(job));
      meter.decoded(performance.now() - began);
      const cache = cacheOf(source.provider);
      for (const { width, bytes } of previews) await cache.keep(source.sha256, width, bytes);
      // Whoever purged it meanwhile has removed its previews before.
      if (!(await this.#options.exists(source))) await cache.remove(source.sha256);
      // Some may have joined until now.
      for (const each of job.hashed) onHash(each, thumbHash);
      return previews.find(({ width }) => width === widths[0])?.bytes;
    } catch (error) {
      if (error instanceof NoDecoderError || this.#isClosed) return undefined;
      if (job.signal.aborted) return undefined;
      if (error instanceof InterruptedError) return this.#tryAlone(job);
      // What cannot be read is told as by the image itself.
      if (!(error instanceof DecodeError)) throw error;
      meter.failed();
      this.#noteFailed(source, error);
      if (!(error instanceof SlowDecodeError)) for (const each of job.hashed) onHash(each, undefined);
      return undefined;
    }
  }

  /** Another image has ended the decoder, or this one has. */
  #tryAlone(job: Job): 'again' | undefined {
    if (job.isSuspect) return undefined;
    job.isSuspect = true;
    if (job.waiting > 0) this.#queue.want(job);
    else this.#queue.addBehind(job);
    return 'again';
  }

  /** Where a preview is there and only the ThumbHash is not, as after a rebuild of the catalog. */
  async #decodeKept({ isBehind, wish: { source, wantsHash } }: Job): Promise<Decoded | undefined> {
    if (!isBehind || !wantsHash) return undefined;
    const kept = await this.#options.cacheOf(source.provider).find(source.sha256, PREVIEW_WIDTHS[0]);
    if (kept === undefined) return undefined;
    return this.#decoder.decode({ widths: [], wantsHash, sizeBytes: kept.length, sha256: '' }, only(kept));
  }

  async #decode(job: Job): Promise<Decoded> {
    const { source, widths, wantsHash } = job.wish;
    const { sha256, size: sizeBytes, path } = source;
    const order = { widths, wantsHash, sha256, sizeBytes };
    try {
      if (path !== undefined) return await this.#decoder.decode({ ...order, path }, nothing());
    } catch (error) {
      if (!(error instanceof UnreadImageError) || sizeBytes > MAX_SENT_BYTES) throw error;
    }
    return this.#decoder.decode(order, untilAborted(await this.#options.read(source), job.signal));
  }

  #noteFailed({ sha256, provider, filename }: PreviewSource, error: DecodeError): void {
    const { message: problem } = error;
    const againAt = error instanceof SlowDecodeError ? performance.now() + TRY_AGAIN_MS : Number.POSITIVE_INFINITY;
    if (this.#failed.size >= MAX_FAILED) this.#failed.clear();
    this.#failed.set(sha256, againAt);
    this.#options.log.info({ provider, filename, problem }, 'no preview could be made');
  }
}

async function* only(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}

async function* nothing(): AsyncGenerator<Uint8Array> {}

/** Throws when the signal fires: nobody waits for what would be made of the bytes. */
async function* untilAborted(bytes: AsyncIterable<Uint8Array>, signal: AbortSignal): AsyncGenerator<Uint8Array> {
  for await (const part of bytes) {
    signal.throwIfAborted();
    yield part;
  }
}
