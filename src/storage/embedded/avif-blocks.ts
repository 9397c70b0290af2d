/** Finds the EXIF and XMP items of an AVIF (ISO/IEC 14496-12, 8.11). */
import { type Blocks, MAX_BLOCK_BYTES } from './metadata-blocks.ts';
import type { ReadAt } from './read-at.ts';

interface Box {
  type: string;
  body: Buffer;
}

type Extent = [position: number, lengthBytes: number];

/** Boxes before `meta`; there are one or two. */
const MAX_BOXES = 16;
const FULL_BOX_BYTES = 4;

/** Rejects where a box reaches beyond the one around it. */
export async function findAvifBlocks(readAt: ReadAt): Promise<Blocks> {
  const boxes = childrenOf(await readMeta(readAt));
  const bodyOf = (type: string) => boxes.find((box) => box.type === type)?.body ?? Buffer.alloc(0);
  const items = itemTypes(bodyOf('iinf'));
  const places = itemPlaces(bodyOf('iloc'));
  const read = async (type: string) => {
    const extents = places.get(items.get(type) ?? -1) ?? [];
    const lengthBytes = extents.reduce((sum, [, length]) => sum + length, 0);
    if (lengthBytes === 0 || lengthBytes > MAX_BLOCK_BYTES) return undefined;
    return Buffer.concat(await Promise.all(extents.map(([position, length]) => readAt(position, length))));
  };
  const exif = await read('Exif');
  // Its first field is the length of what stands before the TIFF.
  return { exif: exif?.subarray(4 + exif.readUInt32BE(0)), xmp: await read('application/rdf+xml') };
}

async function readMeta(readAt: ReadAt): Promise<Buffer> {
  for (let at = 0, box = 0; box < MAX_BOXES; box += 1) {
    const header = await readAt(at, 8);
    if (header.length < 8) break;
    const lengthBytes = header.readUInt32BE(0);
    if (lengthBytes < 8) break;
    if (header.toString('latin1', 4) === 'meta') {
      return readAt(at + 8 + FULL_BOX_BYTES, Math.min(lengthBytes - 8 - FULL_BOX_BYTES, MAX_BLOCK_BYTES));
    }
    at += lengthBytes;
  }
  return Buffer.alloc(0);
}

function childrenOf(parent: Buffer): Box[] {
  const boxes: Box[] = [];
  for (let at = 0; at + 8 <= parent.length; ) {
    const lengthBytes = parent.readUInt32BE(at);
    if (lengthBytes < 8) break;
    boxes.push({ type: parent.toString('latin1', at + 4, at + 8), body: parent.subarray(at + 8, at + lengthBytes) });
    at += lengthBytes;
  }
  return boxes;
}

/** Items by type, those of type `mime` by what they contain. */
function itemTypes(iinf: Buffer): Map<string, number> {
  const types = new Map<string, number>();
  const countBytes = iinf[0] === 0 ? 2 : 4;
  for (const { type, body } of childrenOf(iinf.subarray(FULL_BOX_BYTES + countBytes))) {
    if (type !== 'infe' || body[0]! < 2) continue;
    const idBytes = body[0] === 2 ? 2 : 4;
    const typeAt = FULL_BOX_BYTES + idBytes + 2;
    const itemType = body.toString('latin1', typeAt, typeAt + 4);
    // Behind the type stand a name and, of a mime item, its content type, each with a NUL.
    const contentType = body.toString('latin1', typeAt + 4).split('\0')[1] ?? '';
    types.set(itemType === 'mime' ? contentType : itemType, body.readUIntBE(FULL_BOX_BYTES, idBytes));
  }
  return types;
}

/** Where in the file the items lie; those that lie in `meta` itself are left out. */
function itemPlaces(iloc: Buffer): Map<number, Extent[]> {
  let at = FULL_BOX_BYTES;
  const field = (bytes: number) => {
    let value = 0;
    for (let end = at + bytes; at < end; at += 1) value = value * 256 + iloc.readUInt8(at);
    return value;
  };
  const places = new Map<number, Extent[]>();
  if (iloc.length === 0) return places;
  const version = iloc[0]!;
  const sizes = field(2);
  const [offsetBytes, lengthBytes, baseBytes] = [sizes >> 12, (sizes >> 8) & 15, (sizes >> 4) & 15] as const;
  const indexBytes = version === 0 ? 0 : sizes & 15;
  const idBytes = version < 2 ? 2 : 4;
  for (let items = field(idBytes); items > 0; items -= 1) {
    const id = field(idBytes);
    const inFile = version === 0 || (field(2) & 15) === 0;
    field(2);
    const base = field(baseBytes);
    const extents: Extent[] = [];
    // Extents without fields would cost a loop and no bytes.
    for (let left = field(2) * Math.sign(indexBytes + offsetBytes + lengthBytes); left > 0; left -= 1) {
      field(indexBytes);
      extents.push([base + field(offsetBytes), field(lengthBytes)]);
    }
    if (inFile) places.set(id, extents);
  }
  return places;
}
