/** Computes the CRC-32 of PNG (ISO 3309) over bytes as they pass. */
import { crc32 } from 'node:zlib';
import { CrcFolding, LEAST_FOLDED_BYTES, MOST_FOLDED_BYTES } from './folded-crc.ts';

/** Below this, a call of zlib costs more than the bytes. */
const FEW_BYTES = 48;

const TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte;
  for (let bit = 0; bit < 8; bit += 1) crc = (crc >>> 1) ^ (crc & 1 ? 0xedb88320 : 0);
  return crc;
});

let folding: CrcFolding | 'impossible' | undefined;

/** Continues the CRC with the bytes from `from` up to `to`. */
export function continueCrc(crc: number, bytes: Buffer, from: number, to: number): number {
  if (to - from < FEW_BYTES) return byTable(crc, bytes, from, to);
  let continued = crc;
  for (let at = from; at < to; at += MOST_FOLDED_BYTES) {
    continued = ofMany(continued, bytes.subarray(at, Math.min(to, at + MOST_FOLDED_BYTES)));
  }
  return continued;
}

function byTable(crc: number, bytes: Buffer, from: number, to: number): number {
  let inverted = ~crc;
  for (let at = from; at < to; at += 1) inverted = (inverted >>> 8) ^ TABLE[(inverted ^ bytes[at]!) & 0xff]!;
  return ~inverted >>> 0;
}

function ofMany(crc: number, bytes: Buffer): number {
  if (bytes.length < LEAST_FOLDED_BYTES) return crc32(bytes, crc);
  folding ??= openFolding();
  return folding === 'impossible' ? crc32(bytes, crc) : folding.continueCrc(crc, bytes);
}

function openFolding(): CrcFolding | 'impossible' {
  try {
    return new CrcFolding();
  } catch {
    return 'impossible';
  }
}

const MAX_KNOWN_TYPES = 256;
const crcOfTypes = new Map<string, number>();

/** Returns the CRC of the four bytes of a type, computed once for frequent ones. */
export function crcOfType(type: string): number {
  const known = crcOfTypes.get(type);
  if (known !== undefined) return known;
  const crc = crc32(Buffer.from(type, 'latin1'));
  if (crcOfTypes.size < MAX_KNOWN_TYPES) crcOfTypes.set(type, crc);
  return crc;
}
