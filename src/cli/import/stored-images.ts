/** The images that a store already has, by their sha256. */
import type { ImageStorageClient } from '../../client.ts';

export interface StoredImages {
  /** Returns true when it was not there before. */
  add(sha256: string): boolean;
  remove(sha256: string): void;
}

/** Half of a sha256 is enough to tell two images apart. */
const KEPT_BYTES = 16;

/** Lists the whole provider; takes about 70 bytes of memory per image. */
export async function listStoredImages(
  client: ImageStorageClient,
  provider: string | undefined,
  signal: AbortSignal,
): Promise<StoredImages> {
  const known = new Set<string>();
  for await (const { sha256 } of client.list({ provider, view: 'row', signal })) known.add(keyOf(sha256));
  return {
    add(sha256) {
      const countBefore = known.size;
      return known.add(keyOf(sha256)).size > countBefore;
    },
    remove: (sha256) => void known.delete(keyOf(sha256)),
  };
}

/** Returns half of the bytes: hex takes twice the room, and a substring keeps the whole string alive. */
function keyOf(sha256: string): string {
  return Buffer.from(sha256, 'hex').toString('latin1', 0, KEPT_BYTES);
}
