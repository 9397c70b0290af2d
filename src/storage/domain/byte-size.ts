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

const STEPS = ['', 'K', 'M', 'G', 'T', 'P'];

/** Returns the size as people write it, such as `100 GiB`; `100 GB` where that is the rounder number. */
export function formatBytes(bytes: number): string {
  if (bytes >= 1000 && bytes % 1024 !== 0 && bytes % 1000 === 0) return inUnits(bytes, 1000, 'B');
  if (bytes >= 1024) return inUnits(bytes, 1024, 'iB');
  return bytes === 1 ? '1 byte' : `${bytes} bytes`;
}

function inUnits(bytes: number, base: number, unit: string): string {
  const power = Math.min(STEPS.length - 1, Math.floor(Math.log(bytes) / Math.log(base)));
  return `${Number((bytes / base ** power).toFixed(1))} ${STEPS[power]}${unit}`;
}
