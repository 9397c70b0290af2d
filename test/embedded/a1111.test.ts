/** What is read from the parameters that A1111 and those who write like it leave in their images. */
import { deflateSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { readEmbeddedMetadata } from '../../src/storage/embedded/metadata.ts';
import { readerOf } from '../../src/storage/embedded/read-at.ts';
import { pngChunk, pngOf } from '../support/images.ts';

const SIZE = { width: 8, height: 8 };

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

describe('A1111 and those who write like it', () => {
  const settingsOf = async (parameters: string) => {
    const { prompt, model, parametersJson = '{}' } = await read(pngOf({ ...SIZE, text: { parameters } }));
    return { ...JSON.parse(parametersJson), prompt, model };
  };

  it('quote values that hold commas, colons and quotes', async () => {
    const found = await settingsOf(
      'a stork, "very" white\nSteps: are not counted here\nNegative prompt: mud\nSteps: 20, Sampler: DPM++ 2M, ' +
        'Schedule type: Karras, Model: "stork, white: 3", ADetailer prompt: "beak, Steps: 99, Seed: 1\\n\\"red\\"", ' +
        'Lora hashes: "ink: 48, wash: 11", Hashes: {"model": "01, 2"}, Seed: 7, Version: f2.0',
    );
    expect(found).toMatchObject({
      prompt: 'a stork, "very" white\nSteps: are not counted here',
      model: 'stork, white: 3',
      ...{ negative_prompt: 'mud', steps: 20, sampler: 'DPM++ 2M', schedule_type: 'Karras', seed: 7, version: 'f2.0' },
      ...{ adetailer_prompt: 'beak, Steps: 99, Seed: 1\n"red"', lora_hashes: 'ink: 48, wash: 11' },
      hashes: '{"model": "01, 2"}',
    });
  });

  it('name templates behind the settings', async () => {
    const settings = 'Steps: 20, Seed: 7, Model: stork_v2';
    const template = 'Template: a {white|black} stork,\n__weather__, Size: {small|large}\nNegative Template: mud';
    expect(await settingsOf(`a stork\nNegative prompt: mud\n${settings}\n${template}`)).toEqual({
      ...{ prompt: 'a stork', model: 'stork_v2', steps: 20, seed: 7, negative_prompt: 'mud', negative_template: 'mud' },
      template: 'a {white|black} stork,\n__weather__, Size: {small|large}',
    });
  });

  it('name the model and other resources as JSON, as Civitai does', async () => {
    const resources = [
      { type: 'lora', weight: 0.8, modelName: 'Ink, wash: a style' },
      { type: 'checkpoint', modelVersionId: 290640, modelName: 'White Stork XL', modelVersionName: 'V6 (new)' },
    ];
    const line = `Steps: 30, Seed: 7, Created Date: 2025-03-01T10:20:30.1234567Z, Civitai resources: ${JSON.stringify(resources)}, Civitai metadata: {"remixOfId":123}`;
    expect(await settingsOf(`a stork\n${line}`)).toMatchObject({
      ...{ prompt: 'a stork', model: 'White Stork XL', created_date: '2025-03-01T10:20:30.1234567Z' },
      ...{ civitai_resources: resources, civitai_metadata: '{"remixOfId":123}' },
    });
  });

  it('leave spaces, prompts or the steps out', async () => {
    expect(await settingsOf('a stork\nSteps: 50,Seed: 7,Size: 768x512, model: stork')).toMatchObject({
      ...{ prompt: 'a stork', model: 'stork', steps: 50, seed: 7, size: '768x512' },
    });
    expect(await settingsOf('Steps: 20, Seed: 7, Model: folder/stork.safetensors')).toMatchObject({
      model: 'stork',
      seed: 7,
    });
    expect(await settingsOf('Negative prompt: mud\nSteps: 20')).toMatchObject({ negative_prompt: 'mud', steps: 20 });
    expect(await settingsOf('a stork\nSize: 512x512, Seed: 7')).toMatchObject({ prompt: 'a stork', seed: 7 });
  });
});

function read(bytes: Uint8Array) {
  return readEmbeddedMetadata(readerOf(bytes));
}
