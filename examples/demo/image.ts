/** Draws a picture of soft coloured light, a PNG of about 1 MB. */
import { crc32, deflateSync } from 'node:zlib';

const SIDE = 640;

export function demoImage(seed: number): Buffer {
  const rows = Buffer.alloc(SIDE * (SIDE * 3 + 1));
  let noise = (seed * 2654435761) >>> 0 || 1;
  for (let y = 0, at = 0; y < SIDE; y += 1) {
    rows[at++] = 0;
    for (let x = 0; x < SIDE; x += 1) {
      noise = (Math.imul(noise, 1664525) + 1013904223) >>> 0;
      const grain = noise >>> 28;
      rows[at++] = (x * 0.3 + seed * 40 + grain) & 255;
      rows[at++] = (y * 0.25 + ((x * y) >> 10) + grain) & 255;
      rows[at++] = (160 + Math.sin((x + y + seed * 50) / 90) * 70 + grain) & 255;
    }
  }
  const header = Buffer.from([0, 0, 0, 0, 0, 0, 0, 0, 8, 2, 0, 0, 0]);
  header.writeUInt32BE(SIDE, 0);
  header.writeUInt32BE(SIDE, 4);
  const signature = Buffer.from('\x89PNG\r\n\x1a\n', 'latin1');
  return Buffer.concat([
    signature,
    chunk('IHDR', header),
    chunk('IDAT', deflateSync(rows, { level: 1 })),
    chunk('IEND', Buffer.alloc(0)),
  ]);
}

/** Returns whether a PNG is whole: it ends with IEND. */
export function isWhole(bytes: Uint8Array): boolean {
  return Buffer.from(bytes.subarray(-12)).equals(chunk('IEND', Buffer.alloc(0)));
}

function chunk(type: string, data: Buffer): Buffer {
  const body = Buffer.concat([Buffer.from(type, 'latin1'), data]);
  const [length, crc] = [Buffer.alloc(4), Buffer.alloc(4)];
  length.writeUInt32BE(data.length);
  crc.writeUInt32BE(crc32(body));
  return Buffer.concat([length, body, crc]);
}
