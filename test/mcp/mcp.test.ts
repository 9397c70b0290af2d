/** The tools of `image-storage mcp` as assistants use them: the official clients over stdio, against a real daemon. */
import { spawnSync } from 'node:child_process';
import { symlink } from 'node:fs/promises';
import { join } from 'node:path';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { pngOf, sharedImages } from '../support/images.ts';
import { pythonWith } from '../support/python.ts';
import { requires } from '../support/requires.ts';
import { type Assistant, pythonAssistant, typeScriptAssistant } from './assistant.ts';
import {
  partOf,
  refusalOf,
  rowsOf,
  saveSome,
  sha256,
  stored,
  structureOf,
  useAssistedStore,
} from './assisted-store.ts';

const READING = ['list_images', 'get_image', 'storage_stats'];
const WRITING = ['save_image', 'update_image', 'cleanup_images', 'delete_images', 'restore_images'];
const TOOLS = [...READING, 'list_trash', ...WRITING];
const PREVIEW_BYTES = 256 * 1024;
/** An assistant has all definitions in its context. */
const MAX_CHARACTERS = 10_000;

const images = sharedImages();
const python = await pythonWith('test/mcp/requirements.txt');
const store = useAssistedStore();

function everyTool(host: string, available: boolean, open: () => Promise<Assistant>): void {
  requires(host, available)(`every tool, by ${host}`, () => {
    let assistant: Assistant;
    beforeAll(async () => {
      assistant = await open();
    });
    afterAll(() => assistant.close());

    it('is listed with all that a host needs to know', async () => {
      const tools = await assistant.tools();
      expect(tools.map((tool) => tool.name).sort()).toEqual([...TOOLS].sort());
      expect(JSON.stringify(tools).length).toBeLessThanOrEqual(MAX_CHARACTERS);
      for (const { name, title, description, annotations, inputSchema } of tools) {
        expect({ title, description, inputSchema }, name).toEqual({
          title: expect.any(String),
          description: expect.any(String),
          inputSchema: expect.objectContaining({ type: 'object' }),
        });
        expect(annotations?.readOnlyHint, name).toBe(!WRITING.includes(name));
        expect(annotations?.destructiveHint, name).toBe(name === 'cleanup_images' || name === 'delete_images');
      }
    });

    it.skipIf(images.length === 0)('does its work on real images', async () => {
      for (const { name, bytes } of images) {
        const metadata = { prompt: `一只狐狸, ${name}`, model: 'real/Model', tags: ['real'], category: host };
        const parameters = '{"seed":18446744073709551615}';
        const saved = structureOf(await assistant.call('save_image', { path: name, parameters, ...metadata }));
        expect(saved.image).toMatchObject({ ...metadata, sha256: sha256(bytes) });
        expect(saved.image.generation.seed).toBe('18446744073709551615');
        const link = `http://${store.daemon.address}/i/${saved.image.filename}`;
        expect(saved.image.link).toBe(link);
        expect((await fetch(link)).headers.get('content-type')).toContain('text/html');

        const shown = await assistant.call('get_image', { filename: saved.image.filename });
        expect(structureOf(shown).image).toEqual(saved.image);
        const preview = Buffer.from(partOf(shown, 'image')!.data, 'base64');
        expect(preview.length).toBeLessThanOrEqual(PREVIEW_BYTES);
        expect((await sharp(preview).metadata()).format).toBe('jpeg');

        const { uri, mimeType } = partOf(shown, 'resource_link')!;
        expect(uri).toBe(`imagestorage://local/${saved.image.filename}`);
        const [content] = (await assistant.read(uri)).contents;
        expect(content).toMatchObject({ uri, mimeType });
        expect(sha256(Buffer.from((content as { blob: string }).blob, 'base64'))).toBe(sha256(bytes));
      }
      const found = structureOf(await assistant.call('list_images', { query: '狐狸 fox', limit: 1 }));
      expect(rowsOf(found)[0].prompt).toContain('fox');
      const [counted] = structureOf(await assistant.call('storage_stats')).providers;
      expect(counted).toMatchObject({ provider: 'local', count: images.length });
      expect(counted.by_model).toEqual([['real/Model', images.length, counted.bytes]]);
    });

    it('deletes what was named, and only after the plan', async () => {
      const [first, second, third] = await saveSome(store);
      const filenames = [first, third, 'nothing.png'];
      const plan = structureOf(await assistant.call('delete_images', { filenames }));
      const { size } = (await store.client.get(first!, { metadataOnly: true })).image;
      expect(plan).toMatchObject({ deleted: false, count: 2, bytes: 2 * size });
      expect(plan.ten_oldest).toMatchObject([{ filename: first, prompt: 'picture 0' }, { filename: third }]);
      expect(plan).toMatchObject({ oldest: '2024-01-01T00:00:00Z', newest: '2024-01-03T00:00:00Z' });
      expect(plan.not_deleted).toEqual([{ filename: 'nothing.png', reason: 'IMAGE_NOT_FOUND' }]);
      expect(await stored(store)).toHaveLength(3);

      const { confirm_token } = plan;
      const done = structureOf(await assistant.call('delete_images', { filenames, confirm_token }));
      expect(done).toMatchObject({ deleted: true, count: 2, bytes: 2 * size });
      expect(await stored(store)).toEqual([second]);
      for (const { restorable_until } of [plan, done]) expect(Date.parse(restorable_until)).toBeGreaterThan(Date.now());

      const trash = structureOf(await assistant.call('list_trash', { limit: 1 }));
      expect(rowsOf(trash)).toMatchObject([{ filename: expect.any(String), restorable_until: expect.any(String) }]);
      expect(trash.more).toBe(true);
      const restored = structureOf(await assistant.call('restore_images', { filenames }));
      expect(restored.restored).toBe(2);
      expect(restored.not_restored).toEqual([{ filename: 'nothing.png', reason: 'IMAGE_NOT_FOUND' }]);
      expect(await stored(store)).toHaveLength(3);
    });

    it('cleans up what no criterion protects, and only after the plan', async () => {
      const [oldest, ...others] = await saveSome(store);
      const criteria = { keep_count: 2, older_than: '30d' };
      const plan = structureOf(await assistant.call('cleanup_images', criteria));
      expect(plan).toMatchObject({ deleted: false, count: 1, ten_oldest: [oldest] });
      expect(plan.bytes).toBeGreaterThan(0);
      expect(await stored(store)).toHaveLength(3);

      const { confirm_token } = plan;
      const done = structureOf(await assistant.call('cleanup_images', { ...criteria, confirm_token }));
      expect(done).toMatchObject({ deleted: true, count: 1, bytes: plan.bytes });
      expect(await stored(store)).toEqual(others.sort());
    });
  });
}

