/** kill -9 of a daemon over a bucket: what was not committed is neither listed nor served, what was acknowledged stays. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { connect, type Image, type ImageStorageClient } from '../../src/client.ts';
import { createStorage, type S3Config } from '../../src/storage/index.ts';
import { strayObjects, unsweptObjects } from '../support/bucket.ts';
import {
  BETWEEN_OBJECT_AND_RECORD,
  killDuringSave,
  leaveObjectWithoutRecord,
  type Moment,
  runBucketDaemon,
  startBucketDaemon,
  stateOf,
} from '../support/bucket-daemon.ts';
import { collect, sha256Of } from '../support/bytes.ts';
import { imageOf, Ledger, type Target } from '../support/ledger.ts';
import { endlessImages, putUnderLoad, random } from '../support/load.ts';
import { requestsOf, type S3FaultServer, startS3FaultServer } from '../support/s3-fault-server.ts';
import { randomFaults } from '../support/s3-faults.ts';
import { full } from '../support/scale.ts';

const ROUNDS = full ? 40 : 3;
const WITH_TRASH = { trash: { days: 1 } };
const TIMEOUT_MS = 15 * 60_000;
const IMAGE = imageOf(1, { sizeBytes: 9_000_000 });

let server: S3FaultServer;
let folder: string;

beforeEach(async () => {
  server = await startS3FaultServer();
  folder = await mkdtemp(join(tmpdir(), 'image-storage-kill-'));
});
afterEach(async () => {
  await server[Symbol.asyncDispose]();
  await rm(folder, { recursive: true });
});

/** Runs over a daemon that starts where the last one died. */
async function afterRestart<T>(work: (client: ImageStorageClient) => Promise<T>): Promise<T> {
  const daemon = await runBucketDaemon(server.settings, folder);
  const client = connect(daemon.address);
  try {
    return await work(client);
  } finally {
    client.close();
    await daemon.close();
  }
}

async function listed(client: ImageStorageClient): Promise<Image[]> {
  const images: Image[] = [];
  for await (const image of client.list()) images.push(image);
  return images;
}

/** What is in the trash, looked at while no daemon runs, and brought back: by filename the sha256 of its bytes. */
async function broughtBack(): Promise<Map<string, string>> {
  const s3 = { ...server.settings, stateDir: stateOf(folder), ...WITH_TRASH };
  const storage = await createStorage({ defaultProvider: 's3', providers: { s3 } });
  try {
    const found = new Map<string, string>();
    for (const { filename } of await storage.listTrash()) {
      await storage.restore(filename);
      found.set(filename, sha256Of(await collect((await storage.get(filename)).body)));
    }
    return found;
  } finally {
    await storage.close();
  }
}

/** Of the filename nothing is shown; the same save again makes one image. */
async function expectNothingThenOne(filename: string): Promise<void> {
  await afterRestart(async (client) => {
    expect(await listed(client)).toEqual([]);
    await expect(client.get(filename)).rejects.toMatchObject({ reason: 'IMAGE_NOT_FOUND' });
    const saved = await client.save(IMAGE.bytes, IMAGE.metadata, IMAGE.options);
    expect(saved.replayed).toBe(false);
    expect((await listed(client)).map((image) => image.filename)).toEqual([saved.filename]);
    expect(sha256Of(await collect((await client.get(saved.filename)).body))).toBe(IMAGE.sha256);
  });
  expect(strayObjects(server.bucket)).toEqual([]);
}

/** Kills a daemon during a delete; the next one shows nothing of the image, and knows that it was deleted. Resolves with its name. */
async function killDuringDelete({ fault, matches }: Moment, settings: Partial<S3Config> = {}): Promise<string> {
  const daemon = await startBucketDaemon({ ...server.settings, ...settings }, folder);
  const client = connect(daemon.address, { retries: 0 });
  const { filename } = await client.save(IMAGE.bytes, IMAGE.metadata, IMAGE.options);
  const reached = server.breakNext(fault, matches);
  const deleting = client.delete(filename).catch(() => {});
  await reached;
  await daemon.stop('SIGKILL');
  await deleting;
  client.close();
  await afterRestart(async (restarted) => {
    expect(await listed(restarted)).toEqual([]);
    const again = await restarted.save(IMAGE.bytes, IMAGE.metadata, IMAGE.options);
    expect(again).toMatchObject({ filename, replayed: true });
  });
  return filename;
}

const uncommitted: (Moment & { when: string })[] = [
  { when: 'while the object is sent', fault: 'stalled request', matches: requestsOf('images', 'PUT') },
  { when: 'before the object is written', fault: 'stall', matches: requestsOf('images', 'PUT') },
  { when: 'once the object is written', fault: 'stall after the write', matches: requestsOf('images', 'PUT') },
  { when: 'between object and record', ...BETWEEN_OBJECT_AND_RECORD },
];

