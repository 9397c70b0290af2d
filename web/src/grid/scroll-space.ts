/** Scrolls through more than browsers can: their elements end near 17.9 million px. */

const MAX_PX = 10_000_000;
/** A step of the wheel or a finger moves by its own length, a drag of the scroll bar by its share of the whole. */
const JUMP_SCREENS = 3;

/** Where the window stands in the content, given where the scroll bar stands. */
export class ScrollSpace {
  /** Of all rows. */
  contentPx = 0;
  viewportPx = 0;
  #barPx = 0;
  #topPx = 0;

  /** Of the element that is scrolled. */
  get elementPx(): number {
    return Math.min(this.contentPx, MAX_PX);
  }

  /** The top of the window in the content. */
  get topPx(): number {
    return this.#topPx;
  }

  /** What to take from a place in the content to draw it in the element. */
  get shiftPx(): number {
    return this.#topPx - this.#barPx;
  }

  scrolledTo(barPx: number): void {
    const isJump = Math.abs(barPx - this.#barPx) > this.viewportPx * JUMP_SCREENS;
    const isAtEnd = barPx <= 0 || barPx >= this.#barEnd;
    if (this.contentPx <= MAX_PX) this.#topPx = barPx;
    else if (isJump || isAtEnd) this.#topPx = (barPx / Math.max(1, this.#barEnd)) * this.#end;
    else this.#topPx = clamp(this.#topPx + barPx - this.#barPx, this.#end);
    this.#barPx = barPx;
  }

  /** Moves the window; returns where the scroll bar belongs. */
  moveTo(topPx: number): number {
    this.#topPx = clamp(topPx, this.#end);
    const isScaled = this.contentPx > MAX_PX;
    this.#barPx = isScaled ? (this.#topPx / Math.max(1, this.#end)) * this.#barEnd : this.#topPx;
    return this.#barPx;
  }

  get #end(): number {
    return Math.max(0, this.contentPx - this.viewportPx);
  }

  get #barEnd(): number {
    return Math.max(0, this.elementPx - this.viewportPx);
  }
}

function clamp(px: number, endPx: number): number {
  return Math.min(Math.max(0, px), endPx);
}
