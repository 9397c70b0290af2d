/** Images with EXIF and XMP as generators leave them, written by a real encoder. */
import sharp from 'sharp';
import { jpegOf, jpegSegment, uint16, uint32 } from './images.ts';

export interface ExifOptions {
  /** IFD0: Make. */
  make?: string;
  /** IFD0: Model. */
  model?: string;
  /** Exif IFD: UserComment, its code included. */
  comment?: Buffer;
  /** The type of the comment: 1 BYTE, 2 ASCII, 7 UNDEFINED, which is the default. */
  commentType?: number;
  /** Whether the comment is in IFD0. */
  isOuter?: boolean;
  /** Exif IFD: DateTimeOriginal. */
  original?: string;
}

interface Tag {
  id: number;
  type: number;
  value: Buffer;
}

const ASCII = 2;
const LONG = 4;
const UNDEFINED = 7;
const HEADER_BYTES = 8;

/** Big-endian TIFF with IFD0 and an Exif IFD. */
export function exifOf({ make, model, comment, commentType = UNDEFINED, isOuter, original }: ExifOptions): Buffer {
  const text = (id: number, value: string | undefined): Tag[] =>
    value === undefined ? [] : [{ id, type: ASCII, value: Buffer.from(`${value}\0`) }];
  const comments = comment ? [{ id: 0x9286, type: commentType, value: comment }] : [];
  const inner: Tag[] = [...text(0x9003, original), ...(isOuter ? [] : comments)];
  const outer = (exifAt: number): Tag[] => [
    ...text(0x010f, make),
    ...text(0x0110, model),
    { id: 0x8769, type: LONG, value: uint32(exifAt) },
    ...(isOuter ? comments : []),
  ];
  const exifAt = HEADER_BYTES + directoryOf(outer(0), HEADER_BYTES).length;
  const header = Buffer.from('MM\0\x2a\0\0\0\x08', 'latin1');
  return Buffer.concat([header, directoryOf(outer(exifAt), HEADER_BYTES), directoryOf(inner, exifAt)]);
}

/** The entries of a directory, and behind them the values that do not fit into one. */
function directoryOf(tags: Tag[], at: number): Buffer {
  let valueAt = at + 2 + tags.length * 12 + 4;
  const entries: Buffer[] = [];
  const values: Buffer[] = [];
  for (const { id, type, value } of tags) {
    const inline = value.length <= 4;
    const place = inline ? Buffer.concat([value, Buffer.alloc(4 - value.length)]) : uint32(valueAt);
    entries.push(uint16(id), uint16(type), uint32(type === LONG ? 1 : value.length), place);
    if (inline) continue;
    values.push(value);
    valueAt += value.length;
  }
  return Buffer.concat([uint16(tags.length), ...entries, uint32(0), ...values]);
}

/** A small image of that format that carries the blocks. */
export function imageWith(
  format: 'jpeg' | 'webp' | 'avif',
  { exif, xmp }: { exif?: Buffer; xmp?: string },
): Promise<Buffer> {
  const plain = jpegOf({ width: 16, height: 16 });
  const segment = exif && jpegSegment(0xe1, Buffer.concat([Buffer.from('Exif\0\0', 'latin1'), exif]));
  const image = sharp(segment ? Buffer.concat([plain.subarray(0, 2), segment, plain.subarray(2)]) : plain).keepExif();
  return (xmp === undefined ? image : image.withXmp(xmp)).toFormat(format).toBuffer();
}
