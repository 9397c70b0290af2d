/** Reads the texts, the EXIF and the XMP in a PNG. */
import { isUtf8 } from 'node:buffer';
import { promisify } from 'node:util';
import { crc32, inflate } from 'node:zlib';
import type { Part } from '../formats/walk.ts';
import { type Blocks, withoutPrefix } from './metadata-blocks.ts';
import { pngChunks } from './png-chunks.ts';
import { profileKind, profileOf } from './raw-profile.ts';
import type { ReadAt } from './read-at.ts';

/** The part of a pipe that is kept to be searched for metadata. */
export const HEAD_BYTES = 2 * 1024 * 1024;
/** The most chunks of text to look at; Easy Diffusion writes some 30, others one or two. */
const MAX_TEXTS = 64;
/** Enough for most texts, and for the keyword of any. */
const BEGINNING_BYTES = 4096;
const KEYWORD_BYTES = 80;
const CRC_BYTES = 4;
/** The most bytes of all texts; graphs may hold images. */
const MAX_TEXT_BYTES = 8 * 1024 * 1024;
/** The most that all compressed texts of a file may inflate to. */
const MAX_INFLATED_BYTES = 2 * 1024 * 1024;

/** The keywords of texts that may be long; of others a text is one setting. */
const LONG =
  /^(prompt|parameters|Comment|Description|invokeai_metadata|invokeai|sd-metadata|[Dd]ream|XML:com\.adobe\.xmp|Raw profile type .+)$/;
/** Those that tell all by themselves. */
const TELLING = /^(prompt|parameters|Comment|invokeai_metadata|sd-metadata|[Dd]ream|XML:com\.adobe\.xmp)$/;
/** The other one of ComfyUI's two graphs; what is drawn is read only where nothing else says what was run. */
const WORKFLOW = 'workflow';
const XMP = 'XML:com.adobe.xmp';

/**
 * Reads tEXt, zTXt, iTXt, ComfyUI's `comf` and `eXIf`; of equal keywords the first counts. Stops at the pixels when the
 * text before them tells enough. A chunk with a wrong CRC counts as none. Requires a PNG.
 */
export async function readPng(readAt: ReadAt): Promise<Blocks> {
  const reader = new PngReader(readAt);
  let left = MAX_TEXTS;
  for await (const part of pngChunks(readAt)) {
    if (part.type === 'IDAT' && reader.isEnough) break;
    if (!/^(tEXt|zTXt|iTXt|comf|eXIf)$/.test(part.type)) continue;
    if (left === 0) break;
    left -= 1;
    // A text that cannot be read is none.
    await reader.add(part).catch(() => undefined);
  }
  return reader.finish();
}

class PngReader {
  readonly #readAt: ReadAt;
  readonly #texts = new Map<string, string>();
  readonly #blocks: Blocks = { texts: this.#texts };
  #workflow: Part | undefined;
  #bytesLeft = MAX_TEXT_BYTES;
  /** What compressed texts may still inflate to. */
  #inflatedLeft = MAX_INFLATED_BYTES;

  constructor(readAt: ReadAt) {
    this.#readAt = readAt;
  }

  get isEnough(): boolean {
    return [...this.#texts.keys()].some((keyword) => TELLING.test(keyword)) || this.#blocks.xmp !== undefined;
  }

  async add(part: Part): Promise<void> {
    if (part.type === 'eXIf') {
      const body = await this.#body(part);
      if (body !== undefined) this.#blocks.exif ??= withoutPrefix(body);
      return;
    }
    const beginning = await this.#readAt(part.at, Math.min(part.lengthBytes, KEYWORD_BYTES));
    const keyword = beginning.toString('latin1', 0, Math.max(0, beginning.indexOf(0)));
    if (keyword === WORKFLOW) this.#workflow ??= part;
    else if (LONG.test(keyword) || (keyword !== '' && part.lengthBytes <= BEGINNING_BYTES)) {
      await this.#addText(keyword, part);
    }
  }

  async finish(): Promise<Blocks> {
    if (this.#workflow !== undefined && this.#texts.size === 0 && this.#blocks.exif === undefined) {
      await this.#addText(WORKFLOW, this.#workflow).catch(() => undefined);
    }
    return this.#blocks;
  }

  async #addText(keyword: string, part: Part): Promise<void> {
    if (this.#texts.has(keyword)) return;
    const body = (await this.#body(part))?.subarray(keyword.length + 1);
    const bytes = body && (await this.#decode(part.type, body));
    if (bytes === undefined) return;
    const profile = profileKind(keyword);
    if (keyword === XMP) this.#blocks.xmp ??= bytes;
    else if (profile === 'exif') this.#blocks.exif ??= withoutPrefix(profileOf(bytes));
    else if (profile === 'xmp') this.#blocks.xmp ??= profileOf(bytes);
    else if (profile === undefined) this.#texts.set(keyword, part.type === 'iTXt' ? bytes.toString() : textOf(bytes));
  }

  /** Returns undefined where it is cut, its CRC is wrong, or it is too long. */
  async #body({ type, at, lengthBytes }: Part): Promise<Buffer | undefined> {
    if (lengthBytes > this.#bytesLeft) return undefined;
    this.#bytesLeft -= lengthBytes;
    const bytes = await this.#readAt(at, lengthBytes + CRC_BYTES);
    if (bytes.length < lengthBytes + CRC_BYTES) return undefined;
    const body = bytes.subarray(0, lengthBytes);
    return crc32(body, crc32(type)) === bytes.readUInt32BE(lengthBytes) ? body : undefined;
  }

  /** Returns the bytes of the text behind its keyword. */
  async #decode(type: string, body: Buffer): Promise<Buffer> {
    if (type === 'zTXt') return this.#inflate(body.subarray(1));
    if (type !== 'iTXt') return body;
    const languageEnd = body.indexOf(0, 2);
    const text = body.subarray(body.indexOf(0, languageEnd + 1) + 1);
    return body[0] === 1 ? this.#inflate(text) : text;
  }

  /** Inflates off the main thread. Rejects when there would be more than is left, of which nothing is left then. */
  async #inflate(bytes: Buffer): Promise<Buffer> {
    const most = this.#inflatedLeft;
    this.#inflatedLeft = 0;
    if (most === 0) throw new RangeError('the texts inflate to too much');
    const inflated = await inflateAsync(bytes, { maxOutputLength: most });
    this.#inflatedLeft = most - inflated.length;
    return inflated;
  }
}

const inflateAsync = promisify<Buffer, { maxOutputLength: number }, Buffer>(inflate);

/** The standard requires Latin-1, but many write UTF-8; one is hardly ever mistaken for the other. */
export function textOf(bytes: Buffer): string {
  return bytes.toString(isUtf8(bytes) ? 'utf8' : 'latin1');
}
