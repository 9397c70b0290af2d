/** What is read from the images of the other generators, each with names of its own. */
import { describe, expect, it } from 'vitest';
import { generationOf } from '../../src/storage/domain/generation.ts';
import { readEmbeddedMetadata } from '../../src/storage/embedded/metadata.ts';
import { readerOf } from '../../src/storage/embedded/read-at.ts';
import { exifOf } from '../support/exif.ts';
import { pngOf, riff, riffChunk, vp8l } from '../support/images.ts';

const SIZE = { width: 8, height: 8 };

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

it('JSON is never a prompt, whoever wrote it', async () => {
  const parameters = (text: string) => read(pngOf({ ...SIZE, text: { parameters: text } }));
  expect(await parameters('{"a": "fox"}')).toEqual({ parametersJson: '{"a":"fox"}' });
  expect(await parameters('{"a": "fox", "b":')).toEqual({});
  expect(await parameters('["fox"]')).toEqual({});
});

it.each(['{fox|owl} in snow', '{"big" fox|owl}'])(
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

describe('every generator by its own names', () => {
  type Texts = Record<string, string>;
  const SEED = '18446744073709551615';
  const json = (fields: object) => JSON.stringify(fields).replaceAll('"$SEED"', SEED);
  const swarm = json({
    sui_image_params: {
      ...{ prompt: 'a heron', negativeprompt: 'mud', model: 'Flux/reed-fp8', seed: '$SEED', steps: 18, cfgscale: 1.5 },
      ...{
        width: 704,
        height: 1024,
        sampler: 'euler',
        scheduler: 'simple',
        loras: ['style/ink'],
        loraweights: ['0.8'],
      },
    },
    sui_extra_data: { date: '2025-10-06', seed: 1 },
  });
  const drawThings = json({
    ...{ c: 'a heron', uc: 'mud', model: 'reed_q5p.ckpt', sampler: 'Euler A Trailing', scale: 3.5, seed: '$SEED' },
    ...{ size: '704x1024', steps: 18, lora: [{ model: 'ink_lora_f16.ckpt', weight: 0.6 }] },
  });
  const xmp = (comment: string) =>
    `<x:xmpmeta><rdf:RDF><rdf:Description xmlns:exif="e"><dc:description><rdf:Alt><rdf:li>a heron&#xA;-mud&#xA;Steps: 1, Seed: 2</rdf:li></rdf:Alt></dc:description><exif:UserComment><rdf:Alt><rdf:li xml:lang="x-default">${comment.replaceAll('"', '&quot;')}</rdf:li></rdf:Alt></exif:UserComment></rdf:Description></rdf:RDF></x:xmpmeta>`;
  const novelAI = json({
    ...{
      prompt: '',
      steps: 18,
      height: 1024,
      width: 704,
      scale: 6.5,
      seed: '$SEED',
      sampler: 'k_euler',
      noise_schedule: 'karras',
    },
    v4_prompt: {
      caption: { base_caption: 'a heron', char_captions: [{ char_caption: 'boy, straw hat', centers: [] }] },
    },
    v4_negative_prompt: { caption: { base_caption: 'mud', char_captions: [] } },
  });
  const size = { width: 704, height: 1024 };
  const common = { prompt: 'a heron', negativePrompt: 'mud', seed: SEED, steps: 18 };

  it.each<[string, Texts, object]>([
    [
      'SwarmUI',
      { parameters: swarm },
      { ...common, ...size, model: 'reed-fp8', cfg: 1.5, sampler: 'euler', scheduler: 'simple', loras: ['ink'] },
    ],
    [
      'Fooocus',
      {
        fooocus_scheme: 'fooocus',
        parameters: json({
          ...{ prompt: 'a heron', negative_prompt: 'mud', base_model: 'reedXL_v8', guidance_scale: 4, seed: SEED },
          ...{
            steps: 18,
            resolution: '(704, 1024)',
            sampler: 'dpmpp_2m',
            scheduler: 'karras',
            full_prompt: ['a heron', 'ink'],
          },
          loras: [['offset_1.0', 0.1, '4852686128']],
        }),
      },
      {
        ...common,
        ...size,
        model: 'reedXL_v8',
        cfg: 4,
        sampler: 'dpmpp_2m',
        scheduler: 'karras',
        loras: ['offset_1.0'],
      },
    ],
    [
      'RuinedFooocus',
      {
        parameters: json({
          ...{
            Prompt: 'a heron',
            Negative: 'mud',
            steps: 18,
            cfg: 5,
            ...size,
            seed: '$SEED',
            sampler_name: 'dpmpp_2m',
          },
          ...{ base_model_name: 'reed.safetensors', loras: 'Loras:<Ink_XL.safetensors:1>', software: 'RuinedFooocus' },
        }),
      },
      { ...common, ...size, model: 'reed', cfg: 5, sampler: 'dpmpp_2m', loras: ['Ink_XL'] },
    ],
    [
      'Fooocus-MRE',
      {
        Comment: json({
          ...{
            prompt: 'a heron',
            negative_prompt: 'mud',
            p_txt: 'comic a heron',
            seed: '$SEED',
            ...size,
            steps: 18,
            cfg: 7,
          },
          ...{
            sampler: 'dpmpp_2m',
            scheduler: 'karras',
            base_model: 'reed_v10.safetensors',
            l1: 'None',
            l2: 'ink.safetensors',
          },
        }),
      },
      { ...common, ...size, model: 'reed_v10', cfg: 7, sampler: 'dpmpp_2m', scheduler: 'karras', loras: ['ink'] },
    ],
    [
      'Easy Diffusion',
      {
        ...{ prompt: 'a heron', negative_prompt: 'mud', seed: SEED, use_stable_diffusion_model: 'sd/reed_v1' },
        ...{ sampler_name: 'euler_a', width: '704', height: '1024', num_inference_steps: '18', guidance_scale: '7.5' },
      },
      { ...common, ...size, model: 'reed_v1', cfg: 7.5, sampler: 'euler_a' },
    ],
    [
      'sd-scripts',
      { prompt: 'a heron', 'negative-prompt': 'mud', seed: SEED, steps: '18', scale: '7.5', sampler: 'ddim' },
      { ...common, cfg: 7.5, sampler: 'ddim' },
    ],
    [
      'Draw Things',
      { 'XML:com.adobe.xmp': xmp(drawThings) },
      { ...common, ...size, model: 'reed_q5p', cfg: 3.5, sampler: 'Euler A Trailing', loras: ['ink_lora_f16'] },
    ],
    [
      'InvokeAI 5',
      {
        invokeai_metadata: json({
          ...{ positive_prompt: 'a heron', negative_prompt: 'mud', ...size, seed: '$SEED', cfg_scale: 5.5, steps: 18 },
          ...{ scheduler: 'euler', model: { key: '9f', name: 'reed', type: 'main' }, app_version: '5.4.3' },
          loras: [{ model: { key: '7a', name: 'ink' }, weight: 0.75 }],
        }),
      },
      { ...common, ...size, model: 'reed', cfg: 5.5, scheduler: 'euler', loras: ['ink'] },
    ],
    [
      'InvokeAI 3',
      {
        invokeai_metadata: json({
          ...{
            positive_prompt: 'a heron',
            negative_prompt: 'mud',
            seed: '$SEED',
            steps: 18,
            model: { model_name: 'reed' },
          },
          loras: [{ lora: { model_name: 'ink', base_model: 'sd-1' }, weight: 0.75 }],
        }),
      },
      { ...common, model: 'reed', loras: ['ink'] },
    ],
    [
      'InvokeAI 3, of a node',
      {
        invokeai: json({
          node: { type: 'txt2img', prompt: 'a heron', negative_prompt: 'mud', seed: '$SEED', steps: 18, model: 'reed' },
        }),
      },
      { ...common, model: 'reed' },
    ],
    [
      'InvokeAI 2',
      {
        'sd-metadata': json({
          ...{ model: 'stable diffusion', model_weights: 'reed-1.5' },
          image: { prompt: 'a heron [mud]', steps: 18, cfg_scale: 7.5, sampler: 'k_lms', seed: '$SEED', ...size },
        }),
      },
      { ...common, ...size, model: 'reed-1.5', cfg: 7.5, sampler: 'k_lms' },
    ],
    [
      'InvokeAI 1',
      { Dream: `"a heron [mud]" -s 18 -S ${SEED} -W 704 -H 1024 -C 7.5 -A k_lms` },
      { ...common, ...size, cfg: 7.5, sampler: 'k_lms' },
    ],
    [
      'NovelAI 4 with characters',
      { Software: 'NovelAI', Source: 'NovelAI Diffusion V4 1A2B3C4D', Description: 'a heron', Comment: novelAI },
      { ...common, ...size, model: 'NovelAI Diffusion V4 1A2B3C4D', cfg: 6.5, sampler: 'k_euler', scheduler: 'karras' },
    ],
    [
      'Midjourney',
      {
        Description: `a heron --no mud --seed ${SEED} --ar 11:16 --v 6.1 --tile Job ID: 0a1b2c3d-0000-4000-8000-000000000000`,
        Author: 'somebody',
      },
      { prompt: 'a heron', negativePrompt: 'mud', seed: SEED },
    ],
  ])('%s', async (_name, text, expected) => {
    expect(await settingsOf(pngOf({ ...SIZE, text }))).toEqual(expected);
  });

  it.each<[string, (text: string) => Buffer]>([
    ['UTF-16 BE', (text) => Buffer.from(text, 'utf16le').swap16()],
    ['UTF-16 LE', (text) => Buffer.from(text, 'utf16le')],
    ['UTF-8', (text) => Buffer.from(text)],
  ])('JSON in EXIF in %s', async (_name, encoded) => {
    const inWebp = (text: string) =>
      riff(
        riffChunk('VP8L', vp8l(SIZE)),
        riffChunk('EXIF', exifOf({ comment: Buffer.concat([Buffer.from('UNICODE\0'), encoded(text)]) })),
      );
    expect(await settingsOf(inWebp(swarm))).toMatchObject({ ...common, model: 'reed-fp8' });
    const nested = json({ Software: 'NovelAI', Source: 'NAI V4', Description: 'a heron', Comment: novelAI });
    expect(await settingsOf(inWebp(nested))).toMatchObject({ ...common, model: 'NAI V4' });
    const easy = json({
      prompt: 'a heron',
      negative_prompt: 'mud',
      seed: '$SEED',
      num_inference_steps: 18,
      use_stable_diffusion_model: 'sd/reed',
    });
    expect(await settingsOf(inWebp(easy))).toEqual({ ...common, model: 'reed' });
  });

  it('keeps the characters of NovelAI among the parameters', async () => {
    const text = { Software: 'NovelAI', Source: 'NAI', Comment: novelAI };
    expect((await read(pngOf({ ...SIZE, text }))).parametersJson).toContain('"char_caption":"boy, straw hat"');
  });

  it('reads settings where a graph mostly stands', async () => {
    const prompt = json({ prompt: 'a heron', negative_prompt: 'mud', seed: '$SEED', steps: 18, model: 'x/reed.gguf' });
    expect(await settingsOf(pngOf({ ...SIZE, text: { prompt } }))).toEqual({ ...common, model: 'reed' });
  });

  it('takes no description and no comment of others for a prompt', async () => {
    expect(await read(pngOf({ ...SIZE, text: { Description: 'a heron', Comment: 'Created with GIMP' } }))).toEqual({});
    expect(await read(pngOf({ ...SIZE, text: { Comment: '{"a":1}', Software: 'a tool' } }))).toEqual({});
  });
});

async function settingsOf(bytes: Buffer) {
  const { prompt, model, parametersJson = '' } = await read(bytes);
  const found = { prompt, model, ...generationOf({ prompt: prompt ?? '', parametersJson }) };
  return Object.fromEntries(Object.entries(found).filter(([, value]) => value !== undefined));
}

function read(bytes: Uint8Array) {
  return readEmbeddedMetadata(readerOf(bytes));
}
