/** The command `image-storage mcp`: its flags, the folder it may read, and how it speaks and ends. */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { handleUnaryCall } from '@grpc/grpc-js';
import { Client } from '@modelcontextprotocol/client';
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio';
import { expect, it, onTestFinished } from 'vitest';
import { EXIT } from '../../src/exit-codes.ts';
import { openAllowed } from '../../src/mcp/allowed-file.ts';
import { hostConfig } from '../../src/mcp/host-config.ts';
import { startScripted } from '../client/scripted-daemon.ts';
import { COMMAND } from '../support/command.ts';
import { runDaemon } from '../support/running-daemon.ts';
import { full } from '../support/scale.ts';
import { typeScriptAssistant } from './assistant.ts';
import { partOf, refusalOf, structureOf, useAssistedStore } from './assisted-store.ts';

const READING = ['list_images', 'get_image', 'storage_stats'];
const store = useAssistedStore();

it('opens nothing outside, however fast a folder on the way becomes a link', async () => {
  const inside = join(store.folder, 'swapped/inside');
  await mkdir(join(inside, 'way'), { recursive: true });
  await writeFile(join(inside, 'way/file'), 'inside');
  await writeFile(join(store.folder, 'swapped/file'), 'outside');
  await symlink(join(store.folder, 'swapped'), join(inside, 'link'));
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
  const end = performance.now() + (full ? 3000 : 1000);
  for (let attempt = 0; attempt < 20_000 && performance.now() < end; attempt += 1) {
    const file = await openAllowed(inside, 'way/file').catch(() => undefined);
    if (file) read.add(await file.readFile('utf8'));
    await file?.close();
  }
  expect(swapping.exitCode).toBeNull();
  expect([...read]).toEqual(['inside']);
});

it('links lead to the public URL where one is configured', async () => {
  await using published = await runDaemon({ IMAGE_STORAGE_PUBLIC_URL: 'https://images.example.com/below' });
  const assistant = await typeScriptAssistant(['--address', published.address, '--allow-dir', store.allowed]);
  const saved = structureOf(await assistant.call('save_image', { path: 'small.png' })).image;
  expect(saved.link).toBe(`https://images.example.com/below/i/${saved.filename}`);
  const shown = await assistant.call('get_image', { filename: saved.filename });
  expect(structureOf(shown).image).toEqual(saved);
  expect(partOf(shown, 'resource_link')!.uri).toMatch(/^https:\/\/images\.example\.com\/below\/outputs\//);
  await assistant.close();
});

it('says that an older daemon counts only whole providers', async () => {
  const stats: handleUnaryCall<object, object> = (_, answer) => answer(null, { providers: [{ provider: 'local' }] });
  await using older = await startScripted({ stats });
  const assistant = await typeScriptAssistant(['--address', older.address]);
  expect(refusalOf(await assistant.call('storage_stats', { by: 'tag' }))).toMatch(
    /^This daemon is older: it counts only/,
  );
  expect(structureOf(await assistant.call('storage_stats')).providers).toMatchObject([{ provider: 'local' }]);
  await assistant.close();
});

it('without --allow-dir nothing can be saved', async () => {
  const assistant = await typeScriptAssistant(['--address', store.daemon.address]);
  expect((await assistant.tools()).map(({ name }) => name)).not.toContain('save_image');
  await assistant.close();
});

it('takes no file for the folder', () => {
  const args = [COMMAND, 'mcp', '--allow-dir', join(store.allowed, 'small.png')];
  const { status, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8' });
  expect(stderr).toContain('small.png is no folder');
  expect(status).toBe(EXIT.USAGE);
});

it('prints what each host is told, which starts it from anywhere', async () => {
  const flags = [...store.flags, '--read-only'];
  const { stdout } = spawnSync(process.execPath, [COMMAND, 'mcp', '--print-config', 'other', ...flags], {
    encoding: 'utf8',
    cwd: store.folder,
  });
  const launch = JSON.parse(stdout);
  const client = new Client({ name: 'test', version: '1' });
  await client.connect(new StdioClientTransport({ ...launch, cwd: '/' }));
  expect((await client.listTools()).tools.map(({ name }) => name)).toEqual(READING);
  await client.close();

  expect(JSON.parse(hostConfig('cursor', launch))).toEqual({ mcpServers: { images: launch } });
  expect(JSON.parse(hostConfig('vscode', launch))).toEqual({ servers: { images: { type: 'stdio', ...launch } } });
  const line = hostConfig('claude-code', { command: '/opt/my node', args: ["/it's/here.js", 'mcp'] });
  expect(line).toBe(`claude mcp add images -- '/opt/my node' '/it'\\''s/here.js' mcp`);
});

it('without a daemon it serves all the same, and says what is missing', async () => {
  const assistant = await typeScriptAssistant(['--address', 'unix:/nowhere/socket']);
  const refusal = refusalOf(await assistant.call('list_images'));
  expect(refusal).toContain('The ImageStorage daemon at unix:/nowhere/socket cannot be reached. Ask the user');
  await assistant.close();
});

it('writes nothing but the protocol to stdout, and ends with its host', async () => {
  const server = spawn(process.execPath, [COMMAND, 'mcp', ...store.flags], { stdio: ['pipe', 'pipe', 'ignore'] });
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
