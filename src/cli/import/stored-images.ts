/** The images that a store already has, by their sha256. */
import type { Image, ImageStorageClient } from '../../client.ts';

export interface StoredImages {
  /** Returns true when it was not there before. */
  add(sha256: string): boolean;
  /** Notes what an image that was added is stored as. */
  setFilename(sha256: string, filename: string): void;
  /** Returns what it is stored as; undefined while it is being saved, and where names are not kept. */
  filenameOf(sha256: string): string | undefined;
  remove(sha256: string): void;
  /** Returns whether a stored image has that size; each is returned once. */
  takeSize(bytes: number): boolean;
}

export interface StoredOptions {
  provider?: string;
  /** Whether filenames are kept: about 100 bytes more for each image. */
  withNames: boolean;
  signal: AbortSignal;
}

/** Half of a sha256 is enough to tell two images apart. */
const KEPT_BYTES = 16;

/** Lists the whole provider; takes about 120 bytes of memory per image. */
export async function listStoredImages(
  client: ImageStorageClient,
  { provider, withNames, signal }: StoredOptions,
): Promise<StoredImages> {
  const known = new Map<string, string | undefined>();
  const sizes = new Map<number, number>();
  const store = ({ sha256, filename }: Pick<Image, 'sha256' | 'filename'>) =>
    known.set(keyOf(sha256), withNames ? filename : undefined);
  for await (const image of client.list({ provider, view: 'row', signal })) {
    store(image);
    sizes.set(image.size, (sizes.get(image.size) ?? 0) + 1);
  }
  return {
    add(sha256) {
      const key = keyOf(sha256);
      if (known.has(key)) return false;
      known.set(key, undefined);
      return true;
    },
    setFilename: (sha256, filename) => void store({ sha256, filename }),
    filenameOf: (sha256) => known.get(keyOf(sha256)),
    takeSize(bytes) {
      const left = sizes.get(bytes) ?? 0;
      if (left > 0) sizes.set(bytes, left - 1);
      return left > 0;
    },
    remove: (sha256) => void known.delete(keyOf(sha256)),
  };
}

/** Returns half of the bytes: hex takes twice the room, and a substring keeps the whole string alive. */
function keyOf(sha256: string): string {
  return Buffer.from(sha256, 'hex').toString('latin1', 0, KEPT_BYTES);
}
