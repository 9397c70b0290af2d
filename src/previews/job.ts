/** The making of previews of one image: who waits for it, and what may go on beside it. */
import { type PreviewSource, type PreviewWidth, previewName } from '../storage/domain/preview.ts';

const MEGA = 1_000_000;
const MIB = 1024 * 1024;
/** What is decoded beside others takes little memory, whatever its format. */
const LIGHT_PIXELS = 5 * MEGA;
const LIGHT_AVIF_PIXELS = 2 * MEGA;
const LIGHT_BYTES = 16 * MIB;

/** Of images with the same bytes; the others have their ThumbHash after the next start. */
const MAX_ALIKE = 1_000;

/** What was made; undefined: nothing can be made, or nobody waits for it any more. */
export type Made = Uint8Array | undefined;

export interface Wish {
  source: PreviewSource;
  /** The first one is what is waited for; empty: the ThumbHash alone. */
  widths: readonly PreviewWidth[];
  wantsHash: boolean;
}

export class Job {
  readonly name: string;
  readonly wish: Wish;
  /** Nobody has asked for it. */
  readonly isBehind: boolean;
  /** It goes on when all who have asked for it leave. */
  isToEnd: boolean;
  /** How many wait for it. */
  waiting = 0;
  /** It was at work when a decoder ended, and is tried again without others. */
  isSuspect = false;
  /** Whose ThumbHash it makes. */
  readonly hashed: PreviewSource[];
  readonly made: Promise<Made>;
  readonly settle: (made: Made | Promise<Made>) => void;
  readonly #stop = new AbortController();

  constructor(wish: Wish, isBehind = false) {
    const { source, widths, wantsHash } = wish;
    this.name = widths[0] === undefined ? `${source.sha256}-hash` : previewName(source.sha256, widths[0]);
    this.wish = wish;
    this.isBehind = isBehind;
    this.isToEnd = isBehind;
    this.hashed = wantsHash ? [source] : [];
    const { promise, resolve } = Promise.withResolvers<Made>();
    this.made = promise;
    this.settle = resolve;
    // Whoever waits is told.
    promise.catch(() => undefined);
  }

  /** Whether it may be decoded beside others. */
  get isLight(): boolean {
    const { width, height, size, contentType } = this.wish.source;
    const most = contentType === 'image/avif' ? LIGHT_AVIF_PIXELS : LIGHT_PIXELS;
    return !this.isSuspect && width * height <= most && size <= LIGHT_BYTES;
  }

  /** Does what is wished for another image with the same bytes, too. */
  join({ source, wantsHash }: Wish): void {
    if (!wantsHash || !this.wish.wantsHash || this.hashed.length >= MAX_ALIKE) return;
    const { provider, filename } = source;
    if (this.hashed.some((other) => other.filename === filename && other.provider === provider)) return;
    this.hashed.push(source);
  }

  /** Fires when its bytes need not be read any more. */
  get signal(): AbortSignal {
    return this.#stop.signal;
  }

  stop(): void {
    this.#stop.abort();
  }
}
