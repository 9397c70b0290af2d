/** Zoom and pan of a picture in its frame; several may be moved together. */
import { type Signal, signal } from '@preact/signals';

export interface Point {
  x: number;
  y: number;
}

export interface Size {
  width: number;
  height: number;
}

export interface Transform extends Point {
  /** 1: the picture fits its frame. `x` and `y` move its centre, in px, from that of the frame. */
  scale: number;
}

const FITTED: Transform = { scale: 1, x: 0, y: 0 };
/** Beyond the pixels of the picture. */
const LARGEST = 8;
/** For pictures that are smaller than their frame. */
const CLOSER = 2;

export class Zoom {
  readonly transform: Signal<Transform>;
  #frame: Size = { width: 0, height: 0 };
  #fitted: Size = { width: 0, height: 0 };
  #actual = 1;

  /** `together`: what moves one moves the other. */
  constructor(together?: Zoom) {
    this.transform = together?.transform ?? signal(FITTED);
  }

  /** `picture` has the pixels of the original. Keeps what is seen, as far as it still can be. */
  fit(frame: Size, picture: Size): void {
    const scale = Math.min(frame.width / picture.width, frame.height / picture.height, 1 / devicePixelRatio || 1);
    this.#frame = frame;
    this.#fitted = { width: picture.width * scale, height: picture.height * scale };
    this.#actual = 1 / (scale * devicePixelRatio);
    this.#set(this.transform.peek());
  }

  /** Of the picture where it fits its frame, in px. */
  get fitted(): Size {
    return this.#fitted;
  }

  get isFitted(): boolean {
    return this.transform.value.scale === 1;
  }

  /** The scale at which a pixel of the original is one of the screen. */
  get actual(): number {
    return this.#actual;
  }

  reset(): void {
    this.transform.value = FITTED;
  }

  /** What is under the point stays under it; points are from the centre of the frame. */
  zoomTo(asked: number, at: Point = { x: 0, y: 0 }): void {
    const { scale: before, x, y } = this.transform.peek();
    const scale = Math.min(Math.max(1, asked), Math.max(this.#actual, 1) * LARGEST);
    const ratio = scale / before;
    this.#set({ scale, x: at.x - (at.x - x) * ratio, y: at.y - (at.y - y) * ratio });
  }

  zoomBy(factor: number, at?: Point): void {
    this.zoomTo(this.transform.peek().scale * factor, at);
  }

  panBy(x: number, y: number): void {
    const before = this.transform.peek();
    this.#set({ ...before, x: before.x + x, y: before.y + y });
  }

  /** From the whole picture to its actual pixels, and back. */
  toggle(at?: Point): void {
    if (this.transform.peek().scale > 1) this.reset();
    else this.zoomTo(this.#actual > 1.01 ? this.#actual : CLOSER, at);
  }

  /** The picture never leaves its frame, and is in the middle where it is smaller. */
  #set({ scale, x, y }: Transform): void {
    const room = (picture: number, frame: number) => Math.max(0, (picture * scale - frame) / 2);
    const within = (value: number, most: number) => Math.min(Math.max(-most, value), most);
    this.transform.value = {
      scale,
      x: within(x, room(this.#fitted.width, this.#frame.width)),
      y: within(y, room(this.#fitted.height, this.#frame.height)),
    };
  }
}
