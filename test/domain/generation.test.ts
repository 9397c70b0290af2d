/** The settings that are derived from the parameters, whatever generator wrote them. */
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { generationOf } from '../../src/storage/domain/generation.ts';
import type { Generation } from '../../src/storage/domain/image.ts';
import { full, seed } from '../support/scale.ts';

const SEED = '18446744073709551615';

it.each<[generator: string, parametersJson: string, expected: Generation]>([
  [
    'diffusers',
    '{"num_inference_steps":30,"guidance_scale":7.5,"negative_prompt":"fog","height":768,"width":512,"seed":7}',
    { steps: 30, cfg: 7.5, negativePrompt: 'fog', height: 768, width: 512, seed: '7' },
  ],
  [
    'A1111, by its own names',
    `{"Steps":20,"CFG scale":6,"Sampler":"DPM++ 2M","Schedule type":"Karras","Seed":${SEED},"Size":"512x768","Negative prompt":"fog","Lora hashes":"ink: 48, wash: 11"}`,
    {
      ...{ steps: 20, cfg: 6, sampler: 'DPM++ 2M', scheduler: 'Karras', seed: SEED, negativePrompt: 'fog' },
      ...{ width: 512, height: 768, loras: ['ink', 'wash'] },
    },
  ],
  [
    'A1111, by those of the reader',
    '{"steps":20,"cfg_scale":6,"sampler":"Euler a","schedule_type":"Karras","size":"640x480","distilled_cfg_scale":3.5}',
    { steps: 20, cfg: 6, sampler: 'Euler a', scheduler: 'Karras', width: 640, height: 480 },
  ],
  [
    'Civitai',
    '{"civitai_resources":[{"type":"checkpoint","modelName":"Pony"},{"type":"lora","modelName":"Ink, wash: a style"}]}',
    { loras: ['Ink, wash: a style'] },
  ],
  [
    'ComfyUI',
    `{"seed":${SEED},"steps":8,"cfg":1,"guidance":3.5,"sampler_name":"euler","scheduler":"simple","loras":["ink"],"comfyui":{"3":{"inputs":{"seed":1,"steps":2}}}}`,
    { seed: SEED, steps: 8, cfg: 1, sampler: 'euler', scheduler: 'simple', loras: ['ink'] },
  ],
  [
    'InvokeAI',
    '{"negative_prompt":"fog","width":832,"height":1216,"seed":1,"cfg_scale":15,"steps":50,"scheduler":"euler","loras":[{"model":{"key":"9f","name":"ink"},"weight":0.7},{"lora":{"model_name":"wash"},"weight":1}]}',
    {
      ...{ negativePrompt: 'fog', width: 832, height: 1216, seed: '1', cfg: 15, steps: 50, scheduler: 'euler' },
      loras: ['ink', 'wash'],
    },
  ],
  [
    'NovelAI',
    '{"uc":"fog","steps":23,"scale":6,"seed":33,"sampler":"k_euler","noise_schedule":"karras","height":1216,"width":832}',
    {
      ...{ negativePrompt: 'fog', steps: 23, cfg: 6, seed: '33', sampler: 'k_euler', scheduler: 'karras' },
      ...{ height: 1216, width: 832 },
    },
  ],
  [
    'SwarmUI, in its own object',
    '{"sui_image_params":{"negativeprompt":"fog","seed":9,"steps":20,"cfgscale":1,"loras":["style/ink"],"loraweights":["0.8"]},"sui_extra_data":{"seed":1}}',
    { negativePrompt: 'fog', seed: '9', steps: 20, cfg: 1, loras: ['ink'] },
  ],
  [
    'Fooocus',
    `{"guidance_scale":4,"loras":[["offset_1.0.safetensors",0.1,"48"]],"lora_combined_1":"offset_1.0 : 0.1","resolution":"(1152, 896)","seed":"${SEED}","full_negative_prompt":["x"]}`,
    { cfg: 4, loras: ['offset_1.0'], width: 1152, height: 896, seed: SEED },
  ],
  [
    'RuinedFooocus',
    '{"Negative":"fog","steps":30,"loras":"Loras:<Ink_XL.safetensors:1><wash:0.5>"}',
    { negativePrompt: 'fog', steps: 30, loras: ['Ink_XL', 'wash'] },
  ],
  ['Fooocus-MRE', '{"l1":"ink.safetensors","w1":0.5,"l2":"None","cfg":7}', { loras: ['ink'], cfg: 7 }],
  [
    'Easy Diffusion',
    '{"num_inference_steps":"25","guidance_scale":"7.5","use_lora_model":["sd/ink","None"],"seed":"42","sampler_name":"euler_a"}',
    { steps: 25, cfg: 7.5, loras: ['ink'], seed: '42', sampler: 'euler_a' },
  ],
  [
    'Draw Things',
    '{"uc":"fog","scale":10,"seed":1177,"size":"1152x768","lora":[{"model":"ink_lora_f16.ckpt","weight":0.6}]}',
    { negativePrompt: 'fog', cfg: 10, seed: '1177', width: 1152, height: 768, loras: ['ink_lora_f16'] },
  ],
])('of %s', (_generator, parametersJson, expected) => {
  expect(generationOf({ prompt: 'a boat', parametersJson })).toEqual(expected);
});

