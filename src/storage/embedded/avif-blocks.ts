/** Finds the EXIF and XMP items of an AVIF (ISO/IEC 14496-12, 8.11). */
import { boxesIn, type Extent, FULL_BOX_BYTES, itemsIn, walkBoxes } from '../formats/isobmff.ts';
import { NOTHING } from '../formats/walk.ts';
import { type Blocks, MAX_BLOCK_BYTES } from './metadata-blocks.ts';
import { partsOf } from './parts.ts';
import type { ReadAt } from './read-at.ts';

/** The most boxes to search for `meta`; usually one or two precede it. */
const MAX_BOXES = 16;

/** The most pieces of an item to read; encoders write one. */
const MAX_EXTENTS = 16;

/** Rejects when the structure is broken. */
export async function findAvifBlocks(readAt: ReadAt): Promise<Blocks> {
  const { boxes } = boxesIn(await readMeta(readAt), ['iinf', 'iloc']);
  const bodyOf = (type: string) => boxes.find((box) => box.type === type)?.body;
  const ids = itemIds(bodyOf('iinf') ?? NOTHING);
  const iloc = bodyOf('iloc');
  const places = iloc === undefined ? new Map<number, Extent[]>() : itemPlaces(iloc);
  const read = async (type: string) => {
    const extents = places.get(ids.get(type) ?? -1) ?? [];
    const lengthBytes = extents.reduce((sum, extent) => sum + extent.lengthBytes, 0);
    if (lengthBytes === 0 || lengthBytes > MAX_BLOCK_BYTES || extents.length > MAX_EXTENTS) return undefined;
    return Buffer.concat(await Promise.all(extents.map((extent) => readAt(extent.at, extent.lengthBytes))));
  };
  const exif = await read('Exif');
  return { exif: exif && tiffOf(exif), xmp: await read('application/rdf+xml') };
}

/** The first field is the length of the data before the TIFF. */
function tiffOf(item: Buffer): Buffer {
  return item.length < 4 ? NOTHING : item.subarray(4 + item.readUInt32BE(0));
}

async function readMeta(readAt: ReadAt): Promise<Buffer> {
  for await (const { type, at, lengthBytes } of partsOf(readAt, walkBoxes, MAX_BOXES)) {
    if (type !== 'meta') continue;
    return readAt(at + FULL_BOX_BYTES, Math.min(lengthBytes - FULL_BOX_BYTES, MAX_BLOCK_BYTES));
  }
  return NOTHING;
}

/** Returns the ids of items by item type, of `mime` items by content type. */
function itemIds(iinf: Buffer): Map<string, number> {
  const ids = new Map<string, number>();
  const countBytes = iinf[0] === 0 ? 2 : 4;
  for (const { body } of boxesIn(iinf.subarray(FULL_BOX_BYTES + countBytes), ['infe']).boxes) {
    if (body[0]! < 2) continue;
    const idBytes = body[0] === 2 ? 2 : 4;
    const typeAt = FULL_BOX_BYTES + idBytes + 2;
    const itemType = body.toString('latin1', typeAt, typeAt + 4);
    // The type is followed by a name and, for a mime item, its content type, each with a NUL.
    const contentType = body.toString('latin1', typeAt + 4).split('\0')[1] ?? '';
    ids.set(itemType === 'mime' ? contentType : itemType, body.readUIntBE(FULL_BOX_BYTES, idBytes));
  }
  return ids;
}

/** Returns the extents of the items in this file, by item id. */
function itemPlaces(iloc: Buffer): Map<number, Extent[]> {
  const places = new Map<number, Extent[]>();
  for (const { id, constructionMethod, extents } of itemsIn(iloc)) {
    if (constructionMethod === 0) places.set(id, extents);
  }
  return places;
}
