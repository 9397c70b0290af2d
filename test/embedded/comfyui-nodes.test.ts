/** What is read through the nodes of ComfyUI's extensions: switches, contexts, stacks, and graphs that were only drawn. */
import { describe, expect, it } from 'vitest';
import { generationOf } from '../../src/storage/domain/generation.ts';
import { readEmbeddedMetadata } from '../../src/storage/embedded/metadata.ts';
import { readerOf } from '../../src/storage/embedded/read-at.ts';
import { pngChunk, pngOf, riff, riffChunk, vp8l } from '../support/images.ts';

const SIZE = { width: 8, height: 8 };

const node = (class_type: string, inputs: Record<string, unknown>) => ({ class_type, inputs });
const encode = (text: unknown) => node('CLIPTextEncode', { text, clip: ['loader', 1] });
const sampler = (inputs: object) =>
  node('KSampler', {
    ...{ seed: 3, steps: 12, cfg: 5, sampler_name: 'euler', scheduler: 'normal', model: ['loader', 0] },
    ...{ positive: ['yes', 0], negative: ['no', 0], latent_image: ['size', 0] },
    ...inputs,
  });
const BASE = {
  loader: node('CheckpointLoaderSimple', { ckpt_name: 'dir/owlet.safetensors' }),
  yes: encode('an owl'),
  no: encode('fog'),
  size: node('EmptyLatentImage', { width: 640, height: 384, batch_size: 1 }),
  sampler: sampler({}),
  save: node('SaveImage', { images: ['sampler', 0] }),
};
const OWL = {
  ...{ prompt: 'an owl', model: 'owlet', negativePrompt: 'fog', seed: '3', steps: 12, cfg: 5, sampler: 'euler' },
  ...{ scheduler: 'normal', width: 640, height: 384 },
};

it('a plain graph tells all', async () => {
  expect(await readGraph(BASE)).toEqual(OWL);
});

describe('a switch passes on what it chose', () => {
  const texts = { first: encode('a crow'), second: encode('an owl') };
  it.each([
    [
      'by a number from one on',
      node('ImpactSwitch', { select: 2, sel_mode: false, input1: ['first', 0], input2: ['second', 0] }),
    ],
    [
      'by a number from zero on',
      node('easy anythingIndexSwitch', { index: 1, value0: ['first', 0], value1: ['second', 0] }),
    ],
    [
      'by a number of another node',
      node('ImpactSwitch', { select: ['two', 0], input1: ['first', 0], input2: ['second', 0] }),
    ],
    ['by a condition', node('ComfySwitchNode', { switch: false, on_true: ['first', 0], on_false: ['second', 0] })],
    ['by what is linked', node('Any Switch (rgthree)', { any_02: ['second', 0] })],
  ])('%s', async (_name, chosen) => {
    const two = node('PrimitiveInt', { value: 2 });
    expect(await readGraph({ ...BASE, ...texts, two, yes: chosen })).toEqual(OWL);
  });

  it('of texts, models and seeds, too', async () => {
    const other = node('CheckpointLoaderSimple', { ckpt_name: 'crow.ckpt' });
    const graph = {
      ...BASE,
      other,
      text: node('CR Text Input Switch', { Input: 2, text1: 'a crow', text2: 'an owl' }),
      yes: encode(['text', 0]),
      models: node('CR Model Input Switch', { Input: 1, model1: ['loader', 0], model2: ['other', 0] }),
      seeds: node('ImpactSwitch', { select: 1, input1: ['seed', 0], input2: ['wrong', 0] }),
      seed: node('easy seed', { seed: 3 }),
      wrong: node('easy seed', { seed: 4 }),
      sampler: sampler({ model: ['models', 0], seed: ['seeds', 0] }),
    };
    expect(await readGraph(graph)).toEqual(OWL);
  });
});

