/** The client: what it promises when a daemon or the network fails half-way. */
import { spawnSync } from 'node:child_process';
import { getEventListeners } from 'node:events';
import { relative } from 'node:path';
import { Readable } from 'node:stream';
import { timestampMs } from '@bufbuild/protobuf/wkt';
import type {
  handleClientStreamingCall,
  handleServerStreamingCall,
  handleUnaryCall,
  ServerReadableStream,
  sendUnaryData,
} from '@grpc/grpc-js';
import { ServerCredentials, status } from '@grpc/grpc-js';
import { describe, expect, it, vi } from 'vitest';
import type {
  CleanupRequest,
  CleanupResponse,
  GetRequest,
  ListRequest,
  SaveHeader,
  SaveRequest,
  SaveResponse,
} from '../../gen/imagestorage/v1/image_storage_pb.ts';
import {
  connect,
  type Hint,
  type ImageMetadata,
  type ImageStorageClient,
  ImageStorageError,
} from '../../src/client.ts';
import { startCuttingProxy } from '../support/cutting-proxy.ts';
import { all } from '../support/grpc.ts';
import { pngOf } from '../support/images.ts';
import { requires } from '../support/requires.ts';
import { runDaemon } from '../support/running-daemon.ts';
import { full } from '../support/scale.ts';
import { refusal, startScripted } from './scripted-daemon.ts';

/** What arrived of one attempt. */
interface Arrived {
  header: SaveHeader;
  bytes: Buffer;
  trailer?: { size?: bigint; sha256: Uint8Array };
}

type Answer = sendUnaryData<SaveResponse>;

/** A Save that reads the whole request and then does as the script says, by number of the attempt. */
function scriptedSave(answers: ((answer: Answer, call: ServerReadableStream<SaveRequest, SaveResponse>) => void)[]) {
  const attempts: Arrived[] = [];
  const save: handleClientStreamingCall<SaveRequest, SaveResponse> = async (call, answer) => {
    const arrived: Partial<Arrived> & { chunks: Uint8Array[] } = { chunks: [] };
    for await (const { payload } of call as AsyncIterable<SaveRequest>) {
      if (payload.case === 'header') arrived.header = payload.value;
      if (payload.case === 'chunk') arrived.chunks.push(payload.value);
      if (payload.case === 'trailer') arrived.trailer = payload.value;
    }
    attempts.push({ ...arrived, header: arrived.header!, bytes: Buffer.concat(arrived.chunks) });
    answers[attempts.length - 1]!(answer, call);
  };
  return { save, attempts };
}

const accept = (answer: Answer) => answer(null, { image: { filename: 'stored.png' } } as SaveResponse);
const refuse =
  (...args: Parameters<typeof refusal>) =>
  (answer: Answer) =>
    answer(refusal(...args));

async function* stream(...chunks: string[]) {
  for (const chunk of chunks) yield Buffer.from(chunk);
}

async function failureOf(call: Promise<unknown>): Promise<ImageStorageError> {
  const error = await call.then(
    () => undefined,
    (reason) => reason,
  );
  expect(error).toBeInstanceOf(ImageStorageError);
  return error;
}

/** Closes the client when the test ends. */
function client(...args: Parameters<typeof connect>): ImageStorageClient & Disposable {
  const connected = connect(...args);
  return { ...connected, [Symbol.dispose]: () => connected.close() };
}

