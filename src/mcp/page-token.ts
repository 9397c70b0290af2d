/** Where a list goes on: a place in its order, which a time is not where many images are of one moment. */
import type { Image, ListOptions } from '../client.ts';
import { ToolError } from './errors.ts';

/** Texts that sort as the images do: times of one length first, and no name has a space or less in it. */
export function pageToken({ metadata, filename, provider }: Image): string {
  return `${metadata.timestamp.toISOString()} ${filename} ${provider}`;
}

/** Whether an image comes after the one that the token was made of. */
export function isBehind(image: Image, token: string, order: ListOptions['order']): boolean {
  const place = pageToken(image);
  return order === 'oldest' ? place > token : place < token;
}

/** The part of the range in which all that is behind lies, and little of what is not. Throws a ToolError. */
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