describe('kill -9 of a daemon', () => {
  it.each(uncommitted)('$when leaves nothing', async (moment) => {
    await expectNothingThenOne(await killDuringSave(server, folder, IMAGE, moment));
  });

  it('while the client uploads leaves nothing', async () => {
    const daemon = await startBucketDaemon(server.settings, folder);
    const client = connect(daemon.address, { retries: 0 });
    const half = Promise.withResolvers<void>();
    const save = client.save(stalling(half.resolve), IMAGE.metadata, IMAGE.options).catch((error) => error);
    await half.promise;
    await daemon.stop('SIGKILL');
    expect(await save).toMatchObject({ name: 'ImageStorageError' });
    client.close();
    expect([...server.bucket.keys()]).toEqual(['outputs/metadata/FORMAT']);
    await expectNothingThenOne('20240927_141523_flux-1-dev_000000.png');
  });

  it('between object and record, and the loss of its disk, leaves an object that is not shown', async () => {
    const key = await leaveObjectWithoutRecord(server, folder, IMAGE);
    expect(strayObjects(server.bucket)).toEqual([key]);
    await expectNothingThenOne(key.slice(key.lastIndexOf('/') + 1));
  });

  it('once the record is written keeps the image, and the same save again finds it', async () => {
    const moment: Moment = { fault: 'stall after the write', matches: requestsOf('metadata', 'PUT') };
    const filename = await killDuringSave(server, folder, IMAGE, moment);
    await afterRestart(async (client) => {
      const saved = await client.save(IMAGE.bytes, IMAGE.metadata, IMAGE.options);
      expect(saved).toMatchObject({ filename, replayed: true });
      expect((await listed(client)).map((image) => image.filename)).toEqual([filename]);
    });
  });

  it.each([
    { when: 'before the tombstone is written', fault: 'stall', matches: requestsOf('metadata', 'PUT') },
    { when: 'between tombstone and object', fault: 'stall', matches: requestsOf('images', 'DELETE') },
  ] as const)('$when carries the delete out at the next start', async ({ fault, matches }) => {
    await killDuringDelete({ fault, matches });
    expect(strayObjects(server.bucket)).toEqual([]);
  });

  it.each([
    { when: 'before the record is in the trash', fault: 'stall' },
    { when: 'once the record is in the trash', fault: 'stall after the write' },
  ] as const)('$when leaves the image there, whole', async ({ fault }) => {
    const filename = await killDuringDelete({ fault, matches: requestsOf('metadata', 'PUT') }, WITH_TRASH);
    expect(await broughtBack()).toEqual(new Map([[filename, IMAGE.sha256]]));
    expect(strayObjects(server.bucket)).toEqual([]);
  });

  it.each([
    { deletes: 'for good', settings: {} },
    { deletes: 'into the trash', settings: WITH_TRASH },
  ])(
    'at random moments under load, deletes $deletes, loses nothing that was acknowledged',
    { timeout: TIMEOUT_MS },
    async ({ settings }) => {
      const [ledger, images] = [new Ledger(), endlessImages()];
      for (let round = 1; round <= ROUNDS; round += 1) {
        const daemon = await startBucketDaemon({ ...server.settings, ...settings }, folder);
        const client = connect(daemon.address, { retries: 0 });
        for (const image of ledger.unanswered()) await ledger.save(targetOf(client), image);
        expect(brokenPromises(await listed(client), ledger), `round ${round}`).toEqual([]);
        server.plan = randomFaults(random, { cursed: 0, rate: 0.1 });
        const load = putUnderLoad(targetOf(client), ledger, { images });
        await sleep(300 * random());
        await daemon.stop('SIGKILL');
        await load;
        client.close();
        await server.heal();
      }
      await afterRestart(async (client) => {
        expect(brokenPromises(await listed(client), ledger)).toEqual([]);
        for (const { image, filename } of ledger.live()) {
          expect(sha256Of(await collect((await client.get(filename)).body))).toBe(image.sha256);
        }
      });
      expect(unsweptObjects(server.bucket)).toEqual([]);
      const inTrash = await broughtBack();
      for (const { image, filename } of ledger.entries()) {
        if (inTrash.has(filename)) expect(inTrash.get(filename)).toBe(image.sha256);
        const isGone = ledger.fateOf(image.sha256) === 'absent' && filename !== '';
        if (isGone) expect(inTrash.has(filename), filename).toBe(settings === WITH_TRASH);
      }
      console.info(
        `kill -9 over a bucket: ${ROUNDS} rounds, ${ledger.ackedCount()} saves, updates and deletes acknowledged`,
      );
      expect(ledger.ackedCount()).toBeGreaterThan(ROUNDS);
    },
  );
});

/** Half of the image, and then nothing more. */
async function* stalling(onHalf: () => void): AsyncGenerator<Uint8Array> {
  yield IMAGE.bytes.subarray(0, IMAGE.bytes.length / 2);
  onHalf();
  await new Promise(() => {});
}

function targetOf(client: ImageStorageClient): Target {
  return {
    save: (bytes, metadata, options) => client.save(bytes, metadata, options),
    update: (filename, changes) => client.update(filename, changes),
    delete: async (filename) => (await client.delete(filename))[0]!.deleted,
  };
}

/** Images that a list should show and does not, or shows though it should not, or twice. */
function brokenPromises(shown: readonly Image[], ledger: Ledger): string[] {
  const names = Map.groupBy(shown, ({ sha256 }) => sha256);
  return ledger.entries().flatMap(({ image, filename }) => {
    const found = (names.get(image.sha256) ?? []).map((each) => each.filename);
    const fate = ledger.fateOf(image.sha256);
    const kept =
      found.length <= 1 && (fate !== 'present' || found[0] === filename) && (fate !== 'absent' || !found.length);
    if (!kept) return [`${filename}: ${fate}, listed as ${found}`];
    const allowed = ledger.labelsOf(image.sha256).map((labels) => JSON.stringify(labels));
    return (names.get(image.sha256) ?? []).map(labelsOf).filter((labels) => !allowed.includes(labels));
  });
}

function labelsOf({ pinned, metadata: { category, tags } }: Image): string {
  return JSON.stringify({ pinned, category, tags });
}
