/** Turns pixels as the EXIF orientation of their image says. */

export interface RawPixels {
  data: Buffer;
  info: { width: number; height: number; channels: 1 | 2 | 3 | 4 };
}

/** Where the pixel comes from that belongs to column and row of the upright picture; see EXIF 2.3, section 4.6.4, tag 274. */
const SOURCES: Record<number, (x: number, y: number, right: number, bottom: number) => [x: number, y: number]> = {
  2: (x, y, right) => [right - x, y],
  3: (x, y, right, bottom) => [right - x, bottom - y],
  4: (x, y, _right, bottom) => [x, bottom - y],
  5: (x, y) => [y, x],
  6: (x, y, _right, bottom) => [y, bottom - x],
  7: (x, y, right, bottom) => [right - y, bottom - x],
  8: (x, y, right) => [right - y, x],
};

/** Orientations from here on change width and height. */
const FIRST_TURNED = 5;

export function upright(pixels: RawPixels, orientation = 1): RawPixels {
  const sourceOf = SOURCES[orientation];
  if (sourceOf === undefined) return pixels;
  const { width, height, channels } = pixels.info;
  const [columns, rows] = orientation < FIRST_TURNED ? [width, height] : [height, width];
  const data = Buffer.allocUnsafeSlow(pixels.data.length);
  let to = 0;
  for (let row = 0; row < rows; row += 1) {
    for (let column = 0; column < columns; column += 1) {
      const [x, y] = sourceOf(column, row, width - 1, height - 1);
      const from = (y * width + x) * channels;
      for (let channel = 0; channel < channels; channel += 1) data[to++] = pixels.data[from + channel]!;
    }
  }
  return { data, info: { width: columns, height: rows, channels } };
}
