/** Reads the texts of generators in a PNG. */
import { isUtf8 } from 'node:buffer';
import { promisify } from 'node:util';
import { inflate } from 'node:zlib';
import { walkPng } from '../formats/png.ts';
import type { Part } from '../formats/walk.ts';
import { partsOf } from './parts.ts';
import type { ReadAt } from './read-at.ts';
import { isKeyword, type Keyword } from './texts.ts';

/** The part of a file that is searched for text; a save accepts 1 MiB of metadata. */
export const HEAD_BYTES = 2 * 1024 * 1024;
/** The most chunks to search: 256 of the 8 KiB that libpng writes fill the head. */
const MAX_CHUNKS = 2000;
/** The most chunks of text to look at; generators write one or two. */
const MAX_TEXTS = 64;
/** Enough for most texts, and for the keyword of any. */
const BEGINNING_BYTES = 4096;
const KEYWORD_BYTES = 80;
/** The most that all compressed texts of a file may inflate to. */
const MAX_INFLATED_BYTES = 2 * 1024 * 1024;

/**
 * Returns text by keyword, from tEXt, zTXt and iTXt; of equal keywords the first counts. Stops at the pixels when there
 * is text before them. Requires a PNG.
 */
export async function readPngTexts(readAt: ReadAt): Promise<Map<Keyword, string>> {
  const texts = new Map<Keyword, string>();
  const decoder = new TextDecoders();
  let left = MAX_TEXTS;
  for await (const part of partsOf(readAt, walkPng, MAX_CHUNKS)) {
    if (part.at + part.lengthBytes > HEAD_BYTES) break;
    if (part.type === 'IDAT' && texts.size > 0) break;
    if (!decoder.decodes(part.type)) continue;
    if (left === 0) break;
    left -= 1;
    const found = await readText(readAt, part, texts);
    const text = found && (await decoder.decode(part.type, found.body).catch(() => undefined));
    if (text !== undefined) texts.set(found!.keyword, text);
  }
  return texts;
}

/** Returns undefined for a text that is not a generator's, has its keyword again, or is cut. */
async function readText(readAt: ReadAt, { at, lengthBytes }: Part, texts: ReadonlyMap<Keyword, string>) {
  const beginning = await readAt(at, Math.min(lengthBytes, BEGINNING_BYTES));
  const end = beginning.subarray(0, KEYWORD_BYTES).indexOf(0);
  const keyword = end === -1 ? '' : beginning.toString('latin1', 0, end);
  if (!isKeyword(keyword) || texts.has(keyword)) return undefined;
  const whole = lengthBytes > BEGINNING_BYTES ? await readAt(at, lengthBytes) : beginning;
  return whole.length < lengthBytes ? undefined : { keyword, body: whole.subarray(end + 1) };
}

class TextDecoders {
  /** What compressed texts may still inflate to. */
  #left = MAX_INFLATED_BYTES;

  decodes(type: string): boolean {
    return type === 'tEXt' || type === 'zTXt' || type === 'iTXt';
  }

  /** Decodes what follows the keyword. */
  async decode(type: string, body: Buffer): Promise<string> {
    if (type === 'tEXt') return latin1OrUtf8(body);
    if (type === 'zTXt') return latin1OrUtf8(await this.#inflate(body.subarray(1)));
    const languageEnd = body.indexOf(0, 2);
    const translationEnd = body.indexOf(0, languageEnd + 1);
    const text = body.subarray(translationEnd + 1);
    return (body[0] === 1 ? await this.#inflate(text) : text).toString('utf8');
  }

  /** Inflates off the main thread. Rejects when there would be more than is left, of which nothing is left then. */
  async #inflate(bytes: Buffer): Promise<Buffer> {
    const most = this.#left;
    this.#left = 0;
    if (most === 0) throw new RangeError('the texts inflate to too much');
    const inflated = await inflateAsync(bytes, { maxOutputLength: most });
    this.#left = most - inflated.length;
    return inflated;
  }
}

const inflateAsync = promisify<Buffer, { maxOutputLength: number }, Buffer>(inflate);

/** The standard requires Latin-1, but many write UTF-8; one is hardly ever mistaken for the other. */
function latin1OrUtf8(bytes: Buffer): string {
  return bytes.toString(isUtf8(bytes) ? 'utf8' : 'latin1');
}
