/** What is read from the graphs that ComfyUI leaves in its images. */
import { describe, expect, it } from 'vitest';
import { readEmbeddedMetadata } from '../../src/storage/embedded/metadata.ts';
import { readerOf } from '../../src/storage/embedded/read-at.ts';
import { pngOf, sharedImages } from '../support/images.ts';

const SIZE = { width: 8, height: 8 };

const side = (pixels: number) => ({ width: pixels, height: pixels });
/** The beginning of the prompt, the model, and the settings, of the images that ComfyUI wrote as PNG. */
const REAL: Record<string, [string, string, Record<string, unknown>]> = {
  'aura_flow_aura_flow_0.2.png': [
    'a glass filled with glowing fizzy rainbow drink',
    'aura_flow_0.2',
    {
      seed: 274576428651941,
      steps: 20,
      cfg: 3.48,
      sampler_name: 'euler',
      scheduler: 'sgm_uniform',
      ...side(1024),
      negative_prompt: 'ugly jpeg',
    },
  ],
  'chroma_fennec_girl_sing.png': [
    'aesthetic 4, cute anime girl with gigantic fennec ears',
    'chroma-unlocked-v29.5',
    {
      seed: 1056632876965862,
      steps: 25,
      cfg: 4,
      sampler_name: 'euler',
      scheduler: 'simple',
      ...side(1024),
      negative_prompt: expect.stringMatching(/^low quality, bad anatomy/),
    },
  ],
  'controlnet_controlnet.png': [
    '(solo) girl (flat chest:0.9), (fennec ears:1.1)\u00a0 (fox ears:1.1)',
    'Anything-V3.0',
    {
      seed: 1002496614778823,
      steps: 16,
      cfg: 6,
      sampler_name: 'uni_pc',
      scheduler: 'normal',
      ...side(512),
      negative_prompt: expect.stringMatching(/^\(hands\), text, error/),
    },
  ],
  'sd3_sd3_controlnet.png': [
    'happy cute anime fox girl with massive fluffy fennec ears',
    'sd3_medium_incl_clips_t5xxlfp8',
    { seed: 535024431016476, steps: 32, cfg: 4.5, sampler_name: 'euler', scheduler: 'simple', ...side(1024) },
  ],
  'sdturbo_sdxlturbo.png': [
    'beautiful landscape scenery glass bottle with a galaxy inside',
    'sd_xl_turbo_1.0_fp16',
    { seed: 0, steps: 1, cfg: 1, sampler_name: 'euler_ancestral', ...side(512), negative_prompt: 'text, watermark' },
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
    expect(parametersJson).toMatch(
      /^\{"seed":18446744073709551615,"cfg":7\.0,"negative_prompt":"ugly","comfyui":\{.*18446744073709551615/,
    );
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
    expect(parametersJson).toBe('{"seed":7,"negative_prompt":"ugly"}');
  });
});

function read(bytes: Uint8Array) {
  return readEmbeddedMetadata(readerOf(bytes));
}

function readGraph(graph: object) {
  return read(pngOf({ ...SIZE, text: { prompt: JSON.stringify(graph) } }));
}
