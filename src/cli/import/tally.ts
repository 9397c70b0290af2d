/** What became of the files of an import: counted, and told while it runs and at its end. */
import type { WriteStream } from 'node:tty';
import { countOf, formatBytes, progressLine } from '../terminal.ts';

/** Why a file is left alone, by reason as programs read it. */
export const SKIPPED = {
  DUPLICATE: 'already stored, or equal to another file',
  IMPORTED_BEFORE: 'imported before and deleted since',
  TYPE_NOT_ALLOWED: 'no PNG, JPEG, WebP, GIF or AVIF',
  IMAGE_EMPTY: 'empty',
  IMAGE_TRUNCATED: 'damaged',
  IMAGE_TOO_LARGE: 'too large for the store',
  CHANGED: 'changed while it was read',
  SYMBOLIC_LINK: 'a symbolic link',
  SPECIAL_FILE: 'no regular file',
  THUMBNAIL: 'a thumbnail',
} as const;

export type SkipReason = keyof typeof SKIPPED;

export interface Summary {
  imported: number;
  importedBytes: number;
  skipped: Partial<Record<SkipReason, number>>;
  failed: number;
  dryRun: boolean;
  /** False when it ended before it had seen every file. */
  complete: boolean;
}

export function createSummary(dryRun = false): Summary {
  return { imported: 0, importedBytes: 0, skipped: {}, failed: 0, dryRun, complete: false };
}

/** `imported 9,990 images, 1.2 GB`, and a line for each reason to skip. */
export function summaryLines({ imported, importedBytes, skipped, failed, dryRun, complete }: Summary): string[] {
  const lines = [
    `${dryRun ? 'would import' : 'imported'} ${countOf(imported, 'image')}, ${formatBytes(importedBytes)}`,
  ];
  for (const [reason, count] of Object.entries(skipped)) {
    lines.push(`skipped ${countOf(count, 'file')}: ${SKIPPED[reason as SkipReason]}`);
  }
  if (failed > 0) lines.push(`failed: ${countOf(failed, 'file')}`);
  if (!complete) lines.push('ended early: run it again for the rest');
  return lines;
}

export interface ImportProgress {
  /** One more file is done. */
  add(sizeBytes: number): void;
  /** Takes the bar away so that a line can be printed; the next `add` draws it again. */
  clear(): void;
}

const REDRAW_MS = 100;
/** Earlier there is no telling. */
const FIRST_ESTIMATE_MS = 2_000;

/** A bar with the time that is left; draws nothing where the stream is no terminal. */
export function createImportProgress(
  total: { files: number; bytes: number },
  stream: WriteStream = process.stderr,
): ImportProgress {
  const startedAt = Date.now();
  let [files, bytes, drawnAt] = [0, 0, 0];
  return {
    add(sizeBytes) {
      files += 1;
      bytes += sizeBytes;
      if (!stream.isTTY || Date.now() - drawnAt < REDRAW_MS) return;
      drawnAt = Date.now();
      const left = timeLeft(bytes / total.bytes, drawnAt - startedAt);
      stream.write(`\r\x1b[K${progressLine(bytes, total.bytes)}, ${files} of ${countOf(total.files, 'file')}${left}`);
    },
    clear() {
      if (drawnAt > 0) stream.write('\r\x1b[K');
      drawnAt = 0;
    },
  };
}

/** `, 1:05 left` */
export function timeLeft(share: number, elapsedMs: number): string {
  if (elapsedMs < FIRST_ESTIMATE_MS || !(share > 0)) return '';
  const seconds = Math.max(0, Math.round((elapsedMs * (1 / share - 1)) / 1000));
  const [hours, minutes, rest] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, seconds % 60];
  const padded = (value: number) => String(value).padStart(2, '0');
  return hours > 0 ? `, ${hours}:${padded(minutes)}:${padded(rest)} left` : `, ${minutes}:${padded(rest)} left`;
}
