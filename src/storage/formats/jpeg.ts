/** Parses JPEG: the markers from SOI through the scans to EOI. */
import { type Dimensions, dimensions, type Format, type Parser } from './parser.ts';
import { type Demand, damaged, read, readInto, type Scan, scan, type Visit, type Walk } from './walk.ts';

const FF = 0xff;
const SOI = 0xd8;
const EOI = 0xd9;
export const SOS = 0xda;
const TEM = 0x01;
const NO_MARKER = 0;
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
  let { code, end } = yield* nextMarker(2, false);
  while (code !== EOI) {
    if (!hasNoBody(code)) {
      if (isReserved(code) || code === SOI) throw damaged('no JPEG marker where one must be');
      const length = (yield read(end, LENGTH_BYTES)).readUInt16BE(0);
      if (length < LENGTH_BYTES) throw damaged('a JPEG segment with an impossible length');
      const reading = visit({ type: code, at: end + LENGTH_BYTES, lengthBytes: length - LENGTH_BYTES });
      if (reading !== undefined) yield* reading;
      end += length;
    }
    ({ code, end } = yield* nextMarker(end, code === SOS));
  }
}

interface Marker {
  code: number;
  /** The offset after it. */
  end: number;
}

/**
 * Finds the next marker; skips fill bytes and, with `inData`, entropy-coded data. Returns NO_MARKER when none follows.
 */
function* nextMarker(at: number, inData: boolean): Generator<Demand, Marker, Buffer> {
  const marker = { code: NO_MARKER, end: at };
  let afterFF = false;
  const look: Scan = (chunk, from) => {
    let at = from;
    for (;;) {
      if (inData && !afterFF) {
        at = chunk.indexOf(FF, at) + 1;
        if (at === 0) return -1;
        afterFF = true;
      }
      if (at === chunk.length) return -1;
      const code = chunk[at]!;
      at += 1;
      // FF00 is the byte FF itself, and data continues after a restart.
      if (inData && (code === 0 || isRestart(code))) afterFF = false;
      else if (code === FF) afterFF = true;
      else {
        if (afterFF) marker.code = code;
        return at;
      }
    }
  };
  yield scan(at, (chunk, from) => {
    const to = look(chunk, from);
    marker.end += (to === -1 ? chunk.length : to) - from;
    return to;
  });
  return marker;
}

function* parse(): Parser {
  const found: { size?: Dimensions; hasScan?: boolean } = {};
  yield* walkJpeg(({ type: code, at, lengthBytes }) => {
    found.hasScan ||= code === SOS;
    if (!isFrame(code)) return undefined;
    if (lengthBytes < 6) throw damaged('a JPEG frame header that is too short');
    return readInto(at, lengthBytes, (header) => {
      found.size = dimensions(header.readUInt16BE(3), header.readUInt16BE(1));
    });
  });
  if (found.size === undefined || !found.hasScan) throw damaged('a JPEG without an image before its end');
  return found.size;
}
