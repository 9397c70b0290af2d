/** Counts the outcomes of an import, and formats the summary. */
import { countOf, formatBytes } from '../terminal/text.ts';

/** The reasons for which a file is skipped, as programs and as people read them. */
export const SKIPPED = {
  DUPLICATE: 'already stored, or equal to another file',
  IMPORTED_BEFORE: 'imported before and deleted since (--bring-back saves it again)',
  TYPE_NOT_ALLOWED: 'no PNG, JPEG, WebP, GIF or AVIF',
  IMAGE_EMPTY: 'empty',
  IMAGE_TRUNCATED: 'damaged, or not yet whole',
  IMAGE_TOO_LARGE: 'too large for the store',
  CHANGED: 'changed while it was read',
  GONE: 'gone before it was read',
  SYMBOLIC_LINK: 'a symbolic link',
  SPECIAL_FILE: 'no regular file',
  THUMBNAIL: 'a thumbnail',
  COMPANION: 'what macOS keeps beside a file',
  ASIDE: 'thumbnails, copies or trash of a program',
} as const;

export type SkipReason = keyof typeof SKIPPED;

export interface Summary {
  imported: number;
  importedBytes: number;
  skipped: Partial<Record<SkipReason, number>>;
  /** Files that are gone, with `--move`. */
  removed?: number;
  failed: number;
  dryRun: boolean;
  /** False when it ended before it had seen every file. */
  complete: boolean;
}

export function createSummary(dryRun = false): Summary {
  return { imported: 0, importedBytes: 0, skipped: {}, failed: 0, dryRun, complete: false };
}

/** Returns `imported 9,990 images, 1.2 GB`, and a line for each reason to skip. */
export function summaryLines({
  imported,
  importedBytes,
  skipped,
  failed,
  removed = 0,
  dryRun,
  complete,
}: Summary): string[] {
  const lines = [
    `${dryRun ? 'would import' : 'imported'} ${countOf(imported, 'image')}, ${formatBytes(importedBytes)}`,
  ];
  for (const [reason, count] of Object.entries(skipped)) {
    lines.push(`skipped ${countOf(count, reason === 'ASIDE' ? 'folder' : 'file')}: ${SKIPPED[reason as SkipReason]}`);
  }
  if (removed > 0) lines.push(`removed ${countOf(removed, 'file')} that the store has`);
  if (failed > 0) lines.push(`failed: ${countOf(failed, 'file')}`);
  if (!complete) lines.push('ended early: run it again for the rest');
  return lines;
}
