/** `image-storage mcp` as assistants use it: the official clients over stdio, against a real daemon. */
import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { cp, mkdir, mkdtemp, realpath, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { CallToolResult } from '@modelcontextprotocol/client';
import sharp from 'sharp';
import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { connect, type ImageStorageClient } from '../../src/client.ts';
import { EXIT } from '../../src/exit-codes.ts';
import { openAllowed } from '../../src/mcp/allowed-file.ts';
import { createConfirmations } from '../../src/mcp/confirmation.ts';
import { COMMAND } from '../support/command.ts';
import { avifOf, pngOf, sharedImages } from '../support/images.ts';
import { pythonWith } from '../support/python.ts';
import { requires } from '../support/requires.ts';
import { type RunningDaemon, runDaemon } from '../support/running-daemon.ts';
import { type Assistant, pythonAssistant, typeScriptAssistant } from './assistant.ts';

const READING = ['list_images', 'get_image', 'storage_stats'];
const TOOLS = [...READING, 'save_image', 'cleanup_images', 'delete_images'];
const PREVIEW_BYTES = 256 * 1024;

const images = sharedImages();
const python = await pythonWith('test/mcp/requirements.txt');

let folder: string;
/** What assistants may save. */
let allowed: string;
let daemon: RunningDaemon;
let client: ImageStorageClient;
let flags: string[];

beforeAll(async () => {
  folder = await realpath(await mkdtemp(join(tmpdir(), 'image-storage-mcp-')));
  allowed = join(folder, 'allowed');
  await mkdir(allowed);
  await writeFile(join(allowed, 'small.png'), pngOf({ width: 40, height: 30 }));
  await writeFile(join(allowed, 'wide.png'), pngOf({ width: 8001, height: 1 }));
  await writeFile(join(allowed, 'flat.avif'), avifOf({ width: 40, height: 30 }));
  await writeFile(join(allowed, 'notes.txt'), 'no image');
  await writeFile(join(folder, 'secret.png'), pngOf({ width: 20, height: 20 }));
  for (const { name, path } of images) await cp(path, join(allowed, name));
  daemon = await runDaemon();
  client = connect(daemon.address);
  flags = ['--address', daemon.address, '--allow-dir', allowed];
});

afterAll(async () => {
  client.close();
  await daemon.close();
  await rm(folder, { recursive: true });
});

beforeEach(async () => {
  await client.delete(await stored());
});

async function stored(): Promise<string[]> {
  const filenames: string[] = [];
  for await (const { filename } of client.list()) filenames.push(filename);
  return filenames.sort();
}

/** Images of one's own, so that an assistant has something to delete; the oldest first. */
async function saveSome(count = 3): Promise<string[]> {
  const filenames: string[] = [];
  for (let at = 0; at < count; at += 1) {
    const bytes = pngOf({ width: 16, height: 16, seed: at });
    const timestamp = new Date(Date.UTC(2024, 0, 1 + at));
    filenames.push((await client.save(bytes, { prompt: `picture ${at}`, model: 'test', timestamp })).filename);
  }
  return filenames;
}

/** What a tool answered; it must be the same as structure and as text. */
// biome-ignore lint/suspicious/noExplicitAny: answers of every tool; the client has checked them against their schemas
function structureOf(result: CallToolResult): any {
  expect(result.isError, textOf(result)).not.toBe(true);
  expect(JSON.parse(textOf(result))).toEqual(result.structuredContent);
  return result.structuredContent;
}

function textOf({ content }: CallToolResult): string {
  const [first] = content;
  return first?.type === 'text' ? first.text : '';
}

/** The words of an error that an assistant can read. */
function refusalOf(result: CallToolResult): string {
  expect(result.isError, textOf(result)).toBe(true);
  return textOf(result);
}

const partOf = <Type extends string>({ content }: CallToolResult, type: Type) =>
  content.find((part): part is Extract<typeof part, { type: Type }> => part.type === type);
const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');

function everyTool(name: string, available: boolean, open: () => Promise<Assistant>): void {
  requires(name, available)(`every tool, by ${name}`, () => {
    let assistant: Assistant;
    beforeAll(async () => {
      assistant = await open();
    });
    afterAll(() => assistant.close());

    it('is listed with all that a host needs to know', async () => {
      const tools = await assistant.tools();
      expect(tools.map((tool) => tool.name).sort()).toEqual([...TOOLS].sort());
      for (const { name, title, description, annotations, inputSchema, outputSchema } of tools) {
        expect({ title, description, inputSchema, outputSchema }, name).toEqual({
          title: expect.any(String),
          description: expect.any(String),
          inputSchema: expect.objectContaining({ type: 'object' }),
          outputSchema: expect.objectContaining({ type: 'object' }),
        });
        expect(annotations?.readOnlyHint, name).toBe(READING.includes(name));
        expect(annotations?.destructiveHint, name).toBe(name === 'cleanup_images' || name === 'delete_images');
      }
    });

    it.skipIf(images.length === 0)('does its work on real images', async () => {
      for (const { name, bytes } of images) {
        const metadata = { prompt: `一只狐狸, ${name}`, model: 'real/Model', tags: ['real'], category: 'test' };
        const parameters = '{"seed":18446744073709551615}';
        const saved = structureOf(await assistant.call('save_image', { path: name, parameters, ...metadata }));
        expect(saved.image).toMatchObject({ ...metadata, sha256: sha256(bytes), parameters_json: parameters });

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
      const found = structureOf(await assistant.call('list_images', { query: '狐狸 fox', since: '1d', limit: 1 }));
      expect(found.images[0].prompt).toContain('fox');
      const [counted] = structureOf(await assistant.call('storage_stats')).providers;
      expect(counted).toMatchObject({ provider: 'local', count: images.length });
      expect(counted.by_model).toMatchObject([{ name: 'real/Model', count: images.length }]);
    });

    it('deletes what was named, and only after the plan', async () => {
      const [first, second, third] = await saveSome();
      const filenames = [first, third, 'nothing.png'];
      const plan = structureOf(await assistant.call('delete_images', { filenames }));
      const { size } = (await client.get(first!, { metadataOnly: true })).image;
      expect(plan).toMatchObject({ deleted: false, count: 2, bytes: 2 * size });
      expect(plan.images).toMatchObject([{ filename: first, prompt: 'picture 0' }, { filename: third }]);
      expect(plan.not_deleted).toEqual([{ filename: 'nothing.png', reason: 'IMAGE_NOT_FOUND' }]);
      expect(await stored()).toHaveLength(3);

      const { confirm_token } = plan;
      const done = structureOf(await assistant.call('delete_images', { filenames, confirm_token }));
      expect(done).toMatchObject({ deleted: true, count: 2, bytes: 2 * size });
      expect(await stored()).toEqual([second]);
    });

    it('cleans up what no criterion protects, and only after the plan', async () => {
      const [oldest, ...others] = await saveSome();
      const criteria = { keep_count: 2, older_than: '30d' };
      const plan = structureOf(await assistant.call('cleanup_images', criteria));
      expect(plan).toMatchObject({ deleted: false, count: 1, filenames: [oldest], more: false });
      expect(plan.bytes).toBeGreaterThan(0);
      expect(await stored()).toHaveLength(3);

      const { confirm_token } = plan;
      const done = structureOf(await assistant.call('cleanup_images', { ...criteria, confirm_token }));
      expect(done).toMatchObject({ deleted: true, count: 1, filenames: [oldest], bytes: plan.bytes });
      expect(await stored()).toEqual(others.sort());
    });
  });
}

everyTool('@modelcontextprotocol/client, with the handshake of 2025', true, () => typeScriptAssistant(flags));
everyTool('@modelcontextprotocol/client, with the newest protocol', true, () => typeScriptAssistant(flags, 'auto'));
everyTool("PyPI's mcp", python !== undefined, () => pythonAssistant(python!, flags));

describe('an assistant', () => {
  let assistant: Assistant;
  beforeAll(async () => {
    assistant = await typeScriptAssistant(flags);
  });
  afterAll(() => assistant.close());

  it.each(TOOLS)('is told the same of %s as ever', async (name) => {
    const tool = (await assistant.tools()).find((each) => each.name === name);
    expect(JSON.parse(JSON.stringify(tool).replaceAll(allowed, '/allowed'))).toMatchSnapshot();
  });

  it('sees a small image as it is, a long one reduced, and none where it cannot be decoded', async () => {
    const small = structureOf(await assistant.call('save_image', { path: join(allowed, 'small.png') }));
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
    const [oldest, middle, newest] = await saveSome();
    const namesOf = async (filters: object) =>
      structureOf(await assistant.call('list_images', filters)).images.map(
        ({ filename }: { filename: string }) => filename,
      );
    expect(await namesOf({ model: 'test', order: 'oldest' })).toEqual([oldest, middle, newest]);
    expect(await namesOf({ since: '2024-01-02', until: '2024-01-02' })).toEqual([middle]);
    expect(await namesOf({ query: 'picture 2', provider: '*', pinned: false })).toEqual([newest]);
    expect(await namesOf({ tags: ['none'] })).toEqual([]);
  });

  it.each(['newest', 'oldest'])('comes by every image, %s first, also where many are of one moment', async (order) => {
    const timestamp = new Date('2024-01-02T00:00:00Z');
    const filenames = await saveSome();
    for (let seed = 10; seed < 14; seed += 1) {
      const bytes = pngOf({ width: 16, height: 16, seed });
      filenames.push((await client.save(bytes, { model: 'test', timestamp })).filename);
    }
    const seen: string[] = [];
    const filters = { order, since: '2024-01-01', until: '2024-01-31', provider: '*', limit: 2 };
    for (let page_token: string | undefined, pages = 0; pages === 0 || page_token !== undefined; pages += 1) {
      const answer = structureOf(await assistant.call('list_images', { ...filters, page_token }));
      seen.push(...answer.images.map(({ filename }: { filename: string }) => filename));
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
    await symlink(join(folder, 'secret.png'), join(allowed, 'link.png'));
    await symlink(folder, join(allowed, 'up'));
    spawnSync('mkfifo', [join(allowed, 'pipe.png')]);
    const outside = [
      'link.png',
      'up/secret.png',
      '../secret.png',
      join(folder, 'secret.png'),
      join(folder, 'none.png'),
    ];
    for (const path of [...outside, '.', 'pipe.png', 'nothing.png', '']) {
      const refusal = refusalOf(await assistant.call('save_image', { path }));
      expect(refusal).toContain(`There is no readable file "${path}" inside the folder`);
    }
    expect(await stored()).toEqual([]);
  });

  it('is told when it says too much', async () => {
    expect(refusalOf(await assistant.call('list_images', { query: 'fox '.repeat(300_000) }))).toContain('less text');
  });
});

it('opens nothing outside, however fast a folder on the way becomes a link', async () => {
  const inside = join(folder, 'swapped/inside');
  await mkdir(join(inside, 'way'), { recursive: true });
  await writeFile(join(inside, 'way/file'), 'inside');
  await writeFile(join(folder, 'swapped/file'), 'outside');
  await symlink(join(folder, 'swapped'), join(inside, 'link'));
  const swap =
    "const { renameSync: r, writeSync } = require('fs'); writeSync(1, 'swapping'); for (;;) ['way>a', 'link>way', 'way>link', 'a>way'].forEach((m) => r(...m.split('>')));";
  const swapping = spawn(process.execPath, ['-e', swap], { cwd: inside, stdio: ['ignore', 'pipe', 'inherit'] });
  const ended = once(swapping, 'exit');
  onTestFinished(async () => {
    swapping.kill('SIGKILL');
    await ended;
  });
  await once(swapping.stdout, 'data');
  const read = new Set<string>();
  const end = performance.now() + 3000;
  for (let attempt = 0; attempt < 20_000 && performance.now() < end; attempt += 1) {
    const file = await openAllowed(inside, 'way/file').catch(() => undefined);
    if (file) read.add(await file.readFile('utf8'));
    await file?.close();
  }
  expect(swapping.exitCode).toBeNull();
  expect([...read]).toEqual(['inside']);
});

it('the plan of a cleanup counts what is dated in the future', async () => {
  const assistant = await typeScriptAssistant(flags);
  const [oldest, ...others] = await saveSome();
  const bytes = pngOf({ width: 16, height: 16, seed: 30 });
  const future = await client.save(bytes, { model: 'test', timestamp: new Date('2099-01-01') });
  const plan = structureOf(await assistant.call('cleanup_images', { keep_count: 2 }));
  expect(plan).toMatchObject({ count: 1, filenames: [oldest], kept_future: 1 });
  const { confirm_token } = plan;
  const done = structureOf(await assistant.call('cleanup_images', { keep_count: 2, confirm_token }));
  expect(done).toMatchObject({ deleted: true, filenames: [oldest], kept_future: 1 });
  expect(await stored()).toEqual([...others, future.filename].sort());
  await assistant.close();
});

it('a cleanup that was confirmed deletes what was shown, though images are saved meanwhile', async () => {
  const assistant = await typeScriptAssistant(flags);
  const shown = await saveSome(2);
  const plan = structureOf(await assistant.call('cleanup_images', { keep_count: 0 }));
  expect(plan.filenames).toEqual(shown);
  const bytes = pngOf({ width: 16, height: 16, seed: 20 });
  const { filename } = await client.save(bytes, { model: 'test' });

  const { confirm_token } = plan;
  const done = structureOf(await assistant.call('cleanup_images', { keep_count: 0, confirm_token }));
  expect(done).toMatchObject({ deleted: true, filenames: shown, more: true });
  expect(await stored()).toEqual([filename]);
  await assistant.close();
});

describe('a destructive call changes nothing', () => {
  let assistant: Assistant;
  let filenames: string[];
  beforeAll(async () => {
    assistant = await typeScriptAssistant(flags);
  });
  afterAll(() => assistant.close());
  beforeEach(async () => {
    filenames = (await saveSome()).sort();
  });

  const calls = (): [string, object][] => [
    ['delete_images', { filenames: [...filenames] }],
    ['cleanup_images', { keep_count: 0 }],
  ];
  const planOf = async (name: string, args: object) => structureOf(await assistant.call(name, args)).confirm_token;

  it('without its token, however often', async () => {
    for (const [name, args] of [...calls(), ...calls()]) {
      expect(structureOf(await assistant.call(name, args))).toMatchObject({ deleted: false, count: 3 });
    }
    expect(await stored()).toEqual(filenames);
  });

  it('with a token made up, of another call, or of another server', async () => {
    const other = await typeScriptAssistant(flags);
    for (const [name, args] of calls()) {
      const foreign = structureOf(await other.call(name, args)).confirm_token;
      const [otherName, otherArgs] = calls().find(([each]) => each !== name)!;
      for (const confirm_token of ['', 'yes', foreign, await planOf(otherName, otherArgs)]) {
        expect(refusalOf(await assistant.call(name, { ...args, confirm_token }))).toContain('without confirm_token');
      }
    }
    await other.close();
    expect(await stored()).toEqual(filenames);
  });

  it('with a stale token', async () => {
    for (const [name, args] of calls()) {
      const confirm_token = await planOf(name, args);
      const [added] = await saveSome(1);
      await client.delete(filenames.shift()!);
      filenames.push(added!);
      const refusal = refusalOf(await assistant.call(name, { ...args, confirm_token }));
      expect(refusal).toContain('Nothing was deleted');
      expect(await stored()).toEqual(filenames.sort());
    }
  });

  it('with a token that was used', async () => {
    for (const [name, args] of calls()) {
      const confirm_token = await planOf(name, args);
      structureOf(await assistant.call(name, { ...args, confirm_token }));
      filenames = (await saveSome()).sort();
      refusalOf(await assistant.call(name, { ...args, confirm_token }));
      expect(await stored()).toEqual(filenames.sort());
    }
  });

  it('in read-only mode', async () => {
    const token = await planOf('delete_images', { filenames });
    const reader = await typeScriptAssistant([...flags, '--read-only']);
    expect((await reader.tools()).map(({ name }) => name)).toEqual(READING);
    for (const [name, args] of calls()) {
      await expect(reader.call(name, args)).rejects.toThrow();
      await expect(reader.call(name, { ...args, confirm_token: token })).rejects.toThrow();
    }
    await expect(reader.call('save_image', { path: 'small.png' })).rejects.toThrow();
    await reader.close();
    expect(await stored()).toEqual(filenames);
  });
});

it('a token is good for ten minutes', () => {
  let now = Date.UTC(2024, 0, 1);
  const confirmations = createConfirmations(() => now);
  const plan = { count: 1 };
  const token = confirmations.tokenFor(['tool'], plan);
  now += 10 * 60_000 - 1;
  confirmations.check(token, ['tool'], plan);
  now += 1;
  expect(() => confirmations.check(token, ['tool'], plan)).toThrow('expired');
  const [count, , seal] = token.split('.');
  expect(() => confirmations.check(`${count}.${now + 60_000}.${seal}`, ['tool'], plan)).toThrow('Nothing was deleted');
});

it('links lead to the public URL where one is configured', async () => {
  await using published = await runDaemon({ IMAGE_STORAGE_PUBLIC_URL: 'https://images.example.com' });
  const assistant = await typeScriptAssistant(['--address', published.address, '--allow-dir', allowed]);
  const saved = await assistant.call('save_image', { path: 'small.png' });
  const { url } = structureOf(saved).image;
  expect(url).toMatch(/^https:\/\/images\.example\.com\/outputs\//);
  expect(partOf(saved, 'resource_link')!.uri).toBe(url);
  await assistant.close();
});

it('without --allow-dir nothing can be saved', async () => {
  const assistant = await typeScriptAssistant(['--address', daemon.address]);
  expect((await assistant.tools()).map(({ name }) => name)).not.toContain('save_image');
  await assistant.close();
});

it('takes no file for the folder', () => {
  const args = [COMMAND, 'mcp', '--allow-dir', join(allowed, 'small.png')];
  const { status, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8' });
  expect(stderr).toContain('small.png is no folder');
  expect(status).toBe(EXIT.USAGE);
});

it('without a daemon it serves all the same, and says what is missing', async () => {
  const assistant = await typeScriptAssistant(['--address', 'unix:/nowhere/socket']);
  const refusal = refusalOf(await assistant.call('list_images'));
  expect(refusal).toContain('The ImageStorage daemon at unix:/nowhere/socket cannot be reached. Ask the user');
  await assistant.close();
});

it('writes nothing but the protocol to stdout, and ends with its host', async () => {
  const server = spawn(process.execPath, [COMMAND, 'mcp', ...flags], { stdio: ['pipe', 'pipe', 'ignore'] });
  const initialize = { protocolVersion: '2025-06-18', capabilities: {}, clientInfo: { name: 'test', version: '1' } };
  const requests = [
    { id: 1, method: 'initialize', params: initialize },
    { id: 2, method: 'tools/call', params: { name: 'get_image', arguments: { filename: 'nothing.png' } } },
    { id: 3, method: 'tools/call', params: { name: 'no such tool' } },
  ];
  for (const request of requests) server.stdin.write(`${JSON.stringify({ jsonrpc: '2.0', ...request })}\n`);
  server.stdin.write('garbage\n');
  const answered = new Set<number>();
  let output = '';
  server.stdout.setEncoding('utf8').on('data', (chunk: string) => {
    output += chunk;
    for (const line of output.split('\n').slice(0, -1)) answered.add(JSON.parse(line).id);
    if (answered.size === requests.length) server.stdin.end();
  });
  await new Promise((resolve) => server.once('close', resolve));
  expect(server.exitCode).toBe(0);
  expect([...answered].sort()).toEqual([1, 2, 3]);
});
