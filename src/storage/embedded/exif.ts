/**
 * Reads generator metadata from EXIF and XMP: texts, by the keywords that PNGs have for them, and the creation date.
 */
import type { Blocks } from './metadata-blocks.ts';

export interface BlockTexts {
  /** `prompt`, `workflow` and `parameters`, when present. */
  texts: Map<string, string>;
  /** As written, in the form of EXIF or of XMP. */
  date?: string;
}

type Tags = Record<string, unknown>;

const OPTIONS = {
  ifd0: {},
  exif: true,
  xmp: true,
  userComment: true,
  gps: false,
  interop: false,
  ifd1: false,
  // exifr would read dates in this machine's time zone.
  reviveValues: false,
  translateValues: false,
  mergeOutput: false,
};
/** ComfyUI: `workflow:{…}` in Make, `prompt:{…}` in Model, or in any other text tag. */
const NAMED = /^(prompt|workflow):\s*(?=\{)/i;
/** Distinguishes settings from a caption in a description. */
const SETTINGS = /\bSteps: \d+, /;
const ENTITY = /&(?:(lt|gt|quot|apos|amp)|#(\d{1,7}|x[\da-f]{1,6}));/gi;
const ENTITIES: Record<string, string> = { lt: '<', gt: '>', quot: '"', apos: "'", amp: '&' };

export async function readBlockTexts({ exif, xmp }: Blocks): Promise<BlockTexts> {
  const { parse, sidecar } = await loadExifr();
  // A copy: of a tag that claims more than there is, exifr would read what lies behind a view in the pool of Buffers.
  const fromExif = exif && readExif(await parse(new Uint8Array(exif), OPTIONS));
  const fromXmp = xmp && readXmp((await sidecar(xmp, OPTIONS, 'xmp')) as Record<string, Tags>);
  return {
    texts: new Map([...(fromXmp?.texts ?? []), ...(fromExif?.texts ?? [])]),
    date: fromExif?.date ?? fromXmp?.date,
  };
}

/** Loads exifr on first use, since most files are PNGs. */
async function loadExifr() {
  const exifr = await import('exifr');
  // Node sees only `default` of its CommonJS build; in its ES module `default` is incomplete.
  return 'sidecar' in exifr ? exifr : (exifr as { default: typeof exifr }).default;
}

function readExif({ ifd0 = {}, exif = {}, userComment }: { ifd0?: Tags; exif?: Tags; userComment?: Uint8Array } = {}) {
  const texts = new Map<string, string>();
  const comment = userComment && decodeComment(Buffer.from(userComment));
  for (const text of [...Object.values(ifd0), comment]) {
    if (typeof text !== 'string') continue;
    const name = NAMED.exec(text);
    if (name) texts.set(name[1]!.toLowerCase(), text.slice(name[0].length));
    else if (text === comment) texts.set(text.trimStart().startsWith('{') ? 'prompt' : 'parameters', text);
    else if (SETTINGS.test(text)) texts.set('parameters', text);
  }
  return { texts, date: exifDate(ifd0, exif) };
}

function exifDate(ifd0: Tags, exif: Tags): string | undefined {
  const [date, offset] = [
    [exif.DateTimeOriginal, exif.OffsetTimeOriginal],
    [exif.CreateDate, exif.OffsetTimeDigitized],
    [ifd0.ModifyDate, exif.OffsetTime],
  ].find(([text]) => typeof text === 'string') ?? [''];
  return date ? `${date}${offset ?? ''}` : undefined;
}

/** The first eight bytes name the encoding; UNICODE is UTF-16 of either byte order, whatever that of the file. */
function decodeComment(comment: Buffer): string {
  const [code, text] = [comment.toString('latin1', 0, 8), comment.subarray(8)];
  if (!code.startsWith('UNICODE')) return text.toString('utf8');
  const even = text.subarray(0, text.length & ~1);
  // Most characters have a high byte of zero: the high bytes are those, at even or odd offsets, with more zeros.
  const zeros = even.reduce((sum, byte, at) => sum + (byte === 0 ? (at % 2 === 0 ? 1 : -1) : 0), 0);
  return new TextDecoder(zeros >= 0 ? 'utf-16be' : 'utf-16le').decode(even);
}

function readXmp({ xmp = {}, dc = {}, exif = {}, photoshop = {} }: Record<string, Tags> = {}) {
  const candidates = [exif.UserComment, dc.description].map(plainText);
  const parameters = candidates.find((text) => text !== undefined && SETTINGS.test(text));
  const texts = new Map(parameters === undefined ? [] : [['parameters', parameters]]);
  return { texts, date: [exif.DateTimeOriginal, xmp.CreateDate, photoshop.DateCreated].find(isText) };
}

/** A text with a language is parsed to an object. */
function plainText(tag: unknown): string | undefined {
  const text = isText(tag) ? tag : (tag as { value?: unknown } | undefined)?.value;
  return isText(text) ? text.replace(ENTITY, decodeEntity) : undefined;
}

function decodeEntity(entity: string, name: string | undefined, code = ''): string {
  if (name !== undefined) return ENTITIES[name]!;
  const point = code.startsWith('x') ? Number.parseInt(code.slice(1), 16) : Number(code);
  return point <= 0x10ffff ? String.fromCodePoint(point) : entity;
}

function isText(value: unknown): value is string {
  return typeof value === 'string';
}
