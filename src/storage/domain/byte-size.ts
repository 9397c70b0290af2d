/** Parses sizes as people type them. */

/** Matches `500MB`, `10GiB`, `1.5 T` or `4096`. Has no flags, since it goes into the JSON Schema. */
export const SIZE = /^\d+(\.\d+)?\s*([kKmMgGtTpP][iI]?)?[bB]?$/;

/** Returns the size in bytes, rounded; NaN when the text is not a size. */
export function parseBytes(text: string): number {
  const size = text.trim();
  if (!SIZE.test(size)) return Number.NaN;
  const [unit = ''] = /[kmgtp]i?/.exec(size.toLowerCase()) ?? [];
  const power = ' kmgtp'.indexOf(unit[0] ?? ' ');
  return Math.round(Number.parseFloat(size) * (unit.endsWith('i') ? 1024 : 1000) ** power);
}
