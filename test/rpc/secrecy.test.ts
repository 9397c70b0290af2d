/** What must not leak: prompts into the log, and what the daemon knows of its machine into its answers. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { ConnectError } from '@connectrpc/connect';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { ErrorInfoSchema } from '../../gen/google/rpc/error_details_pb.ts';
import { type DaemonProcess, startDaemonProcess } from '../support/daemon-process.ts';
import { filesBelow } from '../support/files.ts';
import { all, type Header, outcomeOf, saveAt, storageAt, upload } from '../support/grpc.ts';
import { pngOf } from '../support/images.ts';

const SECRET = 'xylophonist';
const png = pngOf({ width: 16, height: 16 });

let basePath: string;
let daemon: DaemonProcess;
let log: Promise<string>;
let storage: ReturnType<typeof storageAt>;

beforeEach(async () => {
  basePath = await mkdtemp(join(tmpdir(), 'image-storage-secrecy-'));
  daemon = await startDaemonProcess(basePath, { flags: ['--log-level', 'trace'], stderr: 'pipe' });
  log = text(daemon.process.stderr!);
  storage = storageAt(daemon.address);
});
afterEach(async () => {
  if (daemon.process.exitCode === null) await daemon.stop('SIGTERM');
  await rm(basePath, { recursive: true });
});

/** A file where the folder of this day should be. */
async function breakDay(day: string): Promise<Header> {
  await writeFile(join(basePath, 'images/generations', day), '');
  return { metadata: { prompt: SECRET, timestamp: { seconds: BigInt(Date.parse(day) / 1000) } } };
}

it('no prompt reaches the log, whatever happens to the call that has it', async () => {
  const save = (about: Header, bytes: Uint8Array = png) => storage.save(upload(bytes, about));
  const { filename } = await saveAt(daemon.address, png, { metadata: { prompt: SECRET }, idempotencyKey: 'k' });
  const outcomes = await Promise.all(
    [
      storage.list({ query: SECRET }),
      storage.list({ query: SECRET, pageToken: 'bad' }),
      storage.list({ query: SECRET.repeat(1000) }),
      save({ metadata: { prompt: `${SECRET}, again` }, idempotencyKey: 'k' }),
      save({ metadata: { prompt: SECRET.repeat(10_000) } }),
      save({ metadata: { prompt: `${SECRET}\0` } }),
      save({ metadata: { prompt: SECRET, parametersJson: `{"prompt": ${SECRET}}` } }),
      save({ metadata: { prompt: SECRET } }, Buffer.from('no image')),
      save(await breakDay('2024-09-27')),
    ].map(outcomeOf),
  );
  expect(outcomes).toEqual([
    'OK',
    'InvalidArgument PAGE_TOKEN_INVALID page_token',
    'InvalidArgument FIELD_INVALID query',
    expect.stringMatching(/^AlreadyExists IDEMPOTENCY_KEY_REUSED/),
    'InvalidArgument FIELD_INVALID metadata.prompt',
    'InvalidArgument FIELD_INVALID metadata.prompt',
    'InvalidArgument FIELD_INVALID metadata.parameters_json',
    'InvalidArgument TYPE_NOT_ALLOWED',
    'Internal STORAGE_IO',
  ]);
  await storage.delete({ filenames: [filename] });
  expect(await daemon.stop('SIGTERM')).toBe(0);
  const lines = (await log).trim().split('\n');
  expect(lines.length).toBeGreaterThan(outcomes.length);
  expect(lines.filter((line) => line.includes(SECRET))).toEqual([]);
});

it('a disk that fails is told without its path, and nothing of the image stays', async () => {
  const header = await breakDay('2024-09-27');
  const error = await storage.save(upload(png, header)).then(() => undefined, ConnectError.from);
  expect(error?.rawMessage).toBe('the storage failed; see the log of the daemon');
  expect(error?.findDetails(ErrorInfoSchema)).toMatchObject([{ reason: 'STORAGE_IO', metadata: {} }]);
  const headers = [...error!.metadata].map(([name, value]) =>
    name.endsWith('-bin') ? Buffer.from(value, 'base64').toString('latin1') : value,
  );
  expect(headers.join()).not.toMatch(/ENOTDIR|EEXIST|node:| at /);
  expect(headers.join()).not.toContain(tmpdir());
  expect(await all(storage.list({}))).toEqual([]);
  expect(await filesBelow(basePath, 'metadata/staging')).toEqual([]);
  await daemon.stop('SIGTERM');
  expect(await log).toContain('images/generations/2024-09-27: a file is in its place');
});
