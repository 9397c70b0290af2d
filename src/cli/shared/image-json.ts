/** Formats an image for `--json`: flat, with the keys of the record file and the image's location. */
import type { Image } from '../../client.ts';

export function imageJson({ metadata, createTime, ...image }: Image): Record<string, unknown> {
  const { timestamp, ...rest } = metadata;
  return { ...image, createTime: createTime.toISOString(), ...rest, timestamp: timestamp.toISOString() };
}