it('has the LoRAs of the prompt, once', () => {
  const prompt = 'a boat, <lora:sea/ink.safetensors:0.8> at <LORA:wash:1:0.5>, (calm:1.2) <b>, <lora:ink:1>';
  expect(generationOf({ prompt, parametersJson: '' })).toEqual({ loras: ['ink', 'wash'] });
  expect(generationOf({ prompt, parametersJson: '{"loras":["night"]}' })?.loras).toEqual(['ink', 'wash', 'night']);
});

it.each([
  ['no parameters', '{}'],
  ['other parameters', '{"job":"7","side":512}'],
  ['no numbers', '{"steps":"many","cfg":"NaN","seed":"abc","width":null,"height":true}'],
  ['negative ones', '{"steps":-20,"cfg":-1,"seed":-1,"width":-512,"height":0,"size":"0x0"}'],
  ['numbers that are too large', '{"steps":1e300,"width":4294967296,"seed":1e9,"height":1.5,"cfg":1e999}'],
  ['texts that are too long', JSON.stringify({ sampler: 'x'.repeat(300), negative_prompt: 'x'.repeat(1_000_000) })],
  ['other values', '{"sampler":7,"negative_prompt":{"a":1},"loras":7,"size":"large","scheduler":["karras"]}'],
  ['the settings of an upscaler', '{"scale":2,"l1":"loss","upscaler":"4x"}'],
  ['lists of nothing', '{"loras":["None",""],"negative_prompt":[],"lora_hashes":""}'],
  ['no object', '[{"steps":20}]'],
  ['no JSON', '{"steps":'],
])('is unset for %s', (_name, parametersJson) => {
  expect(generationOf({ prompt: '', parametersJson })).toBeUndefined();
});

it('takes the first name that makes sense, and what stands outside before what is wrapped', () => {
  const cfg = (parametersJson: string) => generationOf({ prompt: '', parametersJson })?.cfg;
  expect(cfg('{"scale":2,"guidance":3,"steps":1,"cfg":"?","CFG Scale":4}')).toBe(4);
  expect(cfg('{"parameters":{"cfg":2},"guidance":3}')).toBe(3);
  expect(cfg('{"parameters":{"steps":9,"scale":2}}')).toBe(2);
  expect(cfg('{"parameters":{"cfg":2,"params":{"steps":3}}}')).toBe(2);
});

it('is what JSON.parse reads, in any JSON', () => {
  const names = fc.constantFrom('seed', 'Steps', 'CFG scale', 'negative_prompt', 'a"b\\', 'loras', 'Size', 'x');
  const values = fc.oneof(fc.jsonValue(), fc.integer({ min: 1 }), fc.constant('{"seed":1}]\\"'));
  const property = fc.property(fc.dictionary(names, values), fc.constantFrom(0, 1, 4), (parameters, indent) => {
    const found = generationOf({ prompt: '', parametersJson: JSON.stringify(parameters, null, indent) });
    const { seed: number } = parameters;
    if (typeof number === 'number' && Number.isSafeInteger(number) && number !== -1) {
      expect(found?.seed).toBe(String(number));
    }
    const steps = parameters.Steps;
    if (typeof steps === 'number' && Number.isInteger(steps) && steps > 0 && steps < 2 ** 32) {
      expect(found?.steps).toBe(steps);
    }
  });
  fc.assert(property, { seed, numRuns: full ? 100_000 : 1000 });
});

it('costs little, whatever the parameters hold', () => {
  const MIB = 1024 * 1024;
  const sizeOf = (part: string) => Math.floor(MIB / part.length);
  const hostile = [
    `{"comfyui":{"1":[${'"\\\\",'.repeat(sizeOf('"\\\\",'))}1]},"steps":20}`,
    `{"comfyui":${'['.repeat(MIB / 2)}${']'.repeat(MIB / 2)},"steps":20}`,
    `{"steps":20${',"a":1'.repeat(sizeOf(',"a":1'))}}`,
    `{"steps":20,"parameters":{${'"parameters":{'.repeat(sizeOf('"parameters":{}'))}${'}'.repeat(sizeOf('"parameters":{}'))}}}`,
    `{"steps":20${',"parameters":{"a":[1,2,3]}'.repeat(sizeOf(',"parameters":{"a":[1,2,3]}'))}}`,
    `{"steps":20,"loras":[${'["a"],'.repeat(sizeOf('["a"],'))}"a"]}`,
    `{"steps":20,"size":"${' '.repeat(MIB)}"}`,
  ];
  const costsMs = hostile.map((parametersJson) => {
    const before = process.threadCpuUsage();
    const found = generationOf({ prompt: '<lora:'.repeat(10_000), parametersJson });
    expect(found?.steps).toBe(20);
    return process.threadCpuUsage(before).user / 1000;
  });
  expect(Math.max(...costsMs)).toBeLessThan(100);
});
