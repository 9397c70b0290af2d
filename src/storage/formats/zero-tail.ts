/** Refuses coded pixels that end in zeros: a file that was made at its full size, and never written to its end. */
import { corrupt } from './walk.ts';
import type { Tap } from './watch.ts';

/** Coders leave fewer, with the exceptions that they are asked for; both bounds must be exceeded. */
const FEW_ZEROS = 1024;
const FEW_OF_ALL = 0.1;

/** Returns whether pixels of so many bytes can end in more zeros than a coder leaves. */
export function mayBeUnwritten(lengthBytes: number): boolean {
  return lengthBytes > FEW_ZEROS;
}

/** Checks the pixels in a chunk or box. */
export class ZeroTail implements Tap {
  readonly #name: string;
  readonly #lengthBytes: number;
  readonly #isFlat: (zeros: number) => boolean;
  #zeros = 0;

  /** `isFlat` returns whether a coder may have written so many zeros at the end. */
  constructor(name: string, lengthBytes: number, isFlat: (zeros: number) => boolean = () => false) {
    this.#name = name;
    this.#lengthBytes = lengthBytes;
    this.#isFlat = isFlat;
  }

  take(bytes: Buffer, from: number, to: number): void {
    let at = to;
    while (at > from && bytes[at - 1] === 0) at -= 1;
    this.#zeros = at === from ? this.#zeros + to - from : to - at;
  }

  end(): void {
    const [zeros, lengthBytes] = [this.#zeros, this.#lengthBytes];
    if (zeros <= FEW_ZEROS || zeros <= lengthBytes * FEW_OF_ALL || this.#isFlat(zeros)) return;
    const all = lengthBytes === Infinity ? '' : ` of ${lengthBytes}`;
    throw corrupt(`the last ${zeros}${all} bytes of pixels (${this.#name}) are zeros`);
  }
}
