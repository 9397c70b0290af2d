/** The Python examples against a real daemon, their hosts (weights, ComfyUI) replaced: what they keep, and what they say. */
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import sharp from 'sharp';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { COMMAND } from '../support/command.ts';
import { examples, imagesIn, jsonLines, MAX_SEED, parseJsonLines, run } from '../support/examples.ts';
import { sharedImages } from '../support/images.ts';
import { pythonWith } from '../support/python.ts';
import { requires } from '../support/requires.ts';
import { runDaemon } from '../support/running-daemon.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const python = await pythonWith('clients/python/requirements-dev.txt');
const workflows = sharedImages().filter(({ name }) => name.endsWith('.png'));

requires('python3 with venv and pip', python !== undefined)('Python', () => {
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'image-storage-examples-'));
  });
  afterAll(() => rm(folder, { recursive: true }));

  const runPython = (args: string[], cwd: string, address = '', input = '') => {
    const source = join(root, 'clients/python/src');
    const env = { IMAGE_STORAGE_ADDRESS: address, PYTHONPATH: source, PYTHONDONTWRITEBYTECODE: '1' };
    return run(python!, args, { cwd, env, input });
  };

  it('diffusers: keeps each image with its exact seed and the settings, and a job that is run again once', async () => {
    await using daemon = await runDaemon();
    const job = [
      ...['--prompt', 'a red fox', '--images', '2', '--seed', MAX_SEED],
      ...['--set', 'width=320', '--set', 'guidance_scale=3.50', '--set', 'negative_prompt=ugly jpeg'],
      ...['--job', 'fox-1', '--created', '2024-09-27T14:15:22+00:00'],
    ];
    const generate = () => runPython(['generate.py', '--stub', ...job], join(examples, 'diffusers'), daemon.address);
    const printed = await generate();
    const images = await imagesIn(daemon);
    expect(images).toHaveLength(2);
    for (const image of images) {
      expect(printed).toContain(image.filename);
      expect(image).toMatchObject({ width: 320, height: 512, contentType: 'image/png' });
      expect(image.metadata).toMatchObject({ prompt: 'a red fox', model: 'stub/gradient' });
    }
    const settings = '"width": 320, "guidance_scale": 3.5, "negative_prompt": "ugly jpeg"';
    const parameters = images.map(({ metadata }) => metadata.parametersJson).sort();
    expect(parameters).toEqual([`{"seed": 0, ${settings}}`, `{"seed": ${MAX_SEED}, ${settings}}`]);

    expect((await generate()).match(/stored before/g)).toHaveLength(2);
    expect(await imagesIn(daemon)).toEqual(images);
  });

  requires('../shared/images', workflows.length > 0)('comfyui', () => {
    /** Runs the node in a stub of ComfyUI, once for each; what it gives to the page. */
    const saveAll = async (address: string, runs: object[]) => {
      const host = [join(root, 'test/examples/comfyui_host.py'), join(examples, 'comfyui'), join(folder, 'temp')];
      return parseJsonLines(await runPython(host, folder, address, jsonLines(runs)));
    };
    const [{ path: anyFile } = { path: '' }] = workflows;

    it('keeps the workflow in the PNG, and beside it what the daemon reads there', { timeout: 300_000 }, async () => {
      await using daemon = await runDaemon();
      const runs = workflows.map(({ path }) => ({ file: path, inputs: { category: 'comfyui' } }));
      const outputs = await saveAll(daemon.address, runs);
      const images = await imagesIn(daemon);
      expect(images).toHaveLength(workflows.length);
      const command = ['save', ...workflows.map(({ path }) => path), '--json', '--address', daemon.address];
      const originals = await run(process.execPath, [COMMAND, ...command], { cwd: folder });
      for (const [index, { prompt, model, parametersJson }] of parseJsonLines(originals).entries()) {
        const [shown] = outputs[index].ui.images;
        const image = images.find(({ filename }) => filename === shown.filename)!;
        expect(image.metadata).toMatchObject({ prompt, model, category: 'comfyui' });
        const [{ comfyui: _, ...kept }, { comfyui: __, ...read }] = [image.metadata.parametersJson, parametersJson].map(
          (json) => JSON.parse(json),
        );
        expect(kept).toEqual(read);

        const [original, stored] = [workflows[index]!.bytes, await readFile(image.path)];
        expect((await pixelsOf(stored)).equals(await pixelsOf(original))).toBe(true);
        expect(await graphsOf(stored)).toEqual(await graphsOf(original));
        expect(shown).toMatchObject({ subfolder: '', type: 'temp' });
        expect(stored.equals(await readFile(join(folder, 'temp', shown.filename)))).toBe(true);
      }
    });

    it('says in the node what is wrong', async () => {
      const daemon = await runDaemon();
      const [refused] = await saveAll(daemon.address, [{ file: anyFile, inputs: { provider: 'nowhere' } }]);
      expect(refused.error).toMatch(/ImageStorage did not keep the image: no provider of that name/);
      await daemon.close();
      const [unreachable] = await saveAll(daemon.address, [{ file: anyFile, inputs: {} }]);
      expect(unreachable.error).toMatch(/ImageStorage: no daemon at \S+: connection refused\. .*IMAGE_STORAGE_ADDRESS/);
    });
  });
});

function pixelsOf(png: Buffer): Promise<Buffer> {
  return sharp(png).removeAlpha().raw().toBuffer();
}

/** What ComfyUI reads back from a PNG, whichever node saved it. */
async function graphsOf(png: Buffer): Promise<unknown> {
  const { comments = [] } = await sharp(png).metadata();
  const graphs = Object.fromEntries(comments.map(({ keyword, text }) => [keyword, JSON.parse(text)]));
  return JSON.parse(JSON.stringify(graphs).replaceAll(/SaveImageToImageStorage|PreviewImage/g, 'SaveImage'));
}
