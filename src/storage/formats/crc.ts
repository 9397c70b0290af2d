/** Computes the CRC-32 of PNG (ISO 3309) over bytes as they pass. */
import { crc32 } from 'node:zlib';
import { FoldedCrc } from './folded-crc.ts';

/** Below this, collecting costs more than the bytes. */
const FEW_BYTES = 48;

const TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte;
  for (let bit = 0; bit < 8; bit += 1) crc = (crc >>> 1) ^ (crc & 1 ? 0xedb88320 : 0);
  return crc;
});

/** One for all, so that it stays in the processor's cache. */
let folded: FoldedCrc | undefined;
/** Whose bytes are in it. */
let collecting: RunningCrc | undefined;

/** The CRC of bytes that come in pieces, which are copied until they are many enough to be computed at once. */
export class RunningCrc {
  #crc: number;

  /** `crc` is that of what came before. */
  constructor(crc: number) {
    this.#crc = crc;
  }

  /** Continues with the bytes from `from` up to `to`. */
  take(bytes: Buffer, from: number, to: number): void {
    if (collecting !== this && to - from < FEW_BYTES) this.#crc = byTable(this.#crc, bytes, from, to);
    else this.#collect(bytes, from, to);
  }

  /** Returns the CRC of all bytes so far. */
  value(): number {
    if (collecting === this) {
      this.#compute();
      collecting = undefined;
    }
    return this.#crc;
  }

  #collect(bytes: Buffer, from: number, to: number): void {
    folded ??= new FoldedCrc();
    if (collecting !== undefined && collecting !== this) collecting.#compute();
    collecting = this;
    for (let at = from; at < to; ) {
      const end = Math.min(to, at + folded.room);
      folded.collect(at === 0 && end === bytes.length ? bytes : bytes.subarray(at, end));
      if (folded.room === 0) this.#compute();
      at = end;
    }
  }

  #compute(): void {
    this.#crc = folded!.continueCrc(this.#crc);
  }
}

function byTable(crc: number, bytes: Buffer, from: number, to: number): number {
  let inverted = ~crc;
  for (let at = from; at < to; at += 1) inverted = (inverted >>> 8) ^ TABLE[(inverted ^ bytes[at]!) & 0xff]!;
  return ~inverted >>> 0;
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
