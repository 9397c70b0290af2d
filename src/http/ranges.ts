/** Reads what a request asks of a part of a file: Range, If-Range, If-None-Match and If-Modified-Since. */

export interface Part {
  offset: number;
  length: number;
}

/**
 * Returns the part that a single range asks for, `none` where it lies outside, or undefined for the whole: several
 * ranges, another unit, or text that is no range; see RFC 9110, section 14.2.
 */
export function partOf(range: string | undefined, size: number): Part | 'none' | undefined {
  const [, first, last] = /^bytes=\s*(\d*)\s*-\s*(\d*)\s*$/i.exec(range ?? '') ?? [];
  if (first === undefined || last === undefined || first + last === '') return undefined;
  if (first === '') {
    const length = Math.min(Number(last), size);
    return length === 0 ? 'none' : { offset: size - length, length };
  }
  const offset = Number(first);
  const end = last === '' ? size : Math.min(Number(last) + 1, size);
  if (last !== '' && Number(last) < offset) return undefined;
  return offset >= size ? 'none' : { offset, length: end - offset };
}

/** Whether the part is of what the client has: its ETag, strong, or its exact date. */
export function matchesIfRange(ifRange: string | undefined, etag: string, lastModified: string): boolean {
  return ifRange === undefined || ifRange === etag || ifRange === lastModified;
}

export interface Conditions {
  'if-none-match'?: string;
  'if-modified-since'?: string;
}

/** Whether the client has the image: by its ETags, and by date only where it names none. */
export function isNotModified(headers: Conditions, etag: string, modified: Date): boolean {
  const { 'if-none-match': tags, 'if-modified-since': since } = headers;
  if (tags !== undefined) {
    const isSame = (tag: string) => tag === '*' || tag.replace(/^W\//, '') === etag;
    return tags.split(',').some((tag) => isSame(tag.trim()));
  }
  return since !== undefined && Math.floor(modified.getTime() / 1000) * 1000 <= Date.parse(since);
}
