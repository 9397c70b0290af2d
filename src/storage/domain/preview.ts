/** Previews: small copies of images, and what they are called. They are made from the bytes alone, and can be made again. */
import { join } from 'node:path';
import type { StorageItem } from './image.ts';

/** The longer side of a preview at most, in pixels. */
export const PREVIEW_WIDTHS = [320, 640, 1440] as const;
export type PreviewWidth = (typeof PREVIEW_WIDTHS)[number];

export const PREVIEW_TYPE = 'image/webp';
/** Raised when the same bytes make another preview. */
const VERSION = 'v1';

/** What a preview is made of, and its bytes asked for by. */
export type PreviewSource = Pick<
  StorageItem,
  'filename' | 'provider' | 'path' | 'sha256' | 'size' | 'contentType' | 'width' | 'height' | 'thumbHash' | 'deleteTime'
>;

/** The ThumbHash of an image; undefined: it has none, since it cannot be decoded. */
export interface ThumbHashNote {
  filename: string;
  thumbHash: Uint8Array | undefined;
}

/** Where previews of a store may be kept. */
export interface PreviewFolder {
  path: string;
  /** Mode of files; unset: what the umask leaves. */
  fileMode?: number | undefined;
  /** What the settings of the store want to stay free on its disk. */
  leastFreeBytes?: number;
}

/** Returns the width that is made for the one that is asked for: the next larger, or the largest. */
export function previewWidthOf(asked: number): PreviewWidth {
  return PREVIEW_WIDTHS.find((width) => width >= asked) ?? PREVIEW_WIDTHS.at(-1)!;
}

/** Returns what tells a preview from every other one. */
export function previewName(sha256: string, width: PreviewWidth): string {
  return `${sha256}-w${width}-${VERSION}`;
}

/** Returns the file of a preview below the folder that keeps them. */
export function previewFile(sha256: string, width: PreviewWidth): string {
  return join(sha256.slice(0, 2), `${previewName(sha256, width)}.webp`);
}