it('a chain of contexts is followed to what was put in last', async () => {
  const graph = {
    ...BASE,
    crow: encode('a crow'),
    one: node('Context (rgthree)', {
      model: ['loader', 0],
      positive: ['crow', 0],
      negative: ['no', 0],
      latent: ['size', 0],
    }),
    two: node('Context Big (rgthree)', { base_ctx: ['one', 0], positive: ['yes', 0], steps: 12, seed: ['seed', 0] }),
    three: node('Context Switch (rgthree)', { ctx_02: ['two', 0] }),
    seed: node('Seed (rgthree)', { seed: 3 }),
    sampler: sampler({
      ...{ model: ['three', 1], positive: ['three', 4], negative: ['three', 5], latent_image: ['three', 6] },
      ...{ seed: ['three', 8], steps: ['three', 9] },
    }),
  };
  expect(await readGraph(graph)).toEqual(OWL);
});

it('a shown text is what its sources made', async () => {
  const shown = node('ShowText|pysssss', { text: ['wild', 0], text_0: 'an owl' });
  const wild = node('DPRandomGenerator', { text: '{an owl|a crow}', seed: 1 });
  expect(await readGraph({ ...BASE, wild, shown, yes: encode(['shown', 0]) })).toEqual(OWL);
});

it('settings come through configurations and primitives', async () => {
  const config = node('KSampler Config (rgthree)', {
    ...{ steps_total: 12, refiner_step: 9, cfg: 5, sampler_name: 'euler', scheduler: 'normal' },
  });
  const linked = { steps: ['config', 0], cfg: ['config', 2], sampler_name: ['config', 3], scheduler: ['config', 4] };
  const seed = node('PrimitiveNode', { value: ['inner', 0] });
  const inner = node('Seed Generator', { seed: 3 });
  expect(await readGraph({ ...BASE, config, seed, inner, sampler: sampler({ ...linked, seed: ['seed', 0] }) })).toEqual(
    OWL,
  );
});

it('a refiner does not hide the base, nor an upscaler, a detailer or a preview', async () => {
  const graph = {
    ...BASE,
    refiner: node('CheckpointLoaderSimple', { ckpt_name: 'refiner.safetensors' }),
    sharper: encode('sharp'),
    second: sampler({ ...{ seed: 9, model: ['refiner', 0], positive: ['sharper', 0] }, latent_image: ['sampler', 0] }),
    enlarged: node('ImageScale', { image: ['second', 0], width: 4096, height: 4096 }),
    detailer: node('FaceDetailer', { image: ['enlarged', 0], seed: 8, positive: ['sharper', 0] }),
    save: node('SaveImage', { images: ['detailer', 0] }),
    preview: node('PreviewImage', { images: ['other', 0] }),
    other: sampler({ seed: 11, positive: ['sharper', 0] }),
  };
  expect(await readGraph(graph)).toEqual(OWL);
});

it('what is added to a model is not the model, nor is any other', async () => {
  const motion = node('ADE_AnimateDiffLoader', { model: ['loader', 0], model_name: 'motion_v2.ckpt' });
  expect(await readGraph({ ...BASE, motion, sampler: sampler({ model: ['motion', 0] }) })).toEqual(OWL);
  const depth = node('DepthAnythingModelLoader', { model_name: 'depth_vitl.safetensors' });
  const cutter = node('CutterLoader', { model_name: 'Base (938MB)' });
  expect(await readGraph({ depth, cutter })).toEqual({});
});

it('a sampler in two stages, and one of another name, are found', async () => {
  const stage = sampler({ seed: 9, latent_image: undefined, optional_latent: ['sampler', 3] });
  expect(await readGraph({ ...BASE, stage, save: node('SaveImage', { images: ['stage', 0] }) })).toEqual(OWL);
  const upscaler = node('UltimateSDUpscale', { ...sampler({}).inputs, latent_image: undefined, image: ['picture', 0] });
  const { sampler: _sampler, ...rest } = BASE;
  const graph = { ...rest, upscaler, save: node('SaveImage', { images: ['upscaler', 0] }) };
  const { width: _width, height: _height, ...owl } = OWL;
  expect(await readGraph(graph)).toEqual(owl);
});

it('an output of any name counts, before a preview does', async () => {
  const other = sampler({ seed: 11 });
  const preview = node('PreviewImage', { images: ['other', 0] });
  const { save: _save, sampler: ours, ...rest } = BASE;
  const graph = {
    other,
    preview,
    ...rest,
    sampler: ours,
    sent: node('ETN_SendImageWebSocket', { images: ['sampler', 0] }),
  };
  expect(await readGraph(graph)).toEqual(OWL);
  expect((await readGraph({ ...rest, other, preview })).seed).toBe('11');
});

