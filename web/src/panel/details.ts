/** Images with all that is known of them, read one by one and kept for a while. */
import { signal } from '@preact/signals';
import type { ImageJson } from '../api/contract.ts';
import { describeImage, type Row } from '../api/images.ts';

const MAX_KEPT = 50;
const kept = new Map<string, ImageJson>();
export const detailsVersion = signal(0);

/** Undefined: not read yet. */
export function detailsOf({ id }: Pick<Row, 'id'>): ImageJson | undefined {
  detailsVersion.value;
  return kept.get(id);
}

/** Rejects as `describeImage`. */
export async function readDetails(
  { id, filename, provider }: Pick<Row, 'id' | 'filename' | 'provider'>,
  signal: AbortSignal,
): Promise<void> {
  if (kept.has(id)) return;
  keep(id, await describeImage(filename, provider, signal));
}

/** Takes what is known anew, such as the answer of an update. */
export function keepDetails(image: ImageJson): void {
  keep(`${image.provider}/${image.filename}`, image);
}

function keep(id: string, image: ImageJson): void {
  if (kept.size >= MAX_KEPT) kept.delete(kept.keys().next().value!);
  kept.set(id, image);
  detailsVersion.value += 1;
}
