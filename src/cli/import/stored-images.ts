/** The images that a store already has, by their sha256. */
import type { ImageStorageClient } from '../../client.ts';

export interface StoredImages {
  /**
   * Returns the image that has these bytes, once a save of them that is under way has ended; undefined: they are the
   * caller's to save, who then calls `settle`.
   */
  claim(sha256: string): Promise<StoredImage | undefined>;
  /** Ends a claim; `undefined`: no image has these bytes. */
  settle(sha256: string, stored: StoredImage | undefined): void;
  /** Returns whether a stored image has that size; each is returned once. */
  takeSize(bytes: number): boolean;
}

export interface StoredImage {
  /** Unset where names are not kept. */
  filename?: string;
}

export interface StoredOptions {
  provider?: string;
  /** Whether filenames are kept: about 100 bytes more for each image. */
  withNames: boolean;
  signal: AbortSignal;
}

/** Half of a sha256 is enough to tell two images apart. */
const KEPT_BYTES = 16;

/** Lists the whole provider, but for images that go at a time of their own; takes about 120 bytes of memory per image. */
export async function listStoredImages(
  client: ImageStorageClient,
  { provider, withNames, signal }: StoredOptions,
): Promise<StoredImages> {
  const known = new Map<string, string | undefined>();
  const claimed = new Map<string, PromiseWithResolvers<void>>();
  const sizes = new Map<number, number>();
  const store = (sha256: string, filename?: string) => known.set(keyOf(sha256), withNames ? filename : undefined);
  for await (const { sha256, filename, size, expireTime, pinned } of client.list({ provider, view: 'row', signal })) {
    if (expireTime !== undefined && !pinned) continue;
    store(sha256, filename);
    sizes.set(size, (sizes.get(size) ?? 0) + 1);
  }
  return {
    async claim(sha256) {
      const key = keyOf(sha256);
      // The next of those that wait has the claim of one that was not stored.
      for (let other = claimed.get(key); other !== undefined; other = claimed.get(key)) await other.promise;
      if (known.has(key)) return { filename: known.get(key) };
      claimed.set(key, Promise.withResolvers());
      return undefined;
    },
    settle(sha256, stored) {
      const key = keyOf(sha256);
      if (stored !== undefined) store(sha256, stored.filename);
      claimed.get(key)!.resolve();
      claimed.delete(key);
    },
    takeSize(bytes) {
      const left = sizes.get(bytes) ?? 0;
      if (left > 0) sizes.set(bytes, left - 1);
      return left > 0;
    },
  };
}

/** Returns half of the bytes: hex takes twice the room, and a substring keeps the whole string alive. */
function keyOf(sha256: string): string {
  return Buffer.from(sha256, 'hex').toString('latin1', 0, KEPT_BYTES);
}
