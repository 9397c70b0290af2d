/** Parses JPEG: the markers from SOI through the scans to EOI. */
import { type Dimensions, dimensions, type Format, type Parser } from './parser.ts';
import { checkParts, damaged, NOTHING, read, readInto, type Visit, type Walk } from './walk.ts';

const FF = 0xff;
const SOI = 0xd8;
const EOI = 0xd9;
export const SOS = 0xda;
export const APP1 = 0xe1;
export const COM = 0xfe;
const TEM = 0x01;
const LENGTH_BYTES = 2;
/** The frame headers; their range of codes includes DHT (C4), JPG (C8) and DAC (CC). */
const isFrame = (code: number) => code >= 0xc0 && code <= 0xcf && code !== 0xc4 && code !== 0xc8 && code !== 0xcc;
const isRestart = (code: number) => code >= 0xd0 && code <= 0xd7;
const hasNoBody = (code: number) => code === TEM || isRestart(code);
const isReserved = (code: number) => code < 0xc0 && code !== TEM;

export const jpeg: Format = {
  contentType: 'image/jpeg',
  extension: 'jpg',
  name: 'JPEG',
  end: 'end-of-image marker',
  matches: (head) => head[0] === FF && head[1] === SOI && head[2] === FF,
  parse,
};

/** Walks the segments after SOI, each with its code as type, up to EOI; skips entropy-coded data. */
export function* walkJpeg(visit: Visit<number>): Walk {
  let at = 2;
  let [bytes, bytesAt] = [NOTHING, at];
  let [inData, afterFF] = [false, false];
  for (let parts = 0; ; ) {
    if (at >= bytesAt + bytes.length) [bytes, bytesAt] = [yield read(at, 1), at];
    if (inData && !afterFF) {
      at = bytesAt + indexBehindFF(bytes, at - bytesAt);
      afterFF = bytes[at - bytesAt - 1] === FF;
      continue;
    }
    const code = bytes[at - bytesAt]!;
    at += 1;
    if (code === FF) {
      afterFF = true;
      continue;
    }
    if (!afterFF) throw damaged('no JPEG marker where one must be');
    afterFF = false;
    // FF00 is the byte FF itself, and data continues after a restart.
    if (inData && (code === 0 || isRestart(code))) continue;
    inData = code === SOS;
    if (code === EOI) break;
    parts += 1;
    checkParts(parts);
    if (hasNoBody(code)) continue;
    if (isReserved(code) || code === SOI) throw damaged('no JPEG marker where one must be');
    if (at + LENGTH_BYTES > bytesAt + bytes.length) [bytes, bytesAt] = [yield read(at, LENGTH_BYTES), at];
    const length = bytes.readUInt16BE(at - bytesAt);
    if (length < LENGTH_BYTES) throw damaged('a JPEG segment with an impossible length');
    const reading = visit({ type: code, at: at + LENGTH_BYTES, lengthBytes: length - LENGTH_BYTES });
    if (reading !== undefined) {
      yield* reading;
      bytes = NOTHING;
    }
    at += length;
  }
}

/** Up to here the next FF is searched without a call, which costs as much as so many bytes. */
const NEAR_BYTES = 32;

/** Returns the index behind the next FF, or the length where there is none. */
function indexBehindFF(bytes: Buffer, from: number): number {
  const near = Math.min(bytes.length, from + NEAR_BYTES);
  for (let at = from; at < near; at += 1) if (bytes[at] === FF) return at + 1;
  const found = near === bytes.length ? -1 : bytes.indexOf(FF, near);
  return found === -1 ? bytes.length : found + 1;
}

function* parse(): Parser {
  const found: { size?: Dimensions; hasScan?: boolean; isBare: boolean } = { isBare: true };
  yield* walkJpeg(({ type: code, at, lengthBytes }) => {
    found.hasScan ||= code === SOS;
    found.isBare &&= code !== APP1 && code !== COM;
    if (!isFrame(code)) return undefined;
    if (lengthBytes < 6) throw damaged('a JPEG frame header that is too short');
    // Decoders take the first.
    if (found.size !== undefined) return undefined;
    return readInto(at, lengthBytes, (header) => {
      found.size = dimensions(header.readUInt16BE(3), header.readUInt16BE(1));
    });
  });
  if (found.size === undefined || !found.hasScan) throw damaged('a JPEG without an image before its end');
  return { ...found.size, isBare: found.isBare };
}
