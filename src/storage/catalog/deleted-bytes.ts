/** What catalogs know of the bytes of deleted images. */

/** How long they are known. */
export const DELETED_KEPT_MS = 366 * 24 * 60 * 60 * 1000;
/** Of a sha256 in hexadecimal: half of it is enough to tell two images apart. */
export const DELETED_DIGITS = 32;

export function deletedDigits(sha256: string): string {
  return sha256.slice(0, DELETED_DIGITS);
}