describe('save', () => {
  it('sends the same key, timestamp and bytes on every attempt, from a stream that cannot be read twice', async () => {
    const busy = refuse(status.UNAVAILABLE, 'BACKEND_UNAVAILABLE');
    const { save, attempts } = scriptedSave([busy, busy, accept]);
    await using daemon = await startScripted({ save });
    using images = client(daemon.address);
    // An empty key is none.
    const saved = await images.save(stream('one ', 'two ', 'three'), { model: 'm' }, { idempotencyKey: '' });
    expect(saved.filename).toBe('stored.png');
    expect(attempts.map(({ bytes }) => bytes.toString())).toEqual(Array(3).fill('one two three'));
    const fixed = attempts.map(({ header }) => [header.idempotencyKey, header.metadata?.timestamp]);
    expect(fixed[0]).toEqual([expect.stringMatching(/./), expect.anything()]);
    expect(fixed.slice(1)).toEqual([fixed[0], fixed[0]]);
  });

  it('declares size and sha256, in the header where it can and else in the trailer', async () => {
    const { save, attempts } = scriptedSave([accept, accept]);
    await using daemon = await startScripted({ save });
    using images = client(daemon.address);
    await images.save(Buffer.from('one two'));
    await images.save(stream('one ', 'two'));
    const { size, sha256 } = attempts[0]!.header;
    expect(size).toBe(7n);
    expect(sha256).toHaveLength(32);
    expect(attempts[1]!.trailer).toMatchObject({ size, sha256 });
  });

  it('waits at least as long as RetryInfo asks, whatever the code', async () => {
    const { save } = scriptedSave([refuse(status.RESOURCE_EXHAUSTED, 'TOO_MANY_SAVES', { retryAfterMs: 50 }), accept]);
    await using daemon = await startScripted({ save });
    const delays: number[] = [];
    using images = client(daemon.address, { onRetry: (_, delayMs) => delays.push(delayMs) });
    await images.save(Buffer.from('bytes'));
    expect(delays).toHaveLength(1);
    expect(delays[0]).toBeGreaterThanOrEqual(50);
  });

  it('spreads its attempts, so that they outlast a daemon that restarts', async () => {
    const delays: number[] = [];
    using images = client('127.0.0.1:1', { retries: 4, onRetry: (_, delayMs) => delays.push(delayMs) });
    await failureOf(images.save(Buffer.from('bytes')));
    const least = [50, 100, 200, 400];
    expect(delays.map((delayMs, i) => delayMs >= least[i]! && delayMs <= 2 * least[i]!)).toEqual(Array(4).fill(true));
  });

  it('gives up after the attempts it was allowed', async () => {
    const busy = refuse(status.UNAVAILABLE, 'BACKEND_UNAVAILABLE');
    const { save, attempts } = scriptedSave([busy, busy, busy]);
    await using daemon = await startScripted({ save });
    using images = client(daemon.address, { retries: 2 });
    const error = await failureOf(images.save(Buffer.from('bytes')));
    expect(error).toMatchObject({ code: status.UNAVAILABLE, reason: 'BACKEND_UNAVAILABLE', outcomeUnknown: false });
    expect(attempts).toHaveLength(3);
  });

  it('stops reading the source when the daemon refuses early, and says why', async () => {
    let closed = false;
    async function* endless() {
      try {
        for (;;) yield Buffer.alloc(100_000);
      } finally {
        closed = true;
      }
    }
    const save: handleClientStreamingCall<SaveRequest, SaveResponse> = (call, answer) => {
      call.once('data', () => answer(refusal(status.INVALID_ARGUMENT, 'FIELD_INVALID', { field: 'metadata.prompt' })));
    };
    await using daemon = await startScripted({ save });
    using images = client(daemon.address);
    const error = await failureOf(images.save(endless()));
    expect(error).toMatchObject({ reason: 'FIELD_INVALID', field: 'metadata.prompt', retryable: false });
    await expect.poll(() => closed).toBe(true);
  });

  it('does not try a long stream again, and says so', async () => {
    const { save, attempts } = scriptedSave([refuse(status.UNAVAILABLE, 'BACKEND_UNAVAILABLE')]);
    await using daemon = await startScripted({ save });
    using images = client(daemon.address);
    async function* long() {
      for (let mib = 0; mib < 65; mib += 1) yield Buffer.alloc(1024 * 1024);
    }
    const error = await failureOf(images.save(long()));
    expect(error.message).toContain('not tried again: the source is a stream of more than 64 MiB');
    expect(attempts).toHaveLength(1);
  });

  it('knows that nothing was stored where no daemon was reached', async () => {
    using images = client('127.0.0.1:1', { retries: 0 });
    const error = await failureOf(images.save(Buffer.from('bytes')));
    expect(error).toMatchObject({ code: status.UNAVAILABLE, outcomeUnknown: false });
  });

  it('says that the outcome is unknown when the answer was lost, and with what to ask again', async () => {
    const { save } = scriptedSave([() => void daemon[Symbol.asyncDispose]()]);
    await using daemon = await startScripted({ save });
    using images = client(daemon.address, { retries: 0 });
    const timestamp = new Date('2024-09-27T14:15:22.345Z');
    const error = await failureOf(images.save(Buffer.from('bytes'), { timestamp }, { idempotencyKey: 'k' }));
    expect(error).toMatchObject({ outcomeUnknown: true, retryWith: { idempotencyKey: 'k', timestamp } });
  });

  it('ends when it is aborted, even if the source never gives another byte', async () => {
    const { save } = scriptedSave([]);
    await using daemon = await startScripted({ save });
    using images = client(daemon.address);
    const abort = new AbortController();
    async function* stalling() {
      yield Buffer.from('first');
      abort.abort(new Error('enough'));
      await new Promise(() => {});
    }
    const error = await failureOf(images.save(stalling(), {}, { signal: abort.signal }));
    expect(error).toMatchObject({ code: status.CANCELLED, cause: new Error('enough'), outcomeUnknown: false });
  });

  it('passes on what the source throws, and leaves no call behind', async () => {
    const arrived = Promise.withResolvers<void>();
    const cancelled = Promise.withResolvers<void>();
    const save: handleClientStreamingCall<SaveRequest, SaveResponse> = (call) => {
      call.once('data', arrived.resolve).once('cancelled', cancelled.resolve);
    };
    await using daemon = await startScripted({ save });
    using images = client(daemon.address);
    async function* broken() {
      yield Buffer.from('first');
      await arrived.promise;
      throw new Error('the camera fell');
    }
    await expect(images.save(broken())).rejects.toThrow('the camera fell');
    await cancelled.promise;
  });
});

