/** Finds the texts of generators in the blocks of an image, by the keywords that PNGs have for them, and the date. */
import { type Exif, parseExif, TAG } from './exif.ts';
import type { Blocks } from './metadata-blocks.ts';
import { textOf } from './png-text.ts';
import { decodeUserComment } from './user-comment.ts';
import { xmpProperty } from './xmp.ts';

export interface BlockTexts {
  /** By keyword; of equal keywords the first counts. */
  texts: Map<string, string>;
  /** As written, in the form of PNG, EXIF or XMP. */
  date?: string;
}

/** ComfyUI: `workflow:{…}` in Make, `prompt:{…}` in Model, or in any other text tag. */
const NAMED = /^(prompt|workflow):\s*(?=\{)/i;
/** Distinguishes settings from a caption in a description. */
const SETTINGS = /\bSteps: \d+, |^\s*\{\s*"/;
const MIDJOURNEY = /\bJob ID: [\da-f-]{36}/i;
const DATES = ['exif:DateTimeOriginal', 'xmp:CreateDate', 'photoshop:DateCreated'];

/** The texts of a PNG come first, then EXIF, XMP and the comment. */
export function readBlockTexts({ texts, exif, xmp, comment }: Blocks): BlockTexts {
  const found = new FoundTexts(texts);
  found.date = texts?.get('Creation Time');
  if (exif !== undefined) found.addExif(parseExif(exif));
  if (xmp !== undefined) found.addXmp(xmp.toString());
  if (comment !== undefined) found.addDescription(textOf(comment));
  return found;
}

class FoundTexts implements BlockTexts {
  readonly texts: Map<string, string>;
  date?: string;

  constructor(texts: ReadonlyMap<string, string> = new Map()) {
    this.texts = new Map(texts);
  }

  addExif({ texts: tags, inner, userComment }: Exif): void {
    const comment = userComment && withoutPadding(decodeUserComment(userComment)).trim();
    if (comment && !this.#addNamed(comment)) this.#add('parameters', comment);
    for (const text of tags.values()) this.addDescription(text);
    this.date ??= exifDate(tags, inner);
  }

  addXmp(xml: string): void {
    // Draw Things has its settings as JSON in the comment, and in words in the description.
    for (const name of ['exif:UserComment', 'dc:description']) this.addDescription(xmpProperty(xml, name) ?? '');
    this.date ??= DATES.map((name) => xmpProperty(xml, name)).find((date) => date !== undefined);
  }

  /** Adds a text that may be a caption, which is no prompt. */
  addDescription(text: string): void {
    if (this.#addNamed(text)) return;
    if (SETTINGS.test(text)) this.#add('parameters', text);
    else if (MIDJOURNEY.test(text)) this.#add('Description', text);
  }

  #addNamed(text: string): boolean {
    const [start, name] = NAMED.exec(text) ?? [];
    if (name !== undefined) this.#add(name.toLowerCase(), text.slice(start!.length));
    return name !== undefined;
  }

  #add(keyword: string, text: string): void {
    if (!this.texts.has(keyword)) this.texts.set(keyword, text);
  }
}

function withoutPadding(text: string): string {
  let end = text.length;
  while (text.charCodeAt(end - 1) === 0) end -= 1;
  return text.slice(0, end);
}

function exifDate(outer: Exif['texts'], inner: Exif['inner']): string | undefined {
  const [date, offset] = [
    [inner.get(TAG.originalDate), inner.get(TAG.offsetOfOriginal)],
    [inner.get(TAG.createDate), inner.get(TAG.offsetOfCreate)],
    [outer.get(TAG.modifyDate), inner.get(TAG.offset)],
  ].find(([text]) => text) ?? [''];
  return date ? `${date}${offset ?? ''}` : undefined;
}
