/** What is read from the images of the other generators, each with names of its own. */
import { describe, expect, it } from 'vitest';
import { readEmbeddedMetadata } from '../../src/storage/embedded/metadata.ts';
import { readerOf } from '../../src/storage/embedded/read-at.ts';
import { pngOf } from '../support/images.ts';

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

function read(bytes: Uint8Array) {
  return readEmbeddedMetadata(readerOf(bytes));
}
