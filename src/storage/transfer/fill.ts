/** Fills the metadata of a save from what its generator left in the file. */
import type { StorageLimits } from '../domain/config.ts';
import { type CheckedMetadata, metadataBytesOf } from '../domain/validation.ts';
import { readEmbeddedMetadata } from '../embedded/metadata.ts';
import type { ReadAt } from '../embedded/read-at.ts';

/** What a file can tell; its date is not among them, since a caller who sends none means now. */
type Fillable = 'prompt' | 'model' | 'parametersJson';

/**
 * Returns the metadata with what was sent empty, as far as the limits allow it: what is too long is left out. Never
 * rejects.
 */
export async function fillFrom(readAt: ReadAt, sent: CheckedMetadata, limits: StorageLimits): Promise<CheckedMetadata> {
  if (isFull(sent)) return sent;
  const found = await readEmbeddedMetadata(readAt);
  const filled = { ...sent };
  let roomBytes = limits.maxMetadataBytes - metadataBytesOf(sent);
  const fill = (field: Fillable, maxBytes: number) => {
    const text = found[field];
    if (sent[field] !== '' || text === undefined) return;
    const bytes = Buffer.byteLength(text);
    if (bytes > Math.min(maxBytes, roomBytes)) return;
    filled[field] = text;
    roomBytes -= bytes;
  };
  fill('prompt', limits.maxPromptBytes);
  fill('model', roomBytes);
  fill('parametersJson', roomBytes);
  return filled;
}

function isFull({ prompt, model, parametersJson }: CheckedMetadata): boolean {
  return prompt !== '' && model !== '' && parametersJson !== '';
}