describe('the negative prompt', () => {
  const negativeOf = async (nodes: object) => (await readGraph({ ...BASE, ...nodes })).negativePrompt;
  const controlled = { sampler: sampler({ positive: ['net', 0], negative: ['net', 1] }) };

  it('is followed beside the positive one', async () => {
    const net = node('ControlNetApplyAdvanced', { positive: ['yes', 0], negative: ['no', 0], strength: 1 });
    expect(await readGraph({ ...BASE, ...controlled, net })).toEqual(OWL);
    const styler = node('SDXLPromptStyler', { text_positive: 'an owl', text_negative: 'fog', style: 'ink' });
    expect(await readGraph({ ...BASE, styler, yes: encode(['styler', 0]), no: encode(['styler', 1]) })).toEqual(OWL);
  });

  it('is none where the positive one is only zeroed, or it has no words', async () => {
    expect(await negativeOf({ no: node('ConditioningZeroOut', { conditioning: ['yes', 0] }) })).toBeUndefined();
    expect(await negativeOf({ no: encode(' ') })).toBeUndefined();
  });

  it('is none where a guider takes one prompt', async () => {
    const guider = node('BasicGuider', { model: ['loader', 0], conditioning: ['yes', 0] });
    const custom = node('SamplerCustomAdvanced', { guider: ['guider', 0], latent_image: ['size', 0] });
    expect(await negativeOf({ guider, sampler: custom })).toBeUndefined();
  });

  it('is found behind a guider and in a loader that has both', async () => {
    const guider = node('CFGGuider', { model: ['loader', 0], positive: ['yes', 0], negative: ['no', 0], cfg: 5 });
    const custom = node('SamplerCustomAdvanced', { guider: ['guider', 0], latent_image: ['size', 0] });
    expect(await negativeOf({ guider, sampler: custom })).toBe('fog');
    const loader = node('Efficient Loader', { ckpt_name: 'owlet.ckpt', positive: 'an owl', negative: 'mist' });
    const efficient = sampler({ positive: ['loader', 1], negative: ['loader', 2] });
    expect(await negativeOf({ loader, sampler: efficient })).toBe('mist');
  });
});

it('sizes and texts stand in one value, or under a capital letter', async () => {
  const size = node('SDXL Empty Latent Image (rgthree)', { dimensions: '640 x 384  (landscape)', clip_scale: 1 });
  const box = node('DF_Text_Box', { Text: 'an owl' });
  expect(await readGraph({ ...BASE, size, box, yes: encode(['box', 0]) })).toEqual(OWL);
});

it('SDXL has one text for two encoders, and joined texts have several', async () => {
  const both = node('CLIPTextEncodeSDXL', { text_g: 'an owl', text_l: 'an owl', width: 1024, height: 1024 });
  expect(await readGraph({ ...BASE, yes: both })).toEqual(OWL);
  const joined = node('Text Concatenate', { text_a: 'an', text_b: ['owl', 0], delimiter: ' ' });
  const owl = node('Text Multiline', { text: 'owl' });
  expect(await readGraph({ ...BASE, joined, owl, yes: encode(['joined', 0]) })).toEqual(OWL);
});

it('LoRAs are those on the way to the model, the first first', async () => {
  const graph = {
    ...BASE,
    ink: node('LoraLoader', { lora_name: 'styles\\ink.safetensors', strength_model: 1, model: ['loader', 0] }),
    power: node('Power Lora Loader (rgthree)', {
      ...{ lora_1: { on: true, lora: 'wash.safetensors', strength: 1 }, model: ['ink', 0] },
      lora_2: { on: false, lora: 'unused.safetensors', strength: 1 },
    }),
    unused: node('LoraLoader', { lora_name: 'unused.safetensors', model: ['loader', 0] }),
    stack: node('CR LoRA Stack', {
      switch_1: 'On',
      lora_name_1: 'night.pt',
      switch_2: 'Off',
      lora_name_2: 'unused.pt',
    }),
    apply: node('CR Apply LoRA Stack', { model: ['power', 0], lora_stack: ['stack', 0] }),
    sampler: sampler({ model: ['apply', 0] }),
  };
  expect((await readGraph(graph)).loras).toEqual(['ink', 'wash', 'night']);
});