describe('connect', () => {
  it.each([
    'localhost:',
    'localhost:',
    'localhost:grpc',
    'http://localhost:50051',
    '::1:50051',
    'unix:',
    'unix://run/sock',
  ])('refuses %s, which is no address', (address) => {
    expect(() => connect(address)).toThrow(`"${address}" is no address: host:port, [v6]:port or unix:PATH`);
  });

  it('takes the address of the environment when it is given none', async () => {
    const stats: handleUnaryCall<object, object> = (_, answer) => answer(null, { providers: [{ provider: 'here' }] });
    await using daemon = await startScripted({ stats });
    vi.stubEnv('IMAGE_STORAGE_ADDRESS', daemon.address);
    using images = client();
    vi.unstubAllEnvs();
    expect(await images.stats()).toMatchObject([{ provider: 'here' }]);
  });

  it('says that an older daemon cannot change images', async () => {
    await using older = await startScripted({});
    using images = client(older.address);
    const told = { code: status.UNIMPLEMENTED, message: 'this daemon is older: it cannot change images' };
    expect(await failureOf(images.update('x.png', { pinned: true }))).toMatchObject(told);
  });

  it('says that an older daemon counts only whole providers', async () => {
    const stats: handleUnaryCall<object, object> = (_, answer) => answer(null, { providers: [{ provider: 'here' }] });
    await using daemon = await startScripted({ stats });
    using images = client(daemon.address);
    expect(await images.totals({ by: 'month' })).toBeUndefined();
  });

  it('leaves no call to a client that was closed', async () => {
    const images = connect('127.0.0.1:1');
    images.close();
    const closed = { code: status.CANCELLED, message: 'the client was closed' };
    expect(await failureOf(images.stats())).toMatchObject(closed);
    expect(await failureOf(images.save(Buffer.from('bytes')))).toMatchObject(closed);
    expect(await failureOf(all(images.list()))).toMatchObject(closed);
  });
});

requires('openssl', spawnSync('openssl', ['version']).status === 0)('TLS', () => {
  it('carries the token', async () => {
    const flags = '-x509 -newkey rsa:2048 -nodes -subj /CN=localhost -addext subjectAltName=DNS:localhost'.split(' ');
    const request = spawnSync('openssl', ['req', ...flags, '-keyout', '-'], { encoding: 'utf8' });
    const pem = Buffer.from(request.stdout);
    let authorization: unknown;
    const save: handleClientStreamingCall<SaveRequest, SaveResponse> = (call, answer) => {
      authorization = call.metadata.get('authorization');
      call.resume().once('end', () => accept(answer));
    };
    const credentials = ServerCredentials.createSsl(null, [{ cert_chain: pem, private_key: pem }]);
    await using daemon = await startScripted({ save }, credentials);
    const address = daemon.address.replace('127.0.0.1', 'localhost');
    using images = client(address, { token: 'secret', tls: { ca: pem } });
    await images.save(Buffer.from('bytes'));
    expect(authorization).toEqual(['Bearer secret']);
    using stranger = client(address, { tls: true, retries: 0 });
    expect(await failureOf(stranger.stats())).toMatchObject({ code: status.UNAVAILABLE });
  });
});

