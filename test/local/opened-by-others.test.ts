/** The folder that a daemon has written, by the rules of other galleries: which files they find, and what they read in them. */
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname, extname, join, relative } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { connect, type Finding, type ImageStorageClient, type SavedImage } from '../../src/client.ts';
import { exifOf, imageWith } from '../support/exif.ts';
import { gifOf, jpegOf, pngOf, sharedImages } from '../support/images.ts';
import { WITH_PREVIEWS } from '../support/previews.ts';
import { type RunningDaemon, runDaemon } from '../support/running-daemon.ts';

interface Gallery {
  extensions: readonly string[];
  /** Whether folders are entered whose names begin with a dot. */
  entersHidden: boolean;
  /** What it takes for the prompt; undefined without one. */
  promptOf(file: string): string | undefined;
}

/** https://github.com/biagiomaf/smart-comfyui-gallery, smartgallery.py of version 2.14. */
const smartGallery: Gallery = {
  // full_sync_database; get_dynamic_folder_config
  extensions: ['.png', '.jpg', '.jpeg', '.bmp', '.tiff', '.tif', '.webp', '.gif'],
  entersHidden: false,
  // extract_workflow: the graphs in the text of a PNG and in EXIF, else those of the whole file; that of the API first
  promptOf(file) {
    const bytes = readFileSync(file);
    const { workflow = '', prompt = '' } = pngTexts(bytes);
    const told = [workflow, prompt, exifIn(bytes)?.toString() ?? ''].flatMap(graphsIn);
    const graphs = told.length > 0 ? told : graphsIn(bytes.toString());
    return graphs.find((graph) => graph.includes('class_type')) ?? graphs[0];
  },
};

/** https://github.com/zanllp/sd-webui-infinite-image-browsing, scripts/iib of February 2026. */
const infiniteImageBrowsing: Gallery = {
  // tool.py: is_image_file; db/update_image_data.py: update_image_data enters every folder
  extensions: ['.jpg', '.jpeg', '.png', '.gif', '.bmp', '.webp', '.avif', '.jpe'],
  entersHidden: true,
  // tool.py: is_img_created_by_comfyui, get_comfyui_exif_data, read_sd_webui_gen_info_from_image
  promptOf(file) {
    const bytes = readFileSync(file);
    const { prompt, workflow, parameters } = pngTexts(bytes);
    if (prompt !== undefined && (workflow !== undefined || prompt.includes('class_type'))) return graphsIn(prompt)[0];
    const exif = exifIn(bytes);
    const strings = exif?.toString('utf8').split('\0') ?? [];
    const ofComfy = ['workflow:', 'prompt:'].map((begin) =>
      strings.find((text) => text.toLowerCase().startsWith(begin)),
    );
    if (isWebp(bytes) && ofComfy.every((text) => text !== undefined)) return graphsIn(ofComfy[1]!)[0];
    return (userComment(exif) ?? parameters)?.split('\nNegative prompt:')[0];
  },
};

const graph = { 3: { class_type: 'KSampler', inputs: { seed: 7, text: 'a red fox, "tired"' } } };
const canvas = { nodes: [{ id: 3, type: 'KSampler' }], links: [] };
const webui = 'a red fox\nNegative prompt: rain\nSteps: 20, Sampler: Euler a, Seed: 7, Size: 16x16';
const utf16 = Buffer.concat([Buffer.from('UNICODE\0'), Buffer.from(webui, 'utf16le').swap16()]);
const inWebp = { model: `workflow:${JSON.stringify(canvas)}`, make: `prompt:${JSON.stringify(graph)}` };