it('Flux has its guidance beside the conditioning', async () => {
  const guided = node('FluxGuidance', { guidance: 3.5, conditioning: ['text', 0] });
  const { cfg: _cfg, ...inputs } = sampler({}).inputs;
  const graph = { ...BASE, text: encode('an owl'), yes: guided, sampler: node('KSampler', inputs) };
  expect(await readGraph(graph)).toEqual({ ...OWL, cfg: 3.5 });
});

interface DrawnNode {
  id: number;
  type: string;
  mode?: number;
  inputs?: { name: string; link: number | null }[];
  outputs?: object[];
  widgets_values?: unknown[];
}

describe('a graph that was only drawn', () => {
  const input = (name: string, link: number) => ({ name, link });
  const drawn = (nodes: object[], links: unknown[]) => ({ version: 0.4, nodes, links });
  const ours: DrawnNode[] = [
    { id: 1, type: 'CheckpointLoaderSimple', widgets_values: ['owlet.safetensors'] },
    { id: 2, type: 'CLIPTextEncode', inputs: [input('clip', 9)], widgets_values: ['an owl'] },
    { id: 3, type: 'CLIPTextEncode', inputs: [input('clip', 9)], widgets_values: ['fog'] },
    { id: 4, type: 'EmptyLatentImage', widgets_values: [640, 384, 1] },
    {
      ...{ id: 5, type: 'KSampler', widgets_values: [3, 'randomize', 12, 5, 'euler', 'normal', 1] },
      inputs: [input('model', 1), input('positive', 2), input('negative', 3), input('latent_image', 4)],
    },
    { id: 6, type: 'SaveImage', inputs: [input('images', 5)], widgets_values: ['ComfyUI'] },
  ];
  const drawnSampler = ours[4]!;
  const links = [1, 2, 3, 4].map((id) => [id, id, 0, 5, id - 1, 'X']).concat([[5, 5, 0, 6, 0, 'IMAGE']]);

  it('is read as it would run', async () => {
    const { found, ...rest } = await readDrawn(drawn(ours, links));
    expect(rest).toEqual(OWL);
    expect(JSON.parse(found.parametersJson!).workflow).toMatchObject({ version: 0.4 });
  });

  it('is followed through what only organises the drawing', async () => {
    const nodes = [
      ...ours,
      {
        id: 10,
        type: 'LoraLoader',
        mode: 4,
        inputs: [{ ...input('model', 10), type: 'MODEL' }],
        outputs: [{ type: 'MODEL' }],
      },
      { id: 11, type: 'Reroute', inputs: [input('', 11)] },
      { id: 12, type: 'SetNode', inputs: [input('CONDITIONING', 2)], widgets_values: ['words'] },
      { id: 13, type: 'GetNode', widgets_values: ['words'] },
      { id: 14, type: 'KSampler', mode: 2, widgets_values: [99], inputs: [input('positive', 3)] },
    ];
    const rerouted = [
      ...[[10, 1, 0, 10, 0, 'MODEL'], { id: 11, origin_id: 10, origin_slot: 0 }, [1, 11, 0, 5, 0, 'MODEL']],
      ...[[2, 2, 0, 12, 0, 'X'], [13, 13, 0, 5, 1, 'X'], ...links.slice(2)],
    ];
    const sampling = {
      ...drawnSampler,
      inputs: drawnSampler.inputs!.map((one) => (one.link === 2 ? input('positive', 13) : one)),
    };
    nodes[4] = sampling;
    const { found: _found, ...rest } = await readDrawn(drawn(nodes, rerouted));
    expect(rest).toEqual(OWL);
  });

  it('is followed into subgraphs and out of them', async () => {
    const object = (id: number, from: number, slot: number, to: number, toSlot: number) => ({
      ...{ id, origin_id: from, origin_slot: slot, target_id: to, target_slot: toSlot },
    });
    const text = {
      ...{ id: 'text', nodes: [{ id: 1, type: 'CLIPTextEncode', widgets_values: ['an owl'] }] },
      links: [object(1, 1, 0, -20, 0)],
    };
    const sampling = {
      ...{ id: 'sampling', inputs: [{ name: 'model' }, { name: 'latent_image' }] },
      nodes: [
        { id: 2, type: 'text', inputs: [] },
        { id: 3, type: 'CLIPTextEncode', widgets_values: ['fog'] },
        {
          ...drawnSampler,
          inputs: [input('model', 4), input('positive', 5), input('negative', 6), input('latent_image', 7)],
        },
      ],
      links: [
        ...[object(4, -10, 0, 5, 0), object(5, 2, 0, 5, 1), object(6, 3, 0, 5, 2), object(7, -10, 1, 5, 3)],
        object(8, 5, 0, -20, 0),
      ],
    };
    const nodes = [
      ...ours.filter(({ id }) => [1, 4, 6].includes(id)),
      { id: 5, type: 'sampling', inputs: [input('latent_image', 4), input('model', 1)] },
    ];
    const { found: _found, ...rest } = await readDrawn({
      ...drawn(nodes, links),
      definitions: { subgraphs: [text, sampling] },
    });
    expect(rest).toEqual(OWL);
  });

  it('names values as its inputs do, where its nodes are not known', async () => {
    const widget = (name: string) => ({ name, link: null, widget: { name } });
    const unknown = {
      ...{ id: 5, type: 'MySampler', widgets_values: [3, 'fixed', 5, 12, 'normal', 'euler'] },
      inputs: [...drawnSampler.inputs!, ...['seed', 'cfg', 'steps', 'scheduler', 'sampler_name'].map(widget)],
    };
    const { found: _found, ...rest } = await readDrawn(drawn([...ours.filter(({ id }) => id !== 5), unknown], links));
    expect(rest).toEqual(OWL);
  });

  async function readDrawn(workflow: object) {
    const found = await read(pngOf({ ...SIZE, text: { workflow: JSON.stringify(workflow) } }));
    return { found, ...(await settingsOf(found)) };
  }
});

