/** Sizes as people type them. */

/** Bytes of `500MB`, `10GiB`, `1.5 T` or `4096`, rounded; NaN for what is no size. */
export function parseBytes(text: string): number {
  const match = /^(\d+(?:\.\d+)?)\s*(?:([kmgtp])(i)?)?b?$/i.exec(text.trim());
  const power = ' kmgtp'.indexOf(match?.[2]?.toLowerCase() ?? ' ');
  return Math.round(Number(match?.[1]) * (match?.[3] ? 1024 : 1000) ** power);
}
