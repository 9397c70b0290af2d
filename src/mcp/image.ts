/** Describes images for tools: in one line in lists, whole by themselves. */
import { z } from 'zod';
import type { Image } from '../client.ts';
import { cut, type Room } from './length.ts';
import { shownParameters } from './parameters.ts';

export const natural = z.int().min(0);

/** Where lists are explained. */
export const ABOUT_ROWS = 'A filename begins with the time (UTC) and the model.';

/** Has neither time nor model, which the filename has. */
export function rowOf({ filename, width, height, pinned, generation, metadata }: Image, { prompt, label }: Room) {
  return {
    filename,
    prompt: cut(metadata.prompt, prompt),
    pixels: `${width}x${height}`,
    seed: generation?.seed,
    category: cut(metadata.category, label),
    tags: cut(metadata.tags.join(', '), label),
    pinned: pinned || undefined,
  };
}

export function detailsOf(image: Image, link: string | undefined) {
  const { filename, provider, path, size, contentType, width, height, sha256, metadata, generation } = image;
  const { prompt, model, timestamp, category, tags } = metadata;
  const pixels = `${width}x${height}`;
  const settings = { ...generation };
  if (settings.width === width && settings.height === height) {
    delete settings.width;
    delete settings.height;
  }
  return {
    filename,
    ...{ link, prompt, model, timestamp, category, tags },
    pinned: image.pinned || undefined,
    ...{ provider, pixels, bytes: size, contentType },
    ...{ path, sha256, createTime: image.createTime, expireTime: image.expireTime },
    generation: settings,
    ...shownParameters(image),
  };
}