it('an animated PNG has its graph behind the pixels', async () => {
  const png = pngOf({ ...SIZE, sizeBytes: 60_000 });
  const comf = (name: string, graph: object) =>
    pngChunk('comf', Buffer.from(`${name}\0${JSON.stringify(graph)}`, 'latin1'));
  const behind = Buffer.concat([png.subarray(0, -12), comf('prompt', BASE), comf('workflow', {}), png.subarray(-12)]);
  expect(await settingsOf(await read(behind))).toEqual(OWL);
});

it('JPEGs and WebPs of some nodes have both graphs in one comment', async () => {
  const comment = JSON.stringify({ prompt: BASE, workflow: { nodes: [] } });
  const exif = Buffer.concat([
    Buffer.from('II*\0\x08\0\0\0\x01\0\x86\x92\x07\0', 'latin1'),
    Buffer.from(new Uint32Array([comment.length + 8, 26, 0]).buffer),
    Buffer.from(`ASCII\0\0\0${comment}`),
  ]);
  expect(await settingsOf(await read(riff(riffChunk('VP8L', vp8l(SIZE)), riffChunk('EXIF', exif))))).toEqual(OWL);
});

it('megabytes of an image within a graph hide nothing else', async () => {
  const image = node('LoadImageBase64', { image: 'A'.repeat(3_000_000) });
  const text = { workflow: JSON.stringify({ nodes: [image] }), prompt: JSON.stringify({ image, ...BASE }) };
  const found = await read(pngOf({ ...SIZE, text }));
  expect(await settingsOf(found)).toEqual(OWL);
  expect(found.parametersJson).not.toContain('AAAA');
  expect(
    await settingsOf(await read(pngOf({ ...SIZE, text: { workflow: text.workflow, prompt: JSON.stringify(BASE) } }))),
  ).toEqual(OWL);
});

function read(bytes: Uint8Array) {
  return readEmbeddedMetadata(readerOf(bytes));
}

async function readGraph(graph: object) {
  return settingsOf(await read(pngOf({ ...SIZE, text: { prompt: JSON.stringify(graph) } })));
}

async function settingsOf({ prompt, model, parametersJson = '' }: Awaited<ReturnType<typeof read>>) {
  const found = { prompt, model, ...generationOf({ prompt: prompt ?? '', parametersJson }) };
  return Object.fromEntries(Object.entries(found).filter(([, value]) => value !== undefined));
}
