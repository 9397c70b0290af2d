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

function read(bytes: Uint8Array) {
  return readEmbeddedMetadata(readerOf(bytes));
}
