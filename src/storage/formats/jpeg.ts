/** JPEG: the markers from SOI over the scans to EOI. */
import {
  type Dimensions,
  damaged,
  dimensions,
  type Format,
  type Parser,
  type Scan,
  scan,
  skip,
  take,
} from './parser.ts';

const FF = 0xff;
const SOI = 0xd8;
const EOI = 0xd9;
const SOS = 0xda;
const TEM = 0x01;
/** The frame headers; among their codes are DHT (C4), JPG (C8) and DAC (CC). */
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

function* parse(): Parser {
  yield skip(2);
  let size: Dimensions | undefined;
  let hasScan = false;
  let code = yield* nextMarker();
  while (code !== EOI) {
    if (!hasNoBody(code)) {
      const body = yield* bodyLength(code);
      if (isFrame(code)) size = yield* frame(body);
      else yield skip(body);
    }
    if (code === SOS) {
      hasScan = true;
      code = yield* scanData();
    } else {
      code = yield* nextMarker();
    }
  }
  if (size === undefined || !hasScan) throw damaged('a JPEG without an image before its end');
  return size;
}

type Part<T> = Generator<ReturnType<typeof take>, T, Buffer>;

/** A marker may be preceded by any number of fill bytes. */
function* nextMarker(): Part<number> {
  if ((yield take(1))[0] !== FF) throw damaged('no JPEG marker where one must be');
  let code = FF;
  while (code === FF) code = (yield take(1))[0]!;
  return code;
}

function* bodyLength(code: number): Part<number> {
  if (isReserved(code) || code === SOI) throw damaged('no JPEG marker where one must be');
  const length = (yield take(2)).readUInt16BE(0);
  if (length < 2) throw damaged('a JPEG segment with an impossible length');
  return length - 2;
}

function* frame(body: number): Part<Dimensions> {
  if (body < 6) throw damaged('a JPEG frame header that is too short');
  const header = yield take(body);
  return dimensions(header.readUInt16BE(3), header.readUInt16BE(1));
}

/** Passes over entropy-coded data; answers the marker that ends it. */
function* scanData(): Part<number> {
  let code = 0;
  let afterFF = false;
  const look: Scan = (chunk, from) => {
    let at = from;
    for (;;) {
      if (!afterFF) {
        const found = chunk.indexOf(FF, at);
        if (found === -1) return -1;
        at = found + 1;
        afterFF = true;
      }
      if (at >= chunk.length) return -1;
      code = chunk[at]!;
      at += 1;
      afterFF = code === FF;
      // FF00 is the byte FF itself, a restart goes on with data, and FF may be filled up with more of them.
      if (!afterFF && code !== 0 && !isRestart(code)) return at;
    }
  };
  yield scan(look);
  return code;
}