let daemon: RunningDaemon;
let client: ImageStorageClient;
let images: Record<string, SavedImage>;
/** `outputs` */
let base: string;
beforeAll(async () => {
  daemon = await runDaemon({ ...WITH_PREVIEWS, IMAGE_STORAGE_PROVIDERS_LOCAL_TRASH_DAYS: '7' });
  client = connect(daemon.address);
  const texts = { prompt: JSON.stringify(graph), workflow: JSON.stringify(canvas) };
  const files = {
    comfyPng: pngOf({ width: 16, height: 16, text: texts }),
    webuiPng: pngOf({ width: 16, height: 16, seed: 1, text: { parameters: webui } }),
    webuiJpeg: await imageWith('jpeg', { exif: exifOf({ comment: utf16 }) }),
    comfyWebp: await imageWith('webp', { exif: exifOf(inWebp) }),
    gif: gifOf({ width: 16, height: 16 }),
    avif: await imageWith('avif', {}),
    ...Object.fromEntries(sharedImages().map(({ name, bytes }) => [name, bytes])),
  };
  images = {};
  for (const [at, [name, bytes]] of Object.entries(files).entries()) {
    const timestamp = new Date(Date.UTC(2024, at % 12, 1 + (at % 28), 12));
    images[name] = await client.save(bytes, { model: `Model/${at % 3}`, timestamp });
  }
  base = images.gif!.path!.slice(0, images.gif!.path!.indexOf('/images/'));
  const { filename } = await client.save(jpegOf({ width: 8, height: 8 }));
  await client.delete(filename);
});
afterAll(async () => {
  client.close();
  await daemon.close();
});

describe.each([
  ['SmartGallery', smartGallery],
  ['Infinite Image Browsing', infiniteImageBrowsing],
])('%s', (_name, gallery) => {
  it.each(['images', 'images/generations'])('finds every image below %s that it knows, and nothing else', (root) => {
    const known = Object.values(images).filter(({ path }) => gallery.extensions.includes(extname(path!)));
    expect(known.length).toBeGreaterThanOrEqual(5);
    expect(found(gallery, join(base, root))).toEqual(known.map(({ path }) => path!).sort());
  });

  it('would find what was deleted, too, were it pointed at the whole store', () => {
    const others = found(gallery, base).filter((path) => !path.startsWith(join(base, 'images')));
    const folders = others.map((path) => relative(base, dirname(path)).split('/')[1]);
    // And previews, as soon as there are any.
    expect(folders.filter((folder) => folder !== 'previews')).toEqual(['trash']);
  });

  it('sees files that everybody may read, as the umask has it', () => {
    const readable = found(gallery, join(base, 'images')).filter((path) => (statSync(path).mode & 0o444) === 0o444);
    expect(readable).toHaveLength(found(gallery, join(base, 'images')).length);
  });
});

it.each<[string, string | undefined, string | undefined]>([
  ['comfyPng', JSON.stringify(graph), JSON.stringify(graph)],
  ['comfyWebp', JSON.stringify(graph), JSON.stringify(graph)],
  ['webuiPng', undefined, 'a red fox'],
  ['webuiJpeg', undefined, 'a red fox'],
  ['gif', undefined, undefined],
])('the prompt of %s is read as from the file that was saved', (name, smart, infinite) => {
  const { path } = images[name]!;
  expect(smartGallery.promptOf(path!)).toBe(smart);
  expect(infiniteImageBrowsing.promptOf(path!)).toBe(infinite);
});

describe('what a gallery does to the folder', () => {
  it('is named by verify, and nothing of it is taken for an image', async () => {
    const [gone, renamed] = [await client.save(pngOf({ width: 8, height: 8, seed: 8 })), images.webuiPng!];
    rmSync(gone.path!);
    const mine = join(dirname(renamed.path!), 'fox, the best.png');
    renameSync(renamed.path!, mine);
    const cache = join(base, 'images', '.thumbnails_cache');
    mkdirSync(cache);
    writeFileSync(join(cache, '0123456789abcdef.jpeg'), jpegOf({ width: 8, height: 8 }));

    const named = (findings: Finding[]) => findings.map(({ problem, key, remedy }) => [problem, key, remedy]).sort();
    const keyOf = (path: string) => `outputs/${relative(base, path)}`;
    const foreign = [mine, join(cache, '0123456789abcdef.jpeg')].map(keyOf);
    expect(named(await verified())).toEqual(
      [
        ['bytes_missing', gone.key, 'none'],
        ['bytes_missing', renamed.key, 'none'],
        ...foreign.map((key) => ['foreign', key, 'none']),
      ].sort(),
    );

    renameSync(mine, renamed.path!);
    expect(named(await verified({ repair: true, forgetMissing: true }))).toEqual(
      [
        ['bytes_missing', gone.key, 'forgotten'],
        ['foreign', foreign[1], 'quarantined'],
      ].sort(),
    );
    expect(await verified()).toEqual([]);
  });
});

