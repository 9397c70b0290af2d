/** Checks that the pixels of a PNG, and the frames of an animated one, decompress to the length that their headers say. */
import { StorageError } from '../domain/errors.ts';
import { Inflation } from './inflation.ts';
import type { PngHeader } from './png-header.ts';
import { corrupt } from './walk.ts';
import type { Watch } from './watch.ts';

/** The most that the pixels of one image may decompress to, all frames together. */
const MAX_GIB = 4;
const MAX_INFLATED_BYTES = MAX_GIB * 1024 ** 3;
/** Each frame costs a decompressor of its own. */
const MAX_FRAMES = 65_536;
const FRAME_CONTROL_BYTES = 26;
const SEQUENCE_BYTES = 4;
/** Column and row of the first pixel of each pass, and the distances to the next ones (Adam7). */
const PASSES = [
  [0, 0, 8, 8],
  [4, 0, 8, 8],
  [0, 4, 4, 8],
  [2, 0, 4, 4],
  [0, 2, 2, 4],
  [1, 0, 2, 2],
  [0, 1, 1, 2],
] as const;

/** The pixels of one file; its chunks pass in order. */
export class PngPixels {
  readonly #header: PngHeader;
  readonly #watch: Watch;
  readonly #control = Buffer.alloc(FRAME_CONTROL_BYTES);
  readonly #imageBytes: number;
  #totalBytes = 0;
  #frames = 0;
  #hasImage = false;
  #current: Inflation | undefined;
  /** How much of the body of this chunk has passed. */
  #passedBytes = 0;
  /** The streams one after the other. */
  #work: Promise<void> = Promise.resolve();

  /** Throws IMAGE_TOO_LARGE where the pixels would take more than 4 GiB. */
  constructor(header: PngHeader, watch: Watch) {
    this.#header = header;
    this.#watch = watch;
    this.#imageBytes = this.#counted(header.width, header.height);
  }

  /** Takes a piece of the body of a chunk. */
  take(type: string, bytes: Buffer, from: number, to: number): void {
    const passedBytes = this.#passedBytes;
    this.#passedBytes += to - from;
    if (type === 'fcTL') bytes.copy(this.#control, Math.min(passedBytes, FRAME_CONTROL_BYTES), from, to);
    if (type === 'fdAT') {
      if (this.#frames === 0) throw corrupt('a frame (fdAT) without its header (fcTL)');
      this.#add(bytes, from + Math.max(0, SEQUENCE_BYTES - passedBytes), to);
    }
    if (type === 'IDAT') {
      if (!this.#hasImage) this.#current = new Inflation(this.#imageBytes, this.#watch.signal);
      this.#hasImage = true;
      this.#add(bytes, from, to);
    }
  }

  /** The chunk has passed. */
  passed(type: string): void {
    // In front of the image, it says that the image is a frame.
    if (type === 'fcTL' && this.#hasImage) this.#beginFrame();
    if (type === 'IEND') this.#end();
    this.#passedBytes = 0;
  }

  #beginFrame(): void {
    if (this.#passedBytes !== FRAME_CONTROL_BYTES) throw corrupt(`a frame (fcTL) of ${this.#passedBytes} bytes`);
    this.#end();
    this.#frames += 1;
    if (this.#frames > MAX_FRAMES) throw tooLarge(`more than ${MAX_FRAMES} frames`);
    const frameBytes = this.#counted(this.#control.readUInt32BE(4), this.#control.readUInt32BE(8));
    this.#current = new Inflation(frameBytes, this.#watch.signal);
  }

  #add(bytes: Buffer, from: number, to: number): void {
    const current = this.#current;
    // One step for all that has arrived.
    if (from < to && current?.add(bytes.subarray(from, to))) this.#then(() => current.flush());
  }

  #end(): void {
    const current = this.#current;
    this.#current = undefined;
    if (current !== undefined) this.#then(() => current.end());
  }

  #then(step: () => Promise<void>): void {
    this.#work = this.#work.then(step);
    this.#watch.wait(this.#work);
  }

  /** Returns the length of the decompressed pixels of that size. */
  #counted(width: number, height: number): number {
    const lengthBytes = lengthOf(this.#header, width, height);
    this.#totalBytes += lengthBytes;
    if (this.#totalBytes > MAX_INFLATED_BYTES) throw tooLarge(`pixels of more than ${MAX_GIB} GiB`);
    return lengthBytes;
  }
}

function lengthOf({ bitsPerPixel, isInterlaced }: PngHeader, width: number, height: number): number {
  // Each row begins with the number of its filter.
  const bytesOf = (columns: number, rows: number) =>
    columns === 0 ? 0 : rows * (1 + Math.ceil((columns * bitsPerPixel) / 8));
  if (!isInterlaced) return bytesOf(width, height);
  const steps = (size: number, first: number, distance: number) => Math.max(0, Math.ceil((size - first) / distance));
  return PASSES.reduce((sum, [x, y, dx, dy]) => sum + bytesOf(steps(width, x, dx), steps(height, y, dy)), 0);
}

function tooLarge(what: string): StorageError {
  return new StorageError('IMAGE_TOO_LARGE', `a PNG of ${what}, which limits.imageCheck (pixels) does not decompress`);
}
