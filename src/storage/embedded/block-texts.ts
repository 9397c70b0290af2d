/** Finds the metadata of generators in EXIF and XMP: texts, by the keywords that PNGs have for them, and the date. */
import { type Exif, parseExif, TAG } from './exif.ts';
import type { Blocks } from './metadata-blocks.ts';
import type { Keyword } from './texts.ts';
import { xmpProperty } from './xmp.ts';

export interface BlockTexts {
  /** `prompt` and `parameters`, when present. */
  texts: Map<Keyword, string>;
  /** As written, in the form of EXIF or of XMP. */
  date?: string;
}

/** ComfyUI: `workflow:{…}` in Make, `prompt:{…}` in Model, or in any other text tag. */
const NAMED = /^(prompt|workflow):\s*(?=\{)/i;
/** Distinguishes settings from a caption in a description. */
const SETTINGS = /\bSteps: \d+, /;

export function readBlockTexts({ exif, xmp }: Blocks): BlockTexts {
  const fromExif = exif && readExif(parseExif(exif));
  const fromXmp = xmp && readXmp(xmp.toString('utf8'));
  return {
    texts: new Map([...(fromXmp?.texts ?? []), ...(fromExif?.texts ?? [])]),
    date: fromExif?.date ?? fromXmp?.date,
  };
}

function readExif({ texts: tags, inner, userComment }: Exif): BlockTexts {
  const texts = new Map<Keyword, string>();
  for (const text of tags.values()) addText(texts, text);
  const comment = userComment && decodeComment(userComment);
  if (comment !== undefined && !addNamed(texts, comment)) {
    texts.set(comment.trimStart().startsWith('{') ? 'prompt' : 'parameters', comment);
  }
  return { texts, date: exifDate(tags, inner) };
}

function addText(texts: Map<Keyword, string>, text: string): void {
  if (!addNamed(texts, text) && SETTINGS.test(text)) texts.set('parameters', text);
}

function addNamed(texts: Map<Keyword, string>, text: string): boolean {
  const [start, name] = NAMED.exec(text) ?? [];
  if (name?.toLowerCase() === 'prompt') texts.set('prompt', text.slice(start!.length));
  return name !== undefined;
}

function exifDate(outer: Exif['texts'], inner: Exif['inner']): string | undefined {
  const [date, offset] = [
    [inner.get(TAG.originalDate), inner.get(TAG.offsetOfOriginal)],
    [inner.get(TAG.createDate), inner.get(TAG.offsetOfCreate)],
    [outer.get(TAG.modifyDate), inner.get(TAG.offset)],
  ].find(([text]) => text) ?? [''];
  return date ? `${date}${offset ?? ''}` : undefined;
}

/** The first eight bytes name the encoding; UNICODE is UTF-16 of either byte order, whatever that of the file. */
function decodeComment(comment: Buffer): string {
  const [code, text] = [comment.toString('latin1', 0, 8), comment.subarray(8)];
  if (!code.startsWith('UNICODE')) return text.toString('utf8');
  const even = text.subarray(0, text.length & ~1);
  // Most characters have a high byte of zero: the high bytes are those, at even or odd offsets, with more zeros.
  let zeros = 0;
  for (let at = 0; at < even.length; at += 1) if (even[at] === 0) zeros += at % 2 === 0 ? 1 : -1;
  return new TextDecoder(zeros >= 0 ? 'utf-16be' : 'utf-16le').decode(even);
}

function readXmp(xml: string): BlockTexts {
  const candidates = [xmpProperty(xml, 'exif:UserComment'), xmpProperty(xml, 'dc:description')];
  const parameters = candidates.find((text) => text !== undefined && SETTINGS.test(text));
  const dates = ['exif:DateTimeOriginal', 'xmp:CreateDate', 'photoshop:DateCreated'];
  return {
    texts: new Map(parameters === undefined ? [] : [['parameters', parameters]]),
    date: dates.map((name) => xmpProperty(xml, name)).find((date) => date !== undefined),
  };
}
