/** Reads the header of a PNG (IHDR), and refuses values that no decoder takes. */
import { corrupt } from './walk.ts';

export interface PngHeader {
  /** Pixels. */
  width: number;
  /** Pixels. */
  height: number;
  colorType: number;
  bitsPerPixel: number;
  isInterlaced: boolean;
}

/** The colour type whose pixels are indices into PLTE. */
export const PALETTE = 3;
const MAX_SIDE = 2 ** 31 - 1;

/** The samples of a pixel, and the bits that each may have, by colour type (PNG, third edition, table 12). */
const COLOR_TYPES: Readonly<Record<number, { samples: number; bitDepths: readonly number[] }>> = {
  0: { samples: 1, bitDepths: [1, 2, 4, 8, 16] },
  2: { samples: 3, bitDepths: [8, 16] },
  [PALETTE]: { samples: 1, bitDepths: [1, 2, 4, 8] },
  4: { samples: 2, bitDepths: [8, 16] },
  6: { samples: 4, bitDepths: [8, 16] },
};

/** Takes the body of IHDR, 13 bytes. Throws IMAGE_TRUNCATED with the value at fault. */
export function readPngHeader(ihdr: Buffer): PngHeader {
  const [width, height] = [ihdr.readUInt32BE(0), ihdr.readUInt32BE(4)];
  const [bitDepth, colorType, compression, filter, interlace] = [...ihdr.subarray(8, 13)] as Five;
  const known = COLOR_TYPES[colorType];
  if (Math.max(width, height) > MAX_SIDE) throw refused(`${width} × ${height} pixels`);
  if (known === undefined) throw refused(`colour type ${colorType}`);
  if (!known.bitDepths.includes(bitDepth)) throw refused(`${bitDepth} bits for colour type ${colorType}`);
  if (compression !== 0) throw refused(`compression method ${compression}`);
  if (filter !== 0) throw refused(`filter method ${filter}`);
  if (interlace > 1) throw refused(`interlace method ${interlace}`);
  return { width, height, colorType, bitsPerPixel: known.samples * bitDepth, isInterlaced: interlace === 1 };
}

type Five = [number, number, number, number, number];

function refused(problem: string): Error {
  return corrupt(`the header of the PNG (IHDR) says ${problem}`);
}
