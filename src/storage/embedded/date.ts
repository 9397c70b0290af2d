/** Parses the dates in images: `2024:09:27 14:15:22` of EXIF, RFC 3339 of XMP, RFC 1123 of PNG. */

const EXIF_OR_RFC_3339 = /^(\d{4})[:-](\d\d)[:-](\d\d)[ T](\d\d:\d\d:\d\d(?:\.\d{1,9})?)\s*(Z|[+-]\d\d:\d\d)?$/i;
const RFC_1123 = /^([a-z]{3}, )?\d{1,2} [a-z]{3} \d{4} \d\d:\d\d(:\d\d)? (GMT|UTC|[+-]\d{4})$/i;
const FIRST_YEAR = 1970;
const LAST_YEAR = 9999;

/** Returns the date, in UTC when it has no zone; undefined when it is not a date, or not one that a save accepts. */
export function parseEmbeddedDate(text: string | undefined): Date | undefined {
  const trimmed = text?.replaceAll('\0', '').trim() ?? '';
  const [, year, month, day, time, zone = 'Z'] = EXIF_OR_RFC_3339.exec(trimmed) ?? [];
  const iso = year && `${year}-${month}-${day}T${time}${zone.toUpperCase()}`;
  const date = new Date(iso ?? (RFC_1123.test(trimmed) ? trimmed : Number.NaN));
  const known = date.getUTCFullYear() >= FIRST_YEAR && date.getUTCFullYear() <= LAST_YEAR;
  return known ? date : undefined;
}