async function verified(options: { repair?: boolean; forgetMissing?: boolean } = {}): Promise<Finding[]> {
  const findings: Finding[] = [];
  for await (const event of client.verify(options)) if (event.kind === 'finding') findings.push(event.finding);
  return findings;
}

function found(gallery: Gallery, folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true })
    .flatMap((entry) => {
      const path = join(folder, entry.name);
      if (entry.isDirectory()) return gallery.entersHidden || !entry.name.startsWith('.') ? found(gallery, path) : [];
      return gallery.extensions.includes(extname(entry.name).toLowerCase()) ? [path] : [];
    })
    .sort();
}

/** As Pillow has them in `info`. */
function pngTexts(bytes: Buffer): Record<string, string> {
  const texts: Record<string, string> = {};
  if (bytes.toString('latin1', 1, 4) !== 'PNG') return texts;
  for (let at = 8; at < bytes.length; at += 12 + bytes.readUInt32BE(at)) {
    if (bytes.toString('latin1', at + 4, at + 8) !== 'tEXt') continue;
    const [keyword = '', text = ''] = bytes.toString('latin1', at + 8, at + 8 + bytes.readUInt32BE(at)).split('\0');
    texts[keyword] = text;
  }
  return texts;
}

/** The EXIF of a JPEG or a WebP. */
function exifIn(bytes: Buffer): Buffer | undefined {
  if (isWebp(bytes)) {
    for (let at = 12; at < bytes.length; at += 8 + bytes.readUInt32LE(at + 4) + (bytes.readUInt32LE(at + 4) % 2)) {
      const end = at + 8 + bytes.readUInt32LE(at + 4);
      if (bytes.toString('latin1', at, at + 4) === 'EXIF') return bytes.subarray(at + 8, end);
    }
    return undefined;
  }
  const at = bytes.indexOf('Exif\0\0', 0, 'latin1');
  return bytes.readUInt16BE(0) === 0xffd8 && at > 0 ? bytes.subarray(at, at + bytes.readUInt16BE(at - 2)) : undefined;
}

function isWebp(bytes: Buffer): boolean {
  return bytes.toString('latin1', 8, 12) === 'WEBP';
}

/** In big-endian UTF-16, as piexif writes it. */
function userComment(exif: Buffer | undefined): string | undefined {
  const at = exif?.indexOf('UNICODE\0', 0, 'latin1') ?? -1;
  if (exif === undefined || at < 0) return undefined;
  const text = Buffer.from(exif.subarray(at + 8, at + 8 + webui.length * 2));
  return text.swap16().toString('utf16le');
}

/** The JSON objects of the text that are graphs, of the canvas or of the API. */
function graphsIn(text: string): string[] {
  const graphs: string[] = [];
  for (let start = text.indexOf('{'); start >= 0; start = text.indexOf('{', start + 1)) {
    const object = objectAt(text, start);
    const isGraph =
      'nodes' in (object ?? {}) || Object.values(object ?? {}).some((node) => 'class_type' in Object(node));
    if (isGraph) graphs.push(JSON.stringify(object));
  }
  return graphs;
}

function objectAt(text: string, start: number): Record<string, unknown> | undefined {
  let depth = 0;
  for (let at = start; at < text.length; at += 1) {
    if (text[at] === '{') depth += 1;
    if (text[at] === '}') depth -= 1;
    if (depth > 0) continue;
    try {
      return JSON.parse(text.slice(start, at + 1));
    } catch {
      return undefined;
    }
  }
  return undefined;
}