describe('get', () => {
  it('ends the call when its body is given up before the first byte', async () => {
    const cancelled = Promise.withResolvers<void>();
    const get: handleServerStreamingCall<GetRequest, object> = (call) => {
      call.write({ payload: { case: 'image', value: { filename: 'stored.png' } } });
      call.once('cancelled', cancelled.resolve);
    };
    await using daemon = await startScripted({ get });
    using images = client(daemon.address);
    const { image, body } = await images.get('stored.png');
    expect(image.filename).toBe('stored.png');
    Readable.from(body).destroy();
    await cancelled.promise;
  });

  it('fails, and leaves no call behind, where the daemon sends no image', async () => {
    const cancelled = Promise.withResolvers<void>();
    const get: handleServerStreamingCall<GetRequest, object> = (call) => {
      call.write({ payload: { case: 'chunk', value: Buffer.from('bytes') } });
      call.once('cancelled', cancelled.resolve);
    };
    await using daemon = await startScripted({ get });
    using images = client(daemon.address);
    const error = await failureOf(images.get('stored.png'));
    expect(error).toMatchObject({ code: status.INTERNAL, message: 'the daemon answered without an image' });
    await cancelled.promise;
  });
});

describe('list', () => {
  it('goes on behind the last whole batch when the stream breaks', async () => {
    const asked: ListRequest[] = [];
    const list: handleServerStreamingCall<ListRequest, object> = (call) => {
      asked.push(call.request);
      if (asked.length === 1) {
        call.write({ images: [{ filename: 'a' }, { filename: 'b' }], nextPageToken: 'behind b' });
        call.emit('error', refusal(status.UNAVAILABLE, 'BACKEND_UNAVAILABLE'));
      } else {
        call.write({ images: [{ filename: 'c' }], nextPageToken: '' });
        call.end();
      }
    };
    await using daemon = await startScripted({ list });
    using images = client(daemon.address);
    const listed = await all(images.list({ limit: 5, model: 'm' }));
    expect(listed.map(({ filename }) => filename)).toEqual(['a', 'b', 'c']);
    expect(asked[1]).toMatchObject({ pageToken: 'behind b', limit: 3, model: 'm' });
  });
});

describe('cleanup', () => {
  it('sends an age, and beside it its date for daemons that know no age', async () => {
    const requests: CleanupRequest[] = [];
    const cleanup: handleUnaryCall<CleanupRequest, CleanupResponse> = ({ request }, answer) => {
      requests.push(request);
      answer(null, { deletedCount: 0n, keptFuture: 3n } as CleanupResponse);
    };
    await using daemon = await startScripted({ cleanup });
    using images = client(daemon.address);
    const before = Date.now();
    expect(await images.cleanup({ olderThan: { ageMs: 90_500 } })).toMatchObject({ keptFuture: 3 });
    await images.cleanup({ olderThan: new Date(before) });

    const [byAge, byDate] = requests;
    expect(byAge!.olderThanAge).toMatchObject({ seconds: 90n, nanos: 500_000_000 });
    const sentMs = timestampMs(byAge!.olderThan!);
    expect(sentMs).toBeGreaterThanOrEqual(before - 90_500);
    expect(sentMs).toBeLessThanOrEqual(Date.now() - 90_500);
    expect(byDate!.olderThanAge).toBeUndefined();
    expect(timestampMs(byDate!.olderThan!)).toBe(before);
  });

  it('sends a selection by itself, so that an older daemon sees no criterion, and says then what it lacks', async () => {
    const requests: CleanupRequest[] = [];
    const cleanup: handleUnaryCall<CleanupRequest, CleanupResponse> = ({ request }, answer) => {
      requests.push(request);
      answer(refusal(status.INVALID_ARGUMENT, 'CLEANUP_WITHOUT_CRITERION'));
    };
    await using daemon = await startScripted({ cleanup });
    using images = client(daemon.address);
    const lacks = 'this daemon is older: it knows no selections; update it, or give criteria';
    const plan = Buffer.from('a plan');
    const selections = [
      { query: 'fox', except: ['a.png'], olderThan: { ageMs: 1000 }, keepBytes: 5, plan },
      ...[{ only: ['a.png'] }, { pinned: false }, { dateRange: { end: new Date(0) } }, { keepCount: 0 }, { plan }],
    ];
    for (const selection of selections) {
      const refused = images.cleanup({ selection, provider: 'p', maxDeletes: 3 });
      await expect(refused).rejects.toMatchObject({ code: status.UNIMPLEMENTED, message: lacks });
    }
    for (const { olderThan, olderThanAge, keepCount, keepBytes, model, category, policy } of requests) {
      expect([olderThan, olderThanAge, keepCount, keepBytes]).toEqual([undefined, undefined, undefined, undefined]);
      expect([model, category, policy]).toEqual(['', '', '']);
    }
    expect(requests[0]).toMatchObject({
      ...{ provider: 'p', maxDeletes: 3 },
      selection: { query: 'fox', except: ['a.png'], olderThanAge: { seconds: 1n }, keepBytes: 5n, plan },
    });
    for (const selection of [{}, { except: ['a.png'], only: [], query: '', dateRange: {} }])
      await expect(images.cleanup({ selection })).rejects.toMatchObject({ reason: 'CLEANUP_WITHOUT_CRITERION' });
  });

  it('is not repeated when it may have happened', async () => {
    let calls = 0;
    const cleanup: handleUnaryCall<CleanupRequest, CleanupResponse> = () => {
      calls += 1;
      void daemon[Symbol.asyncDispose]();
    };
    await using daemon = await startScripted({ cleanup });
    using images = client(daemon.address);
    const error = await failureOf(images.cleanup({ keepCount: 1 }));
    expect(error.outcomeUnknown).toBe(true);
    expect(calls).toBe(1);
  });
});