everyTool('@modelcontextprotocol/client, with the handshake of 2025', true, () => typeScriptAssistant(store.flags));
everyTool('@modelcontextprotocol/client, with the newest protocol', true, () =>
  typeScriptAssistant(store.flags, 'auto'),
);
everyTool("PyPI's mcp", python !== undefined, () => pythonAssistant(python!, store.flags));

describe('an assistant', () => {
  let assistant: Assistant;
  beforeAll(async () => {
    assistant = await typeScriptAssistant(store.flags);
  });
  afterAll(() => assistant.close());

  it.each(TOOLS)('is told the same of %s as ever', async (name) => {
    const tool = (await assistant.tools()).find((each) => each.name === name);
    expect(JSON.parse(JSON.stringify(tool).replaceAll(store.allowed, '/allowed'))).toMatchSnapshot();
  });

  it('saves a file once, and says so of one that was deleted since', async () => {
    const file = { path: 'small.png', prompt: 'once' };
    const { image } = structureOf(await assistant.call('save_image', file));
    expect(structureOf(await assistant.call('save_image', file))).toEqual({ already_stored: true, image });
    await store.client.delete(image.filename);
    const told = structureOf(await assistant.call('save_image', file));
    expect(told).toMatchObject({ deleted: true, filename: image.filename });
    expect(told.next_step).toContain('restore_images');
    const anew = structureOf(await assistant.call('save_image', { ...file, again: true })).image;
    expect(await stored(store)).toEqual([anew.filename]);
  });

  it('sees the seed and the settings, but no graph', async () => {
    const graph = { nodes: 'n'.repeat(50_000) };
    const parametersJson = `{"seed":18446744073709551615,"CFG scale":7.5,"Model hash":"abc","workflow":${JSON.stringify(graph)}}`;
    const { filename } = await store.client.save(pngOf({ width: 16, height: 16 }), { parametersJson });
    const { image } = structureOf(await assistant.call('get_image', { filename }));
    expect(image).toMatchObject({ left_out: ['workflow'], parameters: { 'Model hash': 'abc' } });
    expect(image.generation).toEqual({ seed: '18446744073709551615', cfg: 7.5 });
    expect(Object.keys(image.parameters)).toEqual(['Model hash']);
  });

  it('pins and labels an image, and takes that back', async () => {
    const saved = structureOf(
      await assistant.call('save_image', { path: join(store.allowed, 'small.png'), tags: ['old'] }),
    );
    const { filename } = saved.image;
    const changes = { pinned: true, add_tags: ['new'], remove_tags: ['old'], category: 'final' };
    const changed = structureOf(await assistant.call('update_image', { filename, ...changes }));
    expect(changed.image).toMatchObject({ filename, pinned: true, tags: ['new'], category: 'final' });
    const back = structureOf(await assistant.call('update_image', { filename, pinned: false, category: '' }));
    expect(back.image).toMatchObject({ pinned: false, tags: ['new'] });
    expect(back.image.category).toBeUndefined();
  });

  it('sees a small image as it is, a long one reduced, and none where it cannot be decoded', async () => {
    const small = structureOf(await assistant.call('save_image', { path: join(store.allowed, 'small.png') }));
    const shown = await assistant.call('get_image', { filename: small.image.filename });
    expect(partOf(shown, 'image')).toMatchObject({ mimeType: 'image/png' });
    expect(sha256(Buffer.from(partOf(shown, 'image')!.data, 'base64'))).toBe(small.image.sha256);

    const wide = structureOf(await assistant.call('save_image', { path: 'wide.png' }));
    const reduced = await assistant.call('get_image', { filename: wide.image.filename });
    expect(partOf(reduced, 'image')).toMatchObject({ mimeType: 'image/jpeg' });

    const broken = structureOf(await assistant.call('save_image', { path: 'flat.avif' }));
    const linked = await assistant.call('get_image', { filename: broken.image.filename });
    expect(structureOf(linked).preview).toMatch(/^None: .* Use the link\.$/);
    expect(partOf(linked, 'image')).toBeUndefined();
    expect(partOf(linked, 'resource_link')).toBeDefined();
  });

  it('finds by every filter, and learns that there is more', async () => {
    const [oldest, middle, newest] = await saveSome(store);
    const namesOf = async (filters: object) =>
      rowsOf(structureOf(await assistant.call('list_images', filters))).map(({ filename }) => filename);
    expect(await namesOf({ model: 'test', order: 'oldest' })).toEqual([oldest, middle, newest]);
    expect(await namesOf({ since: '2024-01-02', until: '2024-01-02' })).toEqual([middle]);
    expect(await namesOf({ query: 'picture 2', provider: '*', pinned: false })).toEqual([newest]);
    expect(await namesOf({ tags: ['none'] })).toEqual([]);
  });

  it('counts what matches by what it asks for, and learns what there is where nothing does', async () => {
    await saveSome(store);
    const count = async (args: object) => structureOf(await assistant.call('storage_stats', args));
    const days = await count({ by: 'day', time_zone: 'Asia/Tokyo', query: 'picture', since: '2024-01-02', limit: 1 });
    expect(days).toMatchObject({ total: 2, oldest: '2024-01-02T00:00:00.000Z' });
    const each = days.bytes / 2;
    expect(days.groups).toEqual([
      ['2024-01-03', 1, each],
      [null, 1, each],
    ]);
    const instead = { total: 0, stored: 3, hints: ['models like it: test'] };
    expect(await count({ model: 'Tests' })).toEqual(instead);
    expect(structureOf(await assistant.call('list_images', { model: 'Tests' }))).toEqual(instead);
    expect(await count({ query: 'nothing' })).toEqual({ total: 0, stored: 3 });
  });

  it.each(['newest', 'oldest'])('comes by every image, %s first, also where many are of one moment', async (order) => {
    const timestamp = new Date('2024-01-02T00:00:00Z');
    const filenames = await saveSome(store);
    for (let seed = 10; seed < 14; seed += 1) {
      const bytes = pngOf({ width: 16, height: 16, seed });
      filenames.push((await store.client.save(bytes, { model: 'test', timestamp })).filename);
    }
    const seen: string[] = [];
    const filters = { order, since: '2024-01-01', until: '2024-01-31', provider: '*', limit: 2 };
    for (let page_token: string | undefined, pages = 0; pages === 0 || page_token !== undefined; pages += 1) {
      const answer = structureOf(await assistant.call('list_images', { ...filters, page_token }));
      seen.push(...rowsOf(answer).map(({ filename }) => filename));
      page_token = answer.next_page_token;
    }
    expect(seen.toSorted()).toEqual(filenames.toSorted());
  });

  it.each([
    ['list_images', { since: 'last week' }, 'Expected RFC 3339'],
    ['list_images', { colour: 'red' }, 'colour'],
    ['list_images', { provider: 'nowhere' }, 'storage_stats'],
    ['get_image', { filename: 'nothing.png' }, 'list_images'],
    ['cleanup_images', { model: 'test' }, 'Give older_than, keep_count or keep_bytes'],
    ['cleanup_images', { keep_count: 0, provider: '*' }, 'one provider at a time'],
    ['list_images', { page_token: 'the next page' }, 'Leave it out'],
    ['save_image', { path: 'notes.txt' }, 'Correct the argument'],
    ['save_image', { path: 'small.png', parameters: { seed: 2 ** 63 } }, 'JSON text'],
  ])('learns from an error of %s %j how to go on', async (name, args, way) => {
    expect(refusalOf(await assistant.call(name, args))).toContain(way);
  });

  it('saves nothing from outside the folder it was given', async () => {
    await symlink(join(store.folder, 'secret.png'), join(store.allowed, 'link.png'));
    await symlink(store.folder, join(store.allowed, 'up'));
    spawnSync('mkfifo', [join(store.allowed, 'pipe.png')]);
    const outside = [
      'link.png',
      'up/secret.png',
      '../secret.png',
      join(store.folder, 'secret.png'),
      join(store.folder, 'none.png'),
    ];
    for (const path of [...outside, '.', 'pipe.png', 'nothing.png', '']) {
      const refusal = refusalOf(await assistant.call('save_image', { path }));
      expect(refusal).toContain(`There is no readable file "${path}" inside the folder`);
    }
    expect(await stored(store)).toEqual([]);
  });

  it('is told when it says too much', async () => {
    expect(refusalOf(await assistant.call('list_images', { query: 'fox '.repeat(300_000) }))).toContain('less text');
  });
});
