/**
 * Parses AVIF, still and animated: walks the boxes, and checks that the file contains all data that `meta` points to.
 */
import { boxesIn, FULL_BOX_BYTES, isIsobmff, itemsIn, walkBoxes } from './isobmff.ts';
import { type Dimensions, dimensions, type Format, type Parser } from './parser.ts';
import { damaged, NOTHING, readInto } from './walk.ts';
import type { Watch } from './watch.ts';
import { ZeroTail } from './zero-tail.ts';

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

function* parse(position: () => number, watch?: Watch): Parser {
  const found: { picture?: Picture; zerosAt?: number } = {};
  yield* walkBoxes(({ type, at, lengthBytes }) => {
    if (type === 'mdat') watch?.tap(at, lengthBytes, new ZeroTail(type, lengthBytes));
    if (type === '\0\0\0\0') found.zerosAt ??= at;
    // A file has one; another counts for nothing.
    if (type !== 'meta' || lengthBytes === Infinity || found.picture !== undefined) return undefined;
    if (lengthBytes < FULL_BOX_BYTES || lengthBytes > MAX_META_BYTES) {
      throw damaged('an AVIF box (meta) with an impossible length');
    }
    return readInto(at, lengthBytes, (meta) => {
      found.picture = readMeta(meta.subarray(FULL_BOX_BYTES));
    });
  });
  if (found.picture === undefined) throw damaged('an AVIF without the box that describes the image (meta)');
  if (found.picture.end > position()) throw damaged('an AVIF that ends before the data of its image');
  if (watch !== undefined && found.picture.end > (found.zerosAt ?? Infinity)) {
    throw damaged('zeros where an AVIF box with data of its image must begin');
  }
  return found.picture;
}

interface Picture extends Dimensions {
  /** The offset after the last byte that `meta` points to. */
  end: number;
}

function readMeta(meta: Buffer): Picture {
  const properties = childOf(childOf(meta, 'iprp'), 'ipco');
  const sizes = childrenOf(properties, 'ispe').map(readIspe);
  if (sizes.length === 0) throw damaged('an AVIF without dimensions (ispe)');
  const locations = childOf(meta, 'iloc');
  return { ...largestOf(sizes), end: locations.length === 0 ? 0 : endOfItems(locations) };
}

/** Tiles, thumbnails and auxiliary pictures are not larger than the image itself. */
function largestOf(sizes: Dimensions[]): Dimensions {
  return sizes.reduce((a, b) => (b.width * b.height > a.width * a.height ? b : a));
}

/** Returns the body of the first box of that type; empty when there is none. */
function childOf(body: Buffer, type: string): Buffer {
  return childrenOf(body, type, 1)[0] ?? NOTHING;
}

function childrenOf(body: Buffer, type: string, atMost = Infinity): Buffer[] {
  const { boxes, allFit } = boxesIn(body, [type], atMost);
  if (!allFit) throw damaged('an AVIF box that reaches beyond the one around it');
  return boxes.map((box) => box.body);
}

function readIspe(body: Buffer): Dimensions {
  if (body.length < FULL_BOX_BYTES + 8) throw damaged('an AVIF box that reaches beyond the one around it');
  return dimensions(body.readUInt32BE(FULL_BOX_BYTES), body.readUInt32BE(FULL_BOX_BYTES + 4));
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
