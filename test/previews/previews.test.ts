/** Previews of images over HTTP: widths, what they look like, what they keep of the file, and what stands in for one. */
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import sharp, { type Sharp } from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Image } from '../../gen/imagestorage/v1/image_storage_pb.ts';
import { SCOPES } from '../../src/auth/scope.ts';
import { newToken, tokenLine } from '../../src/auth/tokens.ts';
import { connect } from '../../src/client.ts';
import { saveAt, storageAt } from '../support/grpc.ts';
import { avifOf, pngChunk, pngOf, uint32 } from '../support/images.ts';
import { WITH_PREVIEWS } from '../support/previews.ts';
import { type RunningDaemon, runDaemon } from '../support/running-daemon.ts';

let daemon: RunningDaemon;
beforeAll(async () => {
  daemon = await runDaemon(WITH_PREVIEWS);
});
afterAll(() => daemon.close());

interface Json {
  thumbHash: string;
  images: Json[];
}

type Rgb = [red: number, green: number, blue: number];
const BLUE: Rgb = [40, 120, 200];
const colourOf = ([r, g, b]: Rgb) => ({ r, g, b });
const surface = (width: number, height: number, colour = BLUE) =>
  sharp({ create: { width, height, channels: 3, background: colourOf(colour) } });

const previewOf = (image: Image, query: string, init?: RequestInit) =>
  fetch(`http://${daemon.address}${image.url}${query}`, init);

async function bodyOf(response: Response): Promise<Buffer> {
  expect(response.status).toBe(200);
  return Buffer.from(await response.arrayBuffer());
}

async function madeOf(original: Buffer | Sharp, query = '?width=320'): Promise<Sharp> {
  const bytes = Buffer.isBuffer(original) ? original : await original.toBuffer();
  const response = await previewOf(await saveAt(daemon.address, bytes), query);
  expect(response.headers.get('content-type')).toBe('image/webp');
  return sharp(await bodyOf(response));
}

/** The colour of the pixel there, as parts of width and height. */
async function colourAt(preview: Sharp, x: number, y: number): Promise<Rgb> {
  const { data, info } = await preview.clone().removeAlpha().raw().toBuffer({ resolveWithObject: true });
  const at = (Math.floor(y * info.height) * info.width + Math.floor(x * info.width)) * info.channels;
  return [data[at]!, data[at + 1]!, data[at + 2]!];
}

function expectNear(found: Rgb, wanted: Rgb, within = 6): void {
  const distance = Math.max(...found.map((value, at) => Math.abs(value - wanted[at]!)));
  expect(distance, `${found} instead of ${wanted}`).toBeLessThanOrEqual(within);
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

  it('of a high image fits as well', async () => {
    const { width, height } = await (await madeOf(surface(500, 1000).png())).metadata();
    expect([width, height]).toEqual([160, 320]);
  });

  it('has an ETag of its own, and is not sent again', async () => {
    const response = await previewOf(image, '?width=500');
    const etag = `"${Buffer.from(image.sha256).toString('hex')}-w640-v1"`;
    expect([response.headers.get('etag'), response.headers.get('content-type')]).toEqual([etag, 'image/webp']);
    expect(response.headers.get('cache-control')).toBe('private, max-age=31536000, immutable, no-transform');
    expect(response.headers.get('content-disposition')).toMatch(/^inline; filename="\w+_unknown_\w+-w640\.webp"/);
    const again = await previewOf(image, '?width=500', { headers: { 'if-none-match': etag } });
    expect([again.status, await again.text()]).toEqual([304, '']);
  });

  it('has the same headers for HEAD, and no body', async () => {
    const [got, asked] = await Promise.all([
      previewOf(image, '?width=9'),
      previewOf(image, '?width=9', { method: 'HEAD' }),
    ]);
    expect(asked.headers.get('content-length')).toBe(`${(await bodyOf(got)).length}`);
    expect(await asked.text()).toBe('');
  });

  it.each(['0', '-1', 'a', '', '1.5'])('of width "%s" is none', async (width) => {
    const response = await previewOf(image, `?width=${width}`);
    expect([response.status, await response.json()]).toMatchObject([400, { reason: 'FIELD_INVALID' }]);
  });

  it('is that of a live image only', async () => {
    const gone = await saveAt(daemon.address, await surface(60, 40).png().toBuffer());
    await bodyOf(await previewOf(gone, '?width=320'));
    await storageAt(daemon.address).delete({ filenames: [gone.filename] });
    expect((await previewOf(gone, '?width=320')).status).toBe(404);
  });
});

