/** Looks through what an HTTP/2 connection begins with, before anything is made of it. */

/** See RFC 9113, sections 3.4 and 4.1. */
const PREFACE_BYTES = 24;
const FRAME_HEADER_BYTES = 9;
const TYPE_AT = 3;
const STREAM_AT = 5;
const HEADERS = 0x1;
/** Without the bit that is reserved. */
const STREAM_MASK = 0x7fff_ffff;

/** Returns how many streams the frames behind the preface open. */
export function streamsOpenedIn(first: Buffer): number {
  let [opened, latest] = [0, 0];
  for (let at = PREFACE_BYTES; at + FRAME_HEADER_BYTES <= first.length; ) {
    const stream = first.readUInt32BE(at + STREAM_AT) & STREAM_MASK;
    // A stream may have headers behind its body, too.
    if (first[at + TYPE_AT] === HEADERS && stream > latest) {
      opened += 1;
      latest = stream;
    }
    at += FRAME_HEADER_BYTES + first.readUIntBE(at, 3);
  }
  return opened;
}