describe('with a real daemon', () => {
  const MIB = 1024 * 1024;
  const timestamp = new Date('2024-09-27T14:15:22.345Z');
  const metadata: Required<ImageMetadata> = {
    prompt: 'a red fox 🦊',
    model: 'black-forest-labs/FLUX.1 [dev]',
    timestamp,
    category: 'animals',
    parametersJson: '{ "seed": 18446744073709551615 }',
    tags: ['fox', 'snow'],
  };

  it('keeps what was said of an image, and finds, counts and deletes it, over TCP and over a socket', async () => {
    await using daemon = await runDaemon();
    for (const address of [daemon.address, `unix:${daemon.socket}`, `unix:${relative('.', daemon.socket)}`]) {
      using images = client(address);
      expect(await images.health()).toBe(true);
      const bytes = pngOf({ width: 5, height: 4, sizeBytes: MIB });
      const saved = await images.save(bytes, metadata, { pinned: true });
      expect(saved).toMatchObject({ metadata, pinned: true, size: MIB, width: 5, height: 4, replayed: false });

      const { replayed: _, deleted: isDeleted, ...image } = saved;
      expect(isDeleted).toBe(false);
      const filter = {
        query: 'fox',
        tags: ['snow'],
        pinned: true,
        dateRange: { start: timestamp, end: new Date('2024-09-28') },
      };
      expect(await all(images.list(filter))).toEqual([image]);
      const got = await images.get(image.filename);
      expect(got.image).toEqual(image);
      expect(Buffer.concat(await all(got.body))).toEqual(bytes);
      const part = await images.get(image.filename, { offset: 10, limit: 5 });
      expect(Buffer.concat(await all(part.body))).toEqual(bytes.subarray(10, 15));

      expect(await images.stats()).toMatchObject([{ provider: 'local', count: 1, bytes: MIB, newest: timestamp }]);
      const day = { name: '2024-09-27', count: 1, bytes: MIB, rest: false };
      const counted = { count: 1, bytes: MIB, oldest: timestamp, newest: timestamp, groups: [day], more: false };
      expect(await images.totals({ ...filter, by: 'day', timeZone: 'UTC', limit: 1 })).toEqual(counted);
      const hints: Hint[] = [];
      expect(await all(images.list({ tags: ['Snow'], onHints: (found) => hints.push(...found) }))).toEqual([]);
      expect(hints).toEqual([{ field: 'tag', values: ['snow'] }]);
      expect(await images.cleanup({ keepCount: 0 })).toMatchObject({ deletedCount: 0, freedBytes: 0 });
      expect(await images.delete([image.filename, 'nope.png'])).toEqual([
        { filename: image.filename, deleted: true, reason: '', restorableUntil: expect.any(Date) },
        { filename: 'nope.png', deleted: false, reason: 'IMAGE_NOT_FOUND' },
      ]);

      expect(await images.stats()).toMatchObject([{ count: 0, trashCount: 1, trashBytes: MIB }]);
      const times = { deleteTime: expect.any(Date), purgeTime: expect.any(Date) };
      expect(await all(images.listTrash({ query: 'fox' }))).toEqual([{ ...image, ...times }]);
      expect(await images.restore([image.filename, 'nope.png'])).toEqual([
        { filename: image.filename, restored: true, reason: '' },
        { filename: 'nope.png', restored: false, reason: 'IMAGE_NOT_FOUND' },
      ]);
      expect(await all(images.list(filter))).toEqual([image]);
      await images.delete(image.filename);
      expect(await images.purge({ all: true })).toEqual({ count: 1, bytes: MIB });
    }
  });

  it('leaves no call behind of which nothing more comes', async () => {
    await using daemon = await runDaemon();
    using images = client(daemon.address);
    const { filename } = await images.save(pngOf({ width: 5, height: 4 }));
    const { signal } = new AbortController();
    for (let count = 0; count < 3; count += 1) await images.get(filename, { metadataOnly: true, signal });
    expect(getEventListeners(signal, 'abort')).toEqual([]);
  });

  it.runIf(full)('keeps its connection over thousands of lists', async () => {
    await using daemon = await runDaemon();
    using images = client(daemon.address, { retries: 0 });
    await images.save(pngOf({ width: 5, height: 4 }));
    // A server gives up a connection after a thousand resets.
    for (let count = 0; count < 2500; count += 1) expect(await all(images.list())).toHaveLength(1);
  });

  it('reads many images at once over a socket', async () => {
    await using daemon = await runDaemon();
    using images = client(`unix:${daemon.socket}`);
    const bytes = pngOf({ width: 5, height: 4, sizeBytes: MIB });
    const { filename } = await images.save(bytes);
    const read = async () => Buffer.concat(await all((await images.get(filename)).body));
    for (const got of await Promise.all(Array.from({ length: 24 }, read))) expect(got).toEqual(bytes);
  });

  it('makes one image of a save whose connections break, and reads it back over others that do', async () => {
    await using daemon = await runDaemon();
    const bytes = pngOf({ width: 5, height: 4, sizeBytes: 3 * MIB });
    // In the middle of the request; when the answer was on its way.
    await using proxy = await startCuttingProxy(daemon.address, [{ afterUpload: MIB }, { atAnswer: 'break' }]);
    using images = client(proxy.address);
    async function* camera() {
      for (let at = 0; at < bytes.length; at += 100_000) yield bytes.subarray(at, at + 100_000);
    }
    const saved = await images.save(camera(), metadata);
    expect(saved.replayed).toBe(true);
    expect(proxy.connections()).toBe(3);
    expect(await all(images.list())).toHaveLength(1);

    await using shaky = await startCuttingProxy(daemon.address, [{ afterDownload: MIB }, { afterDownload: MIB }]);
    using reader = client(shaky.address);
    const { body } = await reader.get(saved.filename);
    expect(Buffer.concat(await all(body))).toEqual(bytes);
    expect(shaky.connections()).toBe(3);
  });

  it('says in full what the daemon refuses', async () => {
    await using daemon = await runDaemon();
    using images = client(daemon.address);
    const unknown = await failureOf(images.get('20240927_141522_flux_abc123.png'));
    expect(unknown).toMatchObject({ code: status.NOT_FOUND, reason: 'IMAGE_NOT_FOUND' });
    const wrong = await failureOf(images.save(pngOf({ width: 1, height: 1 }), { parametersJson: '[]' }));
    expect(wrong).toMatchObject({ reason: 'FIELD_INVALID', field: 'metadata.parameters_json', outcomeUnknown: false });
    const listing = failureOf(all(images.list({ provider: 'nowhere' })));
    expect(await listing).toMatchObject({ reason: 'PROVIDER_NOT_FOUND' });
  });
});

it("shows the daemon's message as it was written, commas included", async () => {
  await using daemon = await runDaemon();
  using images = client(daemon.address);
  const message = 'name older_than, keep_count or keep_bytes; filters alone are no criterion';
  await expect(images.cleanup({})).rejects.toMatchObject({ message, reason: 'CLEANUP_WITHOUT_CRITERION' });
});