describe('an image in the trash', () => {
  it('is shown, and its preview, to whoever may bring it back, and kept by no cache', async () => {
    const tokens = { reader: newToken(), keeper: newToken() };
    const lines = [tokenLine('reader', tokens.reader, ['read']), tokenLine('keeper', tokens.keeper, [...SCOPES])];
    await using locked = await runDaemon({ ...WITH_PREVIEWS, IMAGE_STORAGE_AUTH_TOKENS: lines.join('\n') });
    const asked = async (path: string, token: string, init?: RequestInit) =>
      fetch(`http://${locked.address}${path}`, { ...init, headers: { authorization: `Bearer ${token}` } });
    const [shown, unseen] = [await surface(600, 400).png().toBuffer(), await surface(500, 400).png().toBuffer()];
    const urls: string[] = [];
    for (const bytes of [shown, unseen]) {
      const form = new FormData();
      form.set('file', new Blob([bytes]));
      const saved = await asked('/images', tokens.keeper, { method: 'POST', body: form });
      urls.push(saved.headers.get('location')!);
      if (bytes === shown) await bodyOf(await asked(`${urls[0]}?width=640`, tokens.reader));
      const filename = urls.at(-1)!.split('/').at(-1)!;
      expect((await asked(`/images/${filename}`, tokens.keeper, { method: 'DELETE' })).status).toBe(200);
    }
    for (const [at, url] of urls.entries()) {
      expect((await asked(url, tokens.keeper)).status).toBe(404);
      for (const query of ['?trash=1', '?trash=1&width=640']) {
        const refused = await asked(url + query, tokens.reader);
        expect([refused.status, await refused.json()]).toMatchObject([403, { reason: 'SCOPE_MISSING' }]);
        const response = await asked(url + query, tokens.keeper);
        expect(response.headers.get('cache-control')).toBe('no-store');
        const { width, height } = await sharp(await bodyOf(response)).metadata();
        expect([width, height]).toEqual([at === 0 ? 600 : 500, 400]);
      }
    }
  });
});

