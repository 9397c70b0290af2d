/** An image as `--json` prints it: flat, with the keys of the record file and where to find it. */
import type { Image } from '../../client.ts';

export function imageJson({ metadata, createTime, ...image }: Image): Record<string, unknown> {
  const { timestamp, ...rest } = metadata;
  return { ...image, createTime: createTime.toISOString(), ...rest, timestamp: timestamp.toISOString() };
}
