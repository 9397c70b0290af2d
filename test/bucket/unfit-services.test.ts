/** Services that lack what a store needs: refused by name before a store is made in them, and told by doctor. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, it, onTestFinished } from 'vitest';
import { createStorage, type Logger } from '../../src/storage/index.ts';
import { diagnose, thoseThat } from '../doctor/diagnosis.ts';
import { pngOf } from '../support/images.ts';
import { verified } from '../support/maintained-store.ts';
import { type S3FaultServerOptions, startS3FaultServer } from '../support/s3-fault-server.ts';

const PNG = pngOf({ width: 8, height: 8 });
const FOX = { prompt: 'a red fox', model: 'flux-schnell' };
const FORMAT = 'outputs/metadata/FORMAT';

type Otherwise = NonNullable<S3FaultServerOptions['otherwise']>;

const looksBeforeItWrites: Otherwise = (objects, bucket) => ({
  async putNew(key, ...rest) {
    if (bucket.has(key)) return objects.putNew(key, ...rest);
    await sleep(50);
    bucket.delete(key);
    return objects.putNew(key, ...rest);
  },
});
const ignoresStartAfter: Otherwise = (objects) => ({
  list: async (prefix) => ({ ...(await objects.list(prefix)), more: true }),
});
const listsOutOfOrder: Otherwise = (objects) => ({
  async list(...args) {
    const page = await objects.list(...args);
    return { ...page, objects: page.objects.reverse() };
  },
});

async function newFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'image-storage-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  return folder;
}

it.each<[string, Otherwise, string, RegExp]>([
  [
    'checks the condition before it writes',
    looksBeforeItWrites,
    'race',
    /of 8 writers at once \d created .*#conditional-writes/,
  ],
  ['ignores StartAfter', ignoresStartAfter, 'list', /the service ignores StartAfter in listings .*#listings/],
])(
  'a service that %s is refused at each start, and makes no store; doctor says why',
  async (_, otherwise, check, why) => {
    await using server = await startS3FaultServer({ otherwise });
    const main = { ...server.settings, stateDir: await newFolder() };
    const open = () => createStorage({ defaultProvider: 'main', providers: { main } });
    for (let start = 0; start < 2; start += 1) {
      await expect(open()).rejects.toMatchObject({
        name: 'StoreOpenError',
        kind: 'config',
        message: expect.stringMatching(why),
      });
    }
    expect([...server.bucket.keys()]).toEqual([]);
    const checks = await diagnose({ ...main, stateDir: await newFolder() });
    expect(thoseThat('failed', checks)).toEqual([check]);
    expect(checks[check]).toMatch(why);
  },
);

it.each<[string, Otherwise, RegExp]>([
  ['ignores StartAfter', ignoresStartAfter, /the service ignores StartAfter/],
  ['lists out of order', listsOutOfOrder, /the service lists keys out of order/],
  ['checks the condition before it writes', looksBeforeItWrites, /of 8 writers at once/],
])(
  'a store that was made before the service %s goes on, ends every listing, and says so',
  async (_, otherwise, why) => {
    let isFit = true;
    await using server = await startS3FaultServer({
      otherwise(objects, bucket) {
        const unfit = { ...objects, ...otherwise(objects, bucket) };
        return {
          putNew: (...args) => (isFit ? objects : unfit).putNew(...args),
          list: (...args) => (isFit ? objects : unfit).list(...args),
        };
      },
    });
    const open = async (log?: Logger) => {
      const main = { ...server.settings, stateDir: await newFolder() };
      const storage = await createStorage({ defaultProvider: 'main', providers: { main } }, { ...(log && { log }) });
      onTestFinished(() => storage.close());
      return storage;
    };
    const first = await open();
    const saved = [await first.save(PNG, FOX), await first.save(PNG, FOX)];
    isFit = false;
    const told: string[] = [];
    const note = (facts: { err?: Error }, message: string) => void told.push(`${message}: ${facts.err?.message}`);
    const second = await open({ debug() {}, info() {}, warn: note, error: note });
    await expect.poll(() => told.join('\n')).toMatch(why);
    expect((await second.get(saved[0]!.filename)).item).toMatchObject({ filename: saved[0]!.filename });
    if (otherwise === looksBeforeItWrites) return;
    await expect(verified(second)).rejects.toMatchObject({ reason: 'BACKEND_UNAVAILABLE', retryAfterMs: undefined });
  },
);

it('only the start that makes a store, and the first with a new catalog, try the bucket', async () => {
  await using server = await startS3FaultServer();
  const scratch: string[] = [];
  server.refuse = ({ key, operation }) => {
    if (key.startsWith('outputs/metadata/doctor/') && operation === 'PUT') scratch.push(key);
    return undefined;
  };
  const start = async (stateDir: string) => {
    scratch.length = 0;
    const storage = await createStorage({
      defaultProvider: 'main',
      providers: { main: { ...server.settings, stateDir } },
    });
    await storage.list();
    await storage.close();
    return scratch.length;
  };
  const [folder, other] = [await newFolder(), await newFolder()];
  expect(await start(folder)).toBe(10);
  expect(await start(folder)).toBe(0);
  expect(await start(other)).toBe(10);
  expect(await start(other)).toBe(0);
  expect([...server.bucket.keys()]).toEqual([FORMAT]);
});
