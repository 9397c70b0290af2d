/** What is read from the text, EXIF and XMP that generators leave in their images. */
import { deflateSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { readEmbeddedMetadata } from '../../src/storage/embedded/metadata.ts';
import { readerOf } from '../../src/storage/embedded/read-at.ts';
import { exifOf, imageWith } from '../support/exif.ts';
import {
  box,
  fullBox,
  ilocOf,
  jpegOf,
  jpegSegment,
  noise,
  pngChunk,
  pngOf,
  riff,
  riffChunk,
  sharedImages,
  uint16,
  uint32,
  webpOf,
} from '../support/images.ts';

const SIZE = { width: 8, height: 8 };

/** The beginning of the prompt, the model, and the settings, of the images that ComfyUI wrote as PNG. */
const REAL: Record<string, [string, string, Record<string, unknown>]> = {
  'aura_flow_aura_flow_0.2.png': [
    'a glass filled with glowing fizzy rainbow drink',
    'aura_flow_0.2',
    { seed: 274576428651941, steps: 20, cfg: 3.48, sampler_name: 'euler', scheduler: 'sgm_uniform' },
  ],
  'chroma_fennec_girl_sing.png': [
    'aesthetic 4, cute anime girl with gigantic fennec ears',
    'chroma-unlocked-v29.5',
    { seed: 1056632876965862, steps: 25, cfg: 4, sampler_name: 'euler', scheduler: 'simple' },
  ],
  'controlnet_controlnet.png': [
    '(solo) girl (flat chest:0.9), (fennec ears:1.1)\u00a0 (fox ears:1.1)',
    'Anything-V3.0',
    { seed: 1002496614778823, steps: 16, cfg: 6, sampler_name: 'uni_pc', scheduler: 'normal' },
  ],
  'sd3_sd3_controlnet.png': [
    'happy cute anime fox girl with massive fluffy fennec ears',
    'sd3_medium_incl_clips_t5xxlfp8',
    { seed: 535024431016476, steps: 32, cfg: 4.5, sampler_name: 'euler', scheduler: 'simple' },
  ],
  'sdturbo_sdxlturbo.png': [
    'beautiful landscape scenery glass bottle with a galaxy inside',
    'sd_xl_turbo_1.0_fp16',
    { seed: 0, steps: 1, cfg: 1, sampler_name: 'euler_ancestral' },
  ],
};

describe.each(sharedImages().filter(({ name }) => name in REAL))('$name', ({ name, bytes }) => {
  it('tells prompt, model and settings', async () => {
    const [prompt, model, settings] = REAL[name]!;
    const found = await read(bytes);
    expect(found.prompt?.slice(0, prompt.length)).toBe(prompt);
    expect(found.model).toBe(model);
    const { comfyui, ...rest } = JSON.parse(found.parametersJson!);
    expect(rest).toEqual(settings);
    expect(Object.keys(comfyui).length).toBeGreaterThan(6);
  });
});

describe('a ComfyUI graph', () => {
  const encode = (text: unknown) => ({ class_type: 'CLIPTextEncode', inputs: { text, clip: ['1', 1] } });
  const sampler = (inputs: object) => ({
    class_type: 'KSampler',
    inputs: { model: ['1', 0], positive: ['2', 0], negative: ['3', 0], latent_image: ['5', 0], ...inputs },
  });
  const graph = {
    '1': { class_type: 'CheckpointLoaderSimple', inputs: { ckpt_name: 'SDXL\\folder/juggernaut.v9.safetensors' } },
    '3': encode('ugly'),
    '2': encode('a fox'),
    '4': sampler({}),
    '5': { class_type: 'EmptyLatentImage', inputs: { width: 8 } },
    '9': { class_type: 'SaveImage', inputs: { images: ['4', 0] } },
  };

  it('names the model without folders and extension', async () => {
    expect((await readGraph(graph)).model).toBe('juggernaut.v9');
  });

  it('keeps its numbers as they were written, in settings and graph, and reads what Python writes for NaN', async () => {
    const text = JSON.stringify(graph)
      .replace('"positive"', '"seed":18446744073709551615,"cfg":7.0,"positive"')
      .replace('"width":8', '"is_changed":[NaN, -Infinity],"title":"NaN \\" Infinity"');
    const { parametersJson, prompt } = await read(pngOf({ ...SIZE, text: { prompt: text } }));
    expect(prompt).toBe('a fox');
    expect(parametersJson).toMatch(/^\{"seed":18446744073709551615,"cfg":7\.0,"comfyui":\{.*18446744073709551615/);
    const { comfyui } = JSON.parse(parametersJson!);
    expect(comfyui['5'].inputs).toMatchObject({ is_changed: [null, null], title: 'NaN " Infinity' });
  });

  it('is followed through conditioning nodes, and from texts to the nodes they come from', async () => {
    const { prompt } = await readGraph({
      ...graph,
      '4': sampler({ positive: ['10', 0] }),
      '10': { class_type: 'ControlNetApplyAdvanced', inputs: { negative: ['3', 0], positive: ['11', 0] } },
      '11': { class_type: 'FluxGuidance', inputs: { guidance: 3.5, conditioning: ['12', 0] } },
      '12': { class_type: 'ConditioningCombine', inputs: { conditioning_2: ['3', 0], conditioning_1: ['13', 0] } },
      '13': encode(['14', 0]),
      '14': { class_type: 'StringConcatenate', inputs: { string_a: 'a fox', string_b: ['15', 0], delimiter: ', ' } },
      '15': { class_type: 'PrimitiveString', inputs: { value: 'in the snow' } },
    });
    expect(prompt).toBe('a fox, in the snow');
  });

  it('is read where the sampler is put together from parts', async () => {
    const { prompt, model, parametersJson } = await readGraph({
      '1': { class_type: 'UNETLoader', inputs: { unet_name: 'flux1-dev.sft' } },
      '2': { class_type: 'LoraLoaderModelOnly', inputs: { lora_name: 'style.safetensors', model: ['1', 0] } },
      '3': { class_type: 'CLIPTextEncodeFlux', inputs: { clip_l: 'fox', t5xxl: 'a fox in the snow', clip: ['8', 0] } },
      '4': { class_type: 'BasicGuider', inputs: { model: ['2', 0], conditioning: ['3', 0] } },
      '5': { class_type: 'RandomNoise', inputs: { noise_seed: ['9', 0] } },
      '6': { class_type: 'KSamplerSelect', inputs: { sampler_name: 'euler' } },
      '7': { class_type: 'BasicScheduler', inputs: { scheduler: 'simple', steps: 20, denoise: 1, model: ['2', 0] } },
      '9': { class_type: 'PrimitiveInt', inputs: { value: 42 } },
      '10': {
        class_type: 'SamplerCustomAdvanced',
        inputs: { noise: ['5', 0], guider: ['4', 0], sampler: ['6', 0], sigmas: ['7', 0], latent_image: ['11', 0] },
      },
      '12': { class_type: 'SaveImage', inputs: { images: ['10', 0] } },
    });
    expect({ prompt, model }).toEqual({ prompt: 'a fox in the snow', model: 'flux1-dev' });
    expect(JSON.parse(parametersJson!)).toMatchObject({
      seed: 42,
      steps: 20,
      sampler_name: 'euler',
      scheduler: 'simple',
    });
  });

  it('with several samplers is described by the one that began the saved image', async () => {
    const { parametersJson } = await readGraph({
      '0': sampler({ seed: 1 }),
      ...graph,
      '4': sampler({ seed: 3, latent_image: ['6', 0] }),
      '6': { class_type: 'LatentUpscale', inputs: { samples: ['7', 0] } },
      '7': sampler({ seed: 2 }),
    });
    expect(JSON.parse(parametersJson!).seed).toBe(2);
  });

  it('without a sampler that it knows is searched for texts and loaders', async () => {
    const { prompt, model } = await readGraph({
      '1': { class_type: 'UpscaleModelLoader', inputs: { model_name: '4x.pth' } },
      '2': { class_type: 'SomeLoader', inputs: { model_name: 'wan.gguf' } },
      '3': encode('a fox'),
    });
    expect({ prompt, model }).toEqual({ prompt: 'a fox', model: 'wan' });
  });

  it('does not take the negative prompt for an empty one, nor for the only one', async () => {
    expect((await readGraph({ ...graph, '2': encode('') })).prompt).toBeUndefined();
    const unknown = { class_type: 'Upscale', inputs: { positive: ['2', 0], negative: ['1', 0] } };
    expect((await readGraph({ '1': encode('ugly'), '2': encode('a fox'), '3': unknown })).prompt).toBe('a fox');
  });

  it('is followed through the pipe that some nodes put everything into', async () => {
    const { prompt, model, parametersJson } = await readGraph({
      '1': encode('ugly'),
      '2': { class_type: 'easy fullLoader', inputs: { ckpt_name: 'x.ckpt', positive: 'a fox', negative: ['1', 0] } },
      '3': { class_type: 'easy preSampling', inputs: { steps: 20, seed: 3, pipe: ['2', 0] } },
      '4': { class_type: 'easy kSampler', inputs: { pipe: ['3', 0], model: ['2', 1] } },
    });
    expect({ prompt, model }).toEqual({ prompt: 'a fox', model: 'x' });
    expect(JSON.parse(parametersJson!)).toMatchObject({ seed: 3, steps: 20 });
  });

  it('that runs in circles ends', async () => {
    const circle = { ...graph, '2': encode(['2', 0]), '5': { class_type: 'A', inputs: { samples: ['4', 0] } } };
    expect((await readGraph(circle)).model).toBe('juggernaut.v9');
  });

  it('is left out where it would not fit into the metadata of a save', async () => {
    const large = { ...graph, '5': { class_type: 'Note', inputs: { seed: 1, text: 'x'.repeat(1_050_000) } } };
    const { parametersJson } = await readGraph({ ...large, '4': sampler({ seed: 7 }) });
    expect(parametersJson).toBe('{"seed":7}');
  });
});

describe('A1111 parameters', () => {
  const text = [
    'a fox, (snow:1.2),',
    'blue hour',
    'Negative prompt: ugly,',
    'blurry',
    'Steps: 20, Sampler: DPM++ 2M, CFG scale: 7.0, Seed: 18446744073709551615, Size: 512x768, Model hash: 1234567890, ' +
      'Model: dreamshaper_8, Lora hashes: "a: 1, b: 2", Hashes: {"model": "x", "vae": "y"}, Version: v1.9.4',
  ].join('\n');
  const parameters = {
    steps: 20,
    sampler: 'DPM++ 2M',
    cfg_scale: 7,
    size: '512x768',
    model_hash: '1234567890',
    model: 'dreamshaper_8',
    lora_hashes: 'a: 1, b: 2',
    hashes: '{"model": "x", "vae": "y"}',
    version: 'v1.9.4',
    negative_prompt: 'ugly,\nblurry',
  };

  it('give prompt, model and every setting, numbers as they were written', async () => {
    const { prompt, model, parametersJson } = await read(pngOf({ ...SIZE, text: { parameters: text } }));
    expect({ prompt, model }).toEqual({ prompt: 'a fox, (snow:1.2),\nblue hour', model: 'dreamshaper_8' });
    expect(parametersJson).toContain('"cfg_scale":7.0,"seed":18446744073709551615,');
    expect(JSON.parse(parametersJson!)).toMatchObject(parameters);
  });

  it('may be nothing but a prompt', async () => {
    const bytes = pngOf({ ...SIZE, text: { parameters: '狐, (snow:1.2), (ice:1.1)' } });
    expect(await read(bytes)).toEqual({ prompt: '狐, (snow:1.2), (ice:1.1)' });
  });

  it.each([
    ['tEXt', Buffer.from('parameters\0ein F\xfcchslein', 'latin1')],
    ['tEXt', Buffer.from('parameters\0ein Füchslein')],
    ['zTXt', Buffer.concat([Buffer.from('parameters\0\0'), deflateSync('ein Füchslein')])],
    ['iTXt', Buffer.concat([Buffer.from('parameters\0\x01\0en\0Parameter\0'), deflateSync('ein Füchslein')])],
  ])('are read from %s', async (type, body) => {
    const png = pngOf(SIZE);
    const bytes = Buffer.concat([png.subarray(0, 33), pngChunk(type, body), png.subarray(33)]);
    expect(await read(bytes)).toEqual({ prompt: 'ein Füchslein' });
  });
});

describe('InvokeAI', () => {
  const newest = {
    positive_prompt: 'a fox',
    negative_prompt: 'ugly',
    model: { key: 'x', name: 'juggernaut-xl', base: 'sdxl' },
    steps: 30,
  };
  const older = {
    model: 'stable diffusion',
    model_weights: 'stable-diffusion-1.5',
    image: { prompt: [{ prompt: 'a fox', weight: 1 }], steps: 50, sampler: 'k_lms' },
  };

  it.each([
    ['invokeai_metadata', JSON.stringify(newest), 'juggernaut-xl', { steps: 30, negative_prompt: 'ugly' }],
    ['sd-metadata', JSON.stringify(older), 'stable-diffusion-1.5', { steps: 50, sampler: 'k_lms' }],
    ['Dream', '"a fox" -s 50 -C 7.5 -A k_lms', undefined, { steps: 50, cfg_scale: 7.5, sampler: 'k_lms' }],
  ])('is read from %s', async (keyword, text, model, settings) => {
    const withSeed = text.replace(/"steps":|-s/, (steps) =>
      steps === '-s' ? '-S 18446744073709551615 -s' : `"seed":18446744073709551615,${steps}`,
    );
    const found = await read(pngOf({ ...SIZE, text: { [keyword]: withSeed } }));
    expect(found).toMatchObject({ prompt: 'a fox' });
    expect(found.model).toBe(model);
    expect(found.parametersJson).toContain('"seed":18446744073709551615,');
    expect(JSON.parse(found.parametersJson!)).toMatchObject(settings);
  });
});

it.each([
  ['SwarmUI', '{"sui_image_params":{"prompt":"a fox","model":"sdxl/base.safetensors","seed":18446744073709551615}}'],
  ['Fooocus', '{"prompt":"a fox","base_model":"base.safetensors","seed":18446744073709551615}'],
])('parameters that are JSON, as of %s, are taken apart', async (_name, parameters) => {
  const found = await read(pngOf({ ...SIZE, text: { parameters } }));
  expect(found).toMatchObject({ prompt: 'a fox', model: 'base' });
  expect(found.parametersJson).toContain('"seed":18446744073709551615');
});

it.each(['{fox|owl} in snow', '{"a": "fox"}'])(
  'parameters that only look so, such as %s, are a prompt',
  async (text) => {
    expect(await read(pngOf({ ...SIZE, text: { parameters: text } }))).toEqual({ prompt: text });
  },
);

it('NovelAI is read from its PNGs', async () => {
  const Comment = '{"prompt":"a fox","steps":28,"seed":18446744073709551615,"uc":"ugly"}';
  const text = { Software: 'NovelAI', Source: 'NovelAI Diffusion V4 37442FCA', Description: 'a fox', Comment };
  expect(await read(pngOf({ ...SIZE, text }))).toEqual({
    prompt: 'a fox',
    model: 'NovelAI Diffusion V4 37442FCA',
    parametersJson: '{"steps":28,"seed":18446744073709551615,"negative_prompt":"ugly"}',
  });
});

describe('EXIF and XMP', () => {
  const PARAMETERS = 'a fox, 狐\nSteps: 20, Sampler: Euler a, Seed: 18446744073709551615, Model: dreamshaper_8';
  const GRAPH = { '3': { class_type: 'CLIPTextEncode', inputs: { text: 'a fox' } } };
  const unicode = (text: Buffer) => Buffer.concat([Buffer.from('UNICODE\0'), text]);
  const formats = ['jpeg', 'webp', 'avif'] as const;

  it.each(formats)('of %s tell what A1111 wrote', async (format) => {
    const comment = unicode(Buffer.from(PARAMETERS, 'utf16le').swap16());
    const found = await read(await imageWith(format, { exif: exifOf({ comment, original: '2024:09:27 14:15:22' }) }));
    expect(found).toMatchObject({ prompt: 'a fox, 狐', model: 'dreamshaper_8' });
    expect(found.parametersJson).toContain('"seed":18446744073709551615');
    expect(found.timestamp).toEqual(new Date('2024-09-27T14:15:22Z'));
  });

  it.each(formats)('of %s tell what ComfyUI wrote', async (format) => {
    const exif = exifOf({ make: 'workflow:{"nodes":[]}', model: `prompt:${JSON.stringify(GRAPH)}` });
    const found = await read(await imageWith(format, { exif }));
    expect(found.prompt).toBe('a fox');
    expect(JSON.parse(found.parametersJson!)).toEqual({ comfyui: GRAPH });
  });

  it.each([
    ['UTF-16 of the other byte order', unicode(Buffer.from(PARAMETERS, 'utf16le'))],
    ['UTF-8', Buffer.from(`ASCII\0\0\0${PARAMETERS}`)],
  ])('hold a comment in %s', async (_name, comment) => {
    expect(await read(await imageWith('jpeg', { exif: exifOf({ comment }) }))).toMatchObject({ prompt: 'a fox, 狐' });
  });

  it.each(formats)('of %s tell the date with its zone and the description', async (format) => {
    const description = 'a fox &amp; an owl&#10;Steps: 20, Seed: 1';
    const xmp = `<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
      <rdf:Description xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:xmp="http://ns.adobe.com/xap/1.0/"
        xmp:CreateDate="2024-09-27T14:15:22+02:00"><dc:description><rdf:Alt><rdf:li xml:lang="x-default">${description}</rdf:li>
      </rdf:Alt></dc:description></rdf:Description></rdf:RDF></x:xmpmeta>`;
    expect(await read(await imageWith(format, { xmp }))).toEqual({
      prompt: 'a fox & an owl',
      parametersJson: '{"steps":20,"seed":1}',
      timestamp: new Date('2024-09-27T12:15:22Z'),
    });
  });

  it('of a WebP are found behind a chunk of odd length', async () => {
    const image = await imageWith('webp', { exif: exifOf({ comment: Buffer.from(`ASCII\0\0\0${PARAMETERS}`) }) });
    const behind = riff(riffChunk('ICCP', noise(33, 1)), image.subarray(12));
    expect(await read(behind)).toMatchObject({ prompt: 'a fox, 狐' });
  });

  it('of a JPEG are found behind fill bytes', async () => {
    const image = await imageWith('jpeg', { exif: exifOf({ comment: unicode(Buffer.from(PARAMETERS, 'utf16le')) }) });
    const filled = Buffer.concat([image.subarray(0, 2), Buffer.alloc(3, 0xff), image.subarray(2)]);
    expect(await read(filled)).toMatchObject({ prompt: 'a fox, 狐' });
  });

  it('of an AVIF are found behind a box with a size of 64 bits', async () => {
    const exif = Buffer.concat([uint32(0), exifOf({ comment: Buffer.from(`ASCII\0\0\0${PARAMETERS}`) })]);
    const before = Buffer.concat([
      box('ftyp', Buffer.from('avif\0\0\0\0avifmif1miaf')),
      Buffer.concat([uint32(1), Buffer.from('free'), uint32(0), uint32(40), Buffer.alloc(24)]),
    ]);
    const items = fullBox('iinf', uint16(1), box('infe', Buffer.from('\x02\0\0\0\0\x01\0\0Exif\0')));
    const metaFor = (offset: number) => fullBox('meta', items, ilocOf([{ offset, length: exif.length }]));
    const offset = before.length + metaFor(0).length + 8;
    expect(await read(Buffer.concat([before, metaFor(offset), box('mdat', exif)]))).toMatchObject({
      prompt: 'a fox, 狐',
    });
  });

  it('never hold what lies behind them in memory, whatever length a text claims', async () => {
    const exif = exifOf({ make: PARAMETERS });
    // Behind tag and type of the first entry: its count, which is the length of the text.
    exif.writeUInt32BE(4000, 8 + 2 + 4);
    const segment = jpegSegment(0xe1, Buffer.concat([Buffer.from('Exif\0\0', 'latin1'), exif]));
    const plain = jpegOf(SIZE);
    const secret = jpegSegment(0xfe, Buffer.from(`, Leaked: secret of another ${'x'.repeat(5000)}`));
    const found = await read(Buffer.concat([plain.subarray(0, 2), segment, secret, plain.subarray(2)]));
    expect(JSON.stringify(found)).not.toContain('secret of another');
  });

  it('take no caption for a prompt', async () => {
    expect(await read(await imageWith('jpeg', { exif: exifOf({ model: 'Canon EOS 5D' }) }))).toEqual({});
  });

  it.runIf(sharedImages().length > 0)('of the real WebP that ComfyUI wrote are read from its end', async () => {
    const { bytes } = sharedImages().find(({ name }) => name.endsWith('.webp'))!;
    const found = await read(bytes);
    expect(found.model).toMatch(/^hunyuan_video/);
    expect(found.prompt).toMatch(/^anime style anime girl/);
  });
});

it.each([
  ['no bytes', Buffer.alloc(0)],
  ['noise', noise(1000, 1)],
  ['another type', webpOf(SIZE)],
  ['a PNG without text', pngOf(SIZE)],
  ['a PNG cut inside its text', pngOf({ ...SIZE, text: { parameters: 'a fox' } }).subarray(0, 50)],
  ['JSON that is no graph', pngOf({ ...SIZE, text: { prompt: '{"a":[1,null]}' } })],
  ['broken JSON', pngOf({ ...SIZE, text: { prompt: '{"1":{"class_type":"KSampler","inputs":{' } })],
  ['JSON as deep as it is long', pngOf({ ...SIZE, text: { prompt: '['.repeat(1_000_000) } })],
  ['a graph too deep for a save', pngOf({ ...SIZE, text: { prompt: deepGraph(100) } })],
  ['a prompt that no save takes', pngOf({ ...SIZE, text: { parameters: 'fox '.repeat(20_000) } })],
])('finds nothing in %s', async (_name, bytes) => {
  expect(await read(bytes)).toEqual({});
});

function deepGraph(levels: number): string {
  const value = `${'['.repeat(levels)}${']'.repeat(levels)}`;
  return `{"1":{"class_type":"Note","inputs":{"text":${value}}}}`;
}

function read(bytes: Uint8Array) {
  return readEmbeddedMetadata(readerOf(bytes));
}

function readGraph(graph: object) {
  return read(pngOf({ ...SIZE, text: { prompt: JSON.stringify(graph) } }));
}
