/** Whether the daemon makes previews, as far as the pictures tell that came. */
import { signal } from '@preact/signals';
import type { PreviewWidth, Row } from '../api/images.ts';

/** Of the grey surface that stands for a preview of a large image. */
const STAND_IN_PX = 32;
/** One may be of an image that cannot be decoded. */
const ENOUGH = 4;

export const lacksPreviews = signal(false);
/** The width of those in the grid: they are there when an image is opened. */
export const inGrid: { width: PreviewWidth } = { width: 640 };
let standIns = 0;
let hasSeenOne = false;

/** Whether a picture that has loaded only stands for one. */
export function isStandIn({ naturalWidth, naturalHeight }: HTMLImageElement, row: Row): boolean {
  return naturalWidth === STAND_IN_PX && naturalHeight === STAND_IN_PX && row.width > STAND_IN_PX;
}

/** Takes in a preview that has loaded. */
export function notePreview(image: HTMLImageElement, row: Row): void {
  if (isStandIn(image, row)) standIns += 1;
  // A small image is sent itself.
  else if (image.naturalWidth < row.width) hasSeenOne = true;
  lacksPreviews.value = !hasSeenOne && standIns >= ENOUGH;
}
