/** Formats an image for `--json`: flat, with the keys of the record file and the image's location. */
import type { Image } from '../../client.ts';

export function imageJson({ metadata, createTime, thumbHash, ...image }: Image): Record<string, unknown> {
  const { timestamp, ...rest } = metadata;
  const hash = thumbHash && { thumbHash: Buffer.from(thumbHash).toString('base64') };
  return { ...image, ...hash, createTime: createTime.toISOString(), ...rest, timestamp: timestamp.toISOString() };
}
