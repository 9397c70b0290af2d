/** Previews of images over HTTP: widths, what they look like, and what stands in for one. */
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Image } from '../../gen/imagestorage/v1/image_storage_pb.ts';
import { saveAt } from '../support/grpc.ts';
import { type RunningDaemon, runDaemon } from '../support/running-daemon.ts';

let daemon: RunningDaemon;
beforeAll(async () => {
  daemon = await runDaemon();
});
afterAll(() => daemon.close());

const colour = { r: 40, g: 120, b: 200 };
const surface = (width: number, height: number) =>
  sharp({ create: { width, height, channels: 3, background: colour } });

const previewOf = (image: Image, query: string, init?: RequestInit) =>
  fetch(`http://${daemon.address}${image.url}${query}`, init);

async function bodyOf(response: Response): Promise<Buffer> {
  expect(response.status).toBe(200);
  return Buffer.from(await response.arrayBuffer());
}

describe('a preview', () => {
  let image: Image;
  beforeAll(async () => {
    image = await saveAt(daemon.address, await surface(1000, 500).png().toBuffer());
  });

  it.each([
    [320, 320, 160],
    [1, 320, 160],
    [321, 640, 320],
    [640, 640, 320],
    [641, 1000, 500],
    [99999, 1000, 500],
  ])('of width %i is a WebP of %i × %i, never enlarged', async (asked, width, height) => {
    const { format, ...found } = await sharp(await bodyOf(await previewOf(image, `?width=${asked}`))).metadata();
    expect([format, found.width, found.height]).toEqual(['webp', width, height]);
  });

  it('has an ETag of its own, and is not sent again', async () => {
    const response = await previewOf(image, '?width=500');
    const etag = `"${Buffer.from(image.sha256).toString('hex')}-w640-v1"`;
    expect([response.headers.get('etag'), response.headers.get('content-type')]).toEqual([etag, 'image/webp']);
    expect(response.headers.get('cache-control')).toBe('private, max-age=31536000, immutable, no-transform');
    const again = await previewOf(image, '?width=500', { headers: { 'if-none-match': etag } });
    expect([again.status, await again.text()]).toEqual([304, '']);
  });

  it.each(['0', '-1', 'a', '', '1.5'])('of width "%s" is none', async (width) => {
    const response = await previewOf(image, `?width=${width}`);
    expect([response.status, await response.json()]).toMatchObject([400, { reason: 'FIELD_INVALID' }]);
  });
});
