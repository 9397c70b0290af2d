/** What the client says, and how soon, where there is no daemon, and that it outlasts one that starts again. */
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { connect, type ImageStorageClient, type ImageStorageError } from '../../src/client.ts';
import { startScripted } from './scripted-daemon.ts';

const PROMISED_MS = 3_000;

let folder: string;
/** Takes connections and says nothing. */
let silent: Server;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'image-storage-unreachable-'));
  silent = createServer().listen(0, '127.0.0.1');
  await once(silent, 'listening');
});
afterAll(async () => {
  silent.close();
  await rm(folder, { recursive: true });
});

const calls: Record<string, (client: ImageStorageClient) => Promise<unknown>> = {
  save: (client) => client.save(Buffer.from('bytes')),
  list: async (client) => {
    for await (const image of client.list()) expect(image).toBeUndefined();
  },
  get: (client) => client.get('a.png'),
  stats: (client) => client.stats(),
};

describe.concurrent('without a daemon', () => {
  const nowhere = () => `unix:${folder}/daemon.sock`;
  const quiet = () => `127.0.0.1:${(silent.address() as { port: number }).port}`;

  it.each([
    { of: () => '127.0.0.1:1', cause: 'connection refused' },
    { of: nowhere, cause: 'no such file or directory' },
    { of: () => 'image-storage.invalid:50051', cause: 'its name is not known' },
    { of: quiet, cause: 'it does not answer' },
  ])('calls end within three seconds in one sentence: $cause', async ({ of, cause }) => {
    const address = of();
    await Promise.all(
      Object.values(calls).map(async (call) => {
        const client = connect(address);
        const began = performance.now();
        const error = await call(client).then(
          () => undefined,
          (reason: ImageStorageError) => reason,
        );
        client.close();
        expect(performance.now() - began).toBeLessThan(PROMISED_MS);
        const message = `no daemon at ${address}: ${cause}`;
        expect(error).toMatchObject({ reason: 'DAEMON_UNREACHABLE', message, retryable: true, outcomeUnknown: false });
      }),
    );
  });

  it('looks as long as it is told', async () => {
    const waits: number[] = [];
    const client = connect('127.0.0.1:1', { connectTimeoutMs: 100, onRetry: (_, delayMs) => waits.push(delayMs) });
    await expect(client.stats()).rejects.toMatchObject({ reason: 'DAEMON_UNREACHABLE' });
    client.close();
    expect(waits.reduce((sum, delayMs) => sum + delayMs, 0)).toBeLessThan(100);
  });
});

it('outlasts a daemon that starts again, however long it looks for a first one', async () => {
  const connectTimeoutMs = 500;
  const answers = { stats: (_: unknown, answer: (error: null, value: object) => void) => answer(null, {}) };
  const first = await startScripted(answers);
  let waitedMs = 0;
  let again: ReturnType<typeof startScripted> | undefined;
  const onRetry = (_: ImageStorageError, delayMs: number) => {
    if (waitedMs > connectTimeoutMs) again ??= startScripted(answers, undefined, first.address);
    waitedMs += delayMs;
  };
  const client = connect(first.address, { retries: 50, connectTimeoutMs, onRetry });
  expect(await client.stats()).toEqual([]);
  await first[Symbol.asyncDispose]();
  expect(await client.stats()).toEqual([]);
  client.close();
  await (await again!)[Symbol.asyncDispose]();
});