describe('looks like its image', () => {
  /** Red left above, blue elsewhere. */
  async function cornered(width: number, height: number): Promise<Buffer> {
    const corner = await surface(width / 2, height / 2, [220, 30, 30])
      .png()
      .toBuffer();
    return surface(width, height)
      .composite([{ input: corner, left: 0, top: 0 }])
      .png()
      .toBuffer();
  }

  it.each([
    [1, 0.2, 0.2],
    [2, 0.8, 0.2],
    [3, 0.8, 0.8],
    [4, 0.2, 0.8],
    [5, 0.2, 0.2],
    [6, 0.8, 0.2],
    [7, 0.8, 0.8],
    [8, 0.2, 0.8],
  ])('stored with orientation %i', async (orientation, x, y) => {
    const stored = sharp(await cornered(400, 200))
      .withMetadata({ orientation })
      .jpeg({ quality: 95 });
    const preview = await madeOf(stored);
    const { width, height, orientation: left } = await preview.metadata();
    expect([width, height, left]).toEqual(orientation < 5 ? [320, 160, undefined] : [160, 320, undefined]);
    expectNear(await colourAt(preview, x, y), [220, 30, 30], 12);
    expectNear(await colourAt(preview, 1 - x, 1 - y), BLUE, 12);
  });

  it.each<[string, Buffer | Sharp]>([
    ['a baseline JPEG', surface(400, 300).jpeg({ quality: 95 })],
    ['a progressive JPEG', surface(400, 300).jpeg({ quality: 95, progressive: true })],
    ['an interlaced PNG', surface(400, 300).png({ progressive: true })],
    ['a PNG with a palette', surface(400, 300).png({ palette: true })],
    ['a PNG of 16 bits', surface(400, 300).toColourspace('rgb16').png()],
    ['a lossless WebP', surface(400, 300).webp({ lossless: true })],
    ['an AVIF', surface(64, 48).avif({ quality: 90, effort: 0 })],
    ['a GIF', surface(400, 300).gif()],
    ['a JPEG in Display P3', surface(400, 300).withIccProfile('p3').jpeg({ quality: 95 })],
  ])('%s', async (_, original) => {
    const preview = await madeOf(original);
    expectNear(await colourAt(preview, 0.5, 0.5), BLUE);
    const { space, hasProfile, depth } = await preview.metadata();
    expect([space, hasProfile, depth]).toEqual(['srgb', false, 'uchar']);
  });

  it('a JPEG in CMYK', async () => {
    const preview = await madeOf(surface(400, 300, [200, 40, 40]).toColourspace('cmyk').jpeg({ quality: 95 }));
    expectNear(await colourAt(preview, 0.5, 0.5), [200, 40, 40], 40);
  });

  it('a grey PNG, and a transparent one', async () => {
    const grey = await madeOf(surface(400, 300, [90, 90, 90]).greyscale().png());
    expectNear(await colourAt(grey, 0.5, 0.5), [90, 90, 90]);
    const clear = sharp({
      create: { width: 400, height: 300, channels: 4, background: { r: 1, g: 2, b: 3, alpha: 0.5 } },
    });
    const { hasAlpha } = await (await madeOf(clear.png())).metadata();
    expect(hasAlpha).toBe(true);
  });

  it.each(['gif', 'webp'] as const)('the first frame of an animated %s', async (format) => {
    const frames = await Promise.all(
      [BLUE, [220, 30, 30] as Rgb].map((colour) => surface(80, 60, colour).png().toBuffer()),
    );
    const preview = await madeOf(sharp(frames, { join: { animated: true } })[format]({ loop: 0 }));
    const { pages, height } = await preview.metadata();
    expect([pages, height]).toEqual([undefined, 60]);
    expectNear(await colourAt(preview, 0.5, 0.5), BLUE, 12);
  });
});

describe('keeps of the metadata', () => {
  const SOURCE = 'http://cv.iptc.org/newscodes/digitalsourcetype/';
  const xmp = (term: string) =>
    `<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description xmlns:e="http://iptc.org/std/Iptc4xmpExt/2008-02-29/" xmlns:dc="http://purl.org/dc/elements/1.1/" dc:rights="Jane Doe"><e:DigitalSourceType>${SOURCE}${term}</e:DigitalSourceType></rdf:Description></rdf:RDF></x:xmpmeta>`;

  it('nothing', async () => {
    const original = surface(64, 64)
      .withExif({ IFD0: { Artist: 'Jane Doe', ImageDescription: 'a red fox' } })
      .withXmp(xmp('digitalCapture'))
      .keepIccProfile()
      .jpeg();
    const { exif, xmp: kept, icc, iptc } = await (await madeOf(original)).metadata();
    expect([exif, kept, icc, iptc]).toEqual([undefined, undefined, undefined, undefined]);
  });

  it.each(['trainedAlgorithmicMedia', 'compositeWithTrainedAlgorithmicMedia', 'algorithmicMedia'])(
    'the label %s, and nothing beside it',
    async (term) => {
      const { exif, xmp: kept } = await (await madeOf(surface(64, 64).withXmp(xmp(term)).jpeg())).metadata();
      const text = `${kept}`;
      expect(exif).toBeUndefined();
      expect(text).toContain(`Iptc4xmpExt:DigitalSourceType="${SOURCE}${term}"`);
      expect(text).not.toMatch(/Jane|rights/);
    },
  );

  it('the label of a C2PA manifest', async () => {
    const png = await surface(64, 64).png().toBuffer();
    const manifest = Buffer.from(
      `jumb c2pa.actions digitalSourceType xF${SOURCE}trainedAlgorithmicMedia softwareAgent`,
    );
    const HEADER_BYTES = 33;
    const labelled = Buffer.concat([
      png.subarray(0, HEADER_BYTES),
      pngChunk('caBX', manifest),
      png.subarray(HEADER_BYTES),
    ]);
    expect(`${(await (await madeOf(labelled)).metadata()).xmp}`).toContain(`${SOURCE}trainedAlgorithmicMedia"`);
  });
});

