/**
 * Parses AVIF, still and animated: walks the boxes, and checks that the file contains all data that `meta` points to.
 */
import { type Box, boxesIn, Fields, FULL_BOX_BYTES, isIsobmff, itemsIn, walkBoxes } from './isobmff.ts';
import { type Dimensions, dimensions, type Format, type Parser } from './parser.ts';
import { damaged, readInto } from './walk.ts';

const BRANDS = new Set(['avif', 'avis']);
const MAX_META_BYTES = 1024 * 1024;

export const avif: Format = {
  contentType: 'image/avif',
  extension: 'avif',
  name: 'AVIF',
  end: 'last box is complete',
  matches: (head) => brandsOf(head)?.some((brand) => BRANDS.has(brand)) ?? false,
  parse,
};

/** Returns the major and compatible brands that have arrived; undefined when the file does not begin with `ftyp`. */
export function brandsOf(head: Buffer): string[] | undefined {
  if (!isIsobmff(head)) return undefined;
  const brands: string[] = [];
  const end = Math.min(head.readUInt32BE(0), head.length);
  for (let at = 8; at + 4 <= end; at += 4) brands.push(head.toString('latin1', at, at + 4));
  // The minor version comes between them.
  return brands.filter((_, at) => at !== 1);
}

function* parse(position: () => number): Parser {
  const found: { picture?: Picture } = {};
  yield* walkBoxes(({ type, at, lengthBytes }) => {
    if (type !== 'meta' || lengthBytes === Infinity) return undefined;
    if (lengthBytes < FULL_BOX_BYTES || lengthBytes > MAX_META_BYTES) {
      throw damaged('an AVIF box (meta) with an impossible length');
    }
    return readInto(at, lengthBytes, (meta) => {
      found.picture = readMeta(meta.subarray(FULL_BOX_BYTES));
    });
  });
  if (found.picture === undefined) throw damaged('an AVIF without the box that describes the image (meta)');
  if (found.picture.end > position()) throw damaged('an AVIF that ends before the data of its image');
  return found.picture;
}

interface Picture extends Dimensions {
  /** The offset after the last byte that `meta` points to. */
  end: number;
}

function readMeta(meta: Buffer): Picture {
  const boxes = childrenOf(meta);
  const properties = boxes.filter(({ type }) => type === 'iprp').flatMap(({ body }) => childrenOf(body));
  const ispes = properties
    .filter(({ type }) => type === 'ipco')
    .flatMap(({ body }) => childrenOf(body))
    .filter(({ type }) => type === 'ispe');
  // Tiles, thumbnails and auxiliary pictures are not larger than the image itself.
  const largest = ispes.map(({ body }) => readIspe(body)).sort((a, b) => b.width * b.height - a.width * a.height)[0];
  if (largest === undefined) throw damaged('an AVIF without dimensions (ispe)');
  const ends = boxes.filter(({ type }) => type === 'iloc').map(({ body }) => endOfItems(body));
  return { ...largest, end: Math.max(0, ...ends) };
}

function childrenOf(body: Buffer): Box[] {
  const { boxes, allFit } = boxesIn(body);
  if (!allFit) throw damaged('an AVIF box that reaches beyond the one around it');
  return boxes;
}

function readIspe(body: Buffer): Dimensions {
  const fields = new Fields(body.subarray(FULL_BOX_BYTES));
  return dimensions(fields.uint(4), fields.uint(4));
}

/** Returns the largest end of an extent in this file. */
function endOfItems(iloc: Buffer): number {
  let end = 0;
  for (const { constructionMethod, dataReference, extents } of itemsIn(iloc)) {
    if (constructionMethod !== 0 || dataReference !== 0) continue;
    for (const { at, lengthBytes } of extents) end = Math.max(end, at + lengthBytes);
  }
  return end;
}
