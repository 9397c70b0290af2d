/** Makes and reads page tokens: positions in the order of a list, since several images may have the same time. */
import type { Image, ListOptions } from '../client.ts';
import { ToolError } from './errors.ts';

/**
 * Returns a text that sorts as the images do: all times have one length, and no name has a character up to the space.
 */
export function pageToken({ metadata, filename, provider }: Image): string {
  return `${metadata.timestamp.toISOString()} ${filename} ${provider}`;
}

/** Returns whether an image comes after the one of the token. */
export function isBehind(image: Image, token: string, order: ListOptions['order']): boolean {
  const place = pageToken(image);
  return order === 'oldest' ? place > token : place < token;
}

/**
 * Returns the part of the range that contains all images behind the token, and few others. Throws a ToolError for a
 * malformed token.
 */
export function restOf(
  { start, end }: NonNullable<ListOptions['dateRange']>,
  token: string,
  order: ListOptions['order'],
) {
  const time = timeOf(token);
  if (order === 'oldest') return { start: start && start > time ? start : time, end };
  const behind = new Date(time.getTime() + 1);
  return { start, end: end && end < behind ? end : behind };
}

function timeOf(token: string): Date {
  const time = new Date(token.split(' ', 1)[0]!);
  if (/^\S{24} \S+ \S+$/.test(token) && !Number.isNaN(time.getTime())) return time;
  throw new ToolError('This page_token is none of list_images. Leave it out to start with the first images.');
}
