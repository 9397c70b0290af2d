/** Reads the prompt, model, parameters and date that a generator embedded in its image (docs/generators.md). */
import { findBlocks } from './blocks.ts';
import { boundedReads } from './bounded-reads.ts';
import type { EmbeddedMetadata } from './embedded-metadata.ts';
import { interpret } from './interpret.ts';
import { interpretApart } from './interpreter.ts';
import type { Blocks } from './metadata-blocks.ts';
import type { ReadAt } from './read-at.ts';
import { windowed } from './window.ts';

export type { EmbeddedMetadata } from './embedded-metadata.ts';

/** What is larger may take more than some milliseconds. */
const MAX_SMALL_BYTES = 32 * 1024;

/**
 * Returns what fits the limits of a save. Never rejects: what is damaged, or beyond the bounds of its reader, counts as
 * none. Bounded in time and memory, whatever the file holds; what may take long is done in a thread of its own.
 */
export async function readEmbeddedMetadata(readAt: ReadAt): Promise<EmbeddedMetadata> {
  const reads = boundedReads(readAt);
  try {
    const blocks = await findBlocks(windowed(reads.readAt));
    return await (sizeOf(blocks) > MAX_SMALL_BYTES ? interpretApart(blocks) : interpret(blocks));
  } catch {
    return {};
  } finally {
    reads.end();
  }
}

function sizeOf({ exif, xmp, comment, texts = new Map() }: Blocks): number {
  const lengths = [exif, xmp, comment, ...texts.values()].map((block) => block?.length ?? 0);
  return lengths.reduce((sum, length) => sum + length, 0);
}