describe('in place of a preview that cannot be made', () => {
  it('a small original is served, for a minute', async () => {
    const image = await saveAt(daemon.address, avifOf({ width: 64, height: 64 }));
    const response = await previewOf(image, '?width=320');
    expect(response.headers.get('content-type')).toBe('image/avif');
    expect(response.headers.get('cache-control')).toBe('private, max-age=60, no-transform');
    expect(response.headers.get('etag')).toBe(`"${Buffer.from(image.sha256).toString('hex')}"`);
    expect(await bodyOf(response)).toEqual(avifOf({ width: 64, height: 64 }));
    const head = await previewOf(image, '?width=320', { method: 'HEAD' });
    expect(head.headers.get('content-length')).toBe(response.headers.get('content-length'));
  });

  it('a grey surface is served of a bomb of pixels, and of a large file', async () => {
    const bomb = bombOf(60_001, 60_001);
    expect(bomb.length).toBeLessThan(300_000);
    const large = Buffer.concat([pngOf({ width: 8, height: 8, sizeBytes: 300_001 })]);
    const image = await saveAt(daemon.address, bomb);
    const response = await previewOf(image, '?width=320');
    const { format, width, height } = await sharp(await bodyOf(response)).metadata();
    expect([format, width, height]).toEqual(['webp', 32, 32]);
    expect([response.headers.get('cache-control'), response.headers.get('etag')]).toEqual([
      'private, max-age=60, no-transform',
      null,
    ]);
    expect((await previewOf(await saveAt(daemon.address, large), '?width=320')).headers.get('content-type')).toBe(
      'image/webp',
    );
  });
});

describe('behind a Save', () => {
  it('the ThumbHash comes into List, Get and JSON, and the preview of 320 pixels into the cache', async () => {
    const bytes = await surface(300, 200, [10, 200, 90]).png().toBuffer();
    const header = { idempotencyKey: 'with-a-hash', metadata: { model: 'hashed' } };
    const { filename, sha256, path } = await saveAt(daemon.address, bytes, header);
    const jsonOf = async (path: string) => (await fetch(`http://${daemon.address}${path}`)).json() as Promise<Json>;
    const described = () => jsonOf(`/images/${filename}`);
    await expect.poll(async () => (await described()).thumbHash).not.toBe('');
    const { thumbHash } = await described();
    const hash = new Uint8Array(Buffer.from(thumbHash, 'base64'));
    expect(hash.length).toBeGreaterThan(5);
    const client = storageAt(daemon.address);
    for await (const { images } of client.list({ model: 'hashed' })) {
      expect(images.map((image) => image.thumbHash)).toEqual([hash]);
    }
    for await (const { payload } of client.get({ filename, metadataOnly: true })) {
      expect(payload.case === 'image' && payload.value.thumbHash).toEqual(hash);
    }
    expect((await saveAt(daemon.address, bytes, header)).thumbHash).toEqual(hash);
    const reader = connect(daemon.address);
    for await (const image of reader.list({ model: 'hashed' }))
      expect(Buffer.from(image.thumbHash!)).toEqual(Buffer.from(hash));
    reader.close();
    expect((await jsonOf('/images?model=hashed')).images[0]!.thumbHash).toBe(thumbHash);
    const name = Buffer.from(sha256).toString('hex');
    const folder = join(path.replace(/images.generations.*$/, ''), 'metadata', 'previews', name.slice(0, 2));
    expect(await readdir(folder)).toEqual([`${name}-w320-v1.webp`]);
  });
});

/** Whole by its chunks, and a little too small by its pixels. */
function bombOf(width: number, height: number): Buffer {
  const [signature, , idat, end] = splitPng(pngOf({ width: 1, height: 1 }));
  const header = pngChunk('IHDR', Buffer.concat([uint32(width), uint32(height), Buffer.from([1, 0, 0, 0, 0])]));
  return Buffer.concat([signature!, header, idat!, end!]);
}

function splitPng(png: Buffer): Buffer[] {
  const parts = [png.subarray(0, 8)];
  for (let at = 8; at < png.length; ) {
    const end = at + 12 + png.readUInt32BE(at);
    parts.push(png.subarray(at, end));
    at = end;
  }
  return parts;
}
