/** What is known of previews: how large those in the grid are, and which stand for one that there is not. */
import type { PreviewWidth, Row } from '../api/images.ts';

/** Of the grey surface that is sent in place of a preview that cannot be made. */
const STAND_IN_PX = 32;

/** They are there when an image is opened. */
export const inGrid: { width: PreviewWidth } = { width: 640 };

/** Whether a picture that has loaded only stands for one. */
export function isStandIn({ naturalWidth, naturalHeight }: HTMLImageElement, row: Row): boolean {
  return naturalWidth === STAND_IN_PX && naturalHeight === STAND_IN_PX && row.width > STAND_IN_PX;
}
