/** The JSON routes: a form saves, and images are listed, described and deleted. */

import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { connect as connectHttp2, constants } from 'node:http2';
import { connect as connectSocket } from 'node:net';
import { text } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { storageAt } from '../support/grpc.ts';
import { pngOf } from '../support/images.ts';
import { type RunningDaemon, runDaemon } from '../support/running-daemon.ts';
import { answerOf, ask, socketTo, talk } from './raw-http.ts';

const bytes = pngOf({ width: 64, height: 48, sizeBytes: 900_000 });
const small = pngOf({ width: 64, height: 48 });
let daemon: RunningDaemon;

beforeAll(async () => {
  daemon = await runDaemon({
    IMAGE_STORAGE_LIMITS_FIRST_MESSAGE_SECONDS: '1',
    IMAGE_STORAGE_LIMITS_CHUNK_GAP_SECONDS: '0.5',
    IMAGE_STORAGE_LIMITS_MAX_METADATA_BYTES: '64KiB',
    IMAGE_STORAGE_PROVIDERS_LOCAL_TRASH_DAYS: '7',
  });
});
afterAll(() => daemon.close());

type Fields = Record<string, string | readonly string[]>;

function formOf(fields: Fields, file: Uint8Array | null = small): FormData {
  const form = new FormData();
  for (const [name, values] of Object.entries(fields)) for (const value of [values].flat()) form.append(name, value);
  if (file !== null) form.append('file', new Blob([new Uint8Array(file)]), 'mine.jpg');
  return form;
}

async function call(method: string, path: string, init: RequestInit = {}) {
  const response = await fetch(`http://${daemon.address}${path}`, { method, ...init });
  // biome-ignore lint/suspicious/noExplicitAny: each test says what it expects of it.
  const json: any = await response.json();
  return { status: response.status, headers: response.headers, json };
}

const post = (body: FormData, headers: Record<string, string> = {}) => call('POST', '/images', { body, headers });

describe('POST /images', () => {
  it('saves a file with all that is said of it', async () => {
    const fields = {
      prompt: 'ein Fuchs 🦊, "müde"',
      model: 'flux/schnell',
      timestamp: '2024-09-27T14:15:22.123Z',
      category: 'test',
      parametersJson: '{"seed":12345678901234567890}',
      tags: ['a', 'b'],
      provider: 'local',
      size: `${bytes.length}`,
      sha256: createHash('sha256').update(bytes).digest('hex'),
      contentType: 'image/png',
      pinned: 'true',
    };
    const { status, headers, json } = await post(formOf(fields, bytes));
    expect(status).toBe(201);
    const { image } = json;
    expect(image).toMatchObject({
      size: `${bytes.length}`,
      contentType: 'image/png',
      width: 64,
      height: 48,
      pinned: true,
      sha256: createHash('sha256').update(bytes).digest('base64'),
      metadata: {
        prompt: fields.prompt,
        model: fields.model,
        timestamp: fields.timestamp,
        category: 'test',
        parametersJson: fields.parametersJson,
        tags: ['a', 'b'],
      },
    });
    expect(headers.get('location')).toBe(image.url);
    const served = await fetch(`http://${daemon.address}${image.url}`);
    expect(Buffer.from(await served.arrayBuffer()).equals(bytes)).toBe(true);
  });

  it('honours Idempotency-Key', async () => {
    const headers = { 'Idempotency-Key': 'key-1' };
    const first = await post(formOf({ prompt: 'once' }), headers);
    const again = await post(formOf({ prompt: 'once' }), headers);
    expect([first.status, again.status, first.json.replayed, again.json.replayed]).toEqual([201, 200, false, true]);
    expect(again.json.image).toEqual(first.json.image);
    const other = await post(formOf({ prompt: 'another' }), headers);
    expect([other.status, other.json.reason]).toEqual([409, 'IDEMPOTENCY_KEY_REUSED']);
    const twice = await post(formOf({ idempotencyKey: 'key-2' }), headers);
    expect([twice.status, twice.json.field]).toEqual([400, 'idempotencyKey']);
  });

  it.each<[string, Fields, string]>([
    ['an unknown field', { promt: 'x' }, 'promt'],
    ['a field of a message', { metadata: '{}' }, 'metadata'],
    ['a field twice', { prompt: ['x', 'y'] }, 'prompt'],
    ['a size that is no number', { size: '1e3' }, 'size'],
    ['a pin that is neither', { pinned: 'yes' }, 'pinned'],
    ['a time that is none', { timestamp: 'yesterday' }, 'timestamp'],
    ['a time without a zone', { timestamp: '2024-09-27T14:15:22' }, 'timestamp'],
    ['a choice that is none', { embedded: 'EMBEDDED_SOME' }, 'embedded'],
    ['a sha256 that is none', { sha256: 'xyz!' }, 'sha256'],
    ['parameters that are no JSON', { parametersJson: '{' }, 'metadata.parameters_json'],
  ])('refuses %s', async (_name, fields, field) => {
    const { status, json } = await post(formOf(fields));
    expect([status, json.code, json.reason, json.field]).toEqual([400, 'invalid_argument', 'FIELD_INVALID', field]);
  });

  it('takes an age for a ttl, and a choice by its name', async () => {
    const { status, json } = await post(formOf({ ttl: '2h', embedded: 'EMBEDDED_IGNORE' }));
    expect(status).toBe(201);
    const { expireTime, createTime } = json.image;
    expect(Date.parse(expireTime) - Date.parse(createTime)).toBe(7_200_000);
  });

  it('refuses a field behind the file, two files and none, and keeps nothing', async () => {
    const before = await count();
    const behind = formOf({});
    behind.append('prompt', 'too late');
    const two = formOf({});
    two.append('file', new Blob([new Uint8Array(small)]), 'b.png');
    for (const form of [behind, two, formOf({ prompt: 'x' }, null)]) {
      const { status, json } = await post(form);
      expect([status, json.reason]).toEqual([400, 'FIELD_INVALID']);
    }
    expect(await count()).toBe(before);
  });

  it('refuses what is no image, other types, and fields that are too large', async () => {
    const text = await post(formOf({}, Buffer.from('<svg/>')));
    expect([text.status, text.json.reason]).toEqual([400, 'TYPE_NOT_ALLOWED']);
    const json = await call('POST', '/images', { body: '{}', headers: { 'content-type': 'application/json' } });
    expect([json.status, json.json.reason]).toEqual([415, 'TYPE_NOT_ALLOWED']);
    const large = await post(formOf({ prompt: 'x'.repeat(70_000) }));
    expect([large.status, large.json.reason]).toEqual([429, 'MESSAGE_TOO_LARGE']);
    const larger = await post(
      formOf({
        prompt: ['x'.repeat(60_000)],
        parametersJson: 'x'.repeat(60_000),
        category: 'x'.repeat(60_000),
        model: 'x'.repeat(60_000),
      }),
    );
    expect([larger.status, larger.json.reason]).toEqual([429, 'MESSAGE_TOO_LARGE']);
  });

  const head = (length: number | string) =>
    `POST /images HTTP/1.1\r\nHost: localhost\r\nContent-Type: multipart/form-data; boundary=b\r\nContent-Length: ${length}\r\nConnection: close\r\n\r\n`;
  const fileHead = '--b\r\nContent-Disposition: form-data; name="file"; filename="a.png"\r\n\r\n';

  it('takes the name of a part in any case and form', async () => {
    const part = (name: string) =>
      `--b\r\ncontent-disposition: FORM-DATA;${name}\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n`;
    const body = `${part(' NAME="prompt"')}h\xc3\xa9\r\n${fileHead}${small.toString('latin1')}\r\n--b--\r\n`;
    const { status, body: json } = answerOf(await talk(daemon.address, head(body.length) + body));
    expect([status, JSON.parse(Buffer.from(json, 'latin1').toString()).image.metadata.prompt]).toEqual([201, 'hé']);
  });

  it.each([
    ['ends early in the file', `${fileHead}${small.subarray(0, 200).toString('latin1')}`],
    ['ends early in a header', '--b\r\nContent-Disposition: form-data; name="file'],
    ['has no part', 'nothing\r\n'],
    ['is empty', ''],
  ])('refuses a form that %s', async (_name, body) => {
    const { status, body: json } = answerOf(await talk(daemon.address, head(body.length) + body));
    expect([status, JSON.parse(json).reason]).toEqual([400, 'FIELD_INVALID']);
  });

  it('refuses a form without a boundary', async () => {
    const answer = await ask(
      daemon.address,
      'POST /images',
      'Content-Type: multipart/form-data; a=b',
      'Content-Length: 0',
    );
    expect([answer.status, JSON.parse(answer.body).reason]).toEqual([400, 'FIELD_INVALID']);
  });

  it('gives up on who stops before the file, or in it', async () => {
    for (const body of ['--b\r\n', `${fileHead}${small.subarray(0, 200).toString('latin1')}`]) {
      const { status, body: json } = answerOf(await talk(daemon.address, head(10_000) + body, 3_000));
      expect([status, JSON.parse(json)]).toEqual([504, expect.objectContaining({ reason: 'SAVE_STALLED' })]);
    }
  });

  it('keeps nothing of who leaves, and takes the next', async () => {
    const before = await count();
    const socket = socketTo(daemon.address);
    socket.write(head(bytes.length + 500) + fileHead, 'latin1');
    socket.write(bytes.subarray(0, 500_000));
    await sleep(100);
    socket.destroy();
    expect((await post(formOf({}))).status).toBe(201);
    expect(await count()).toBe(before + 1);
  });
});

/** As a page drops files here: one request each, with a key of its own; a refusal must reach it while it still sends. */
describe('a page that uploads', () => {
  const fieldsOf = (name: string) => `--b\r\nContent-Disposition: form-data; name="${name}"\r\n\r\n`;
  const fileHead = '--b\r\nContent-Disposition: form-data; name="file"; filename="a.png"\r\n\r\n';
  const refused = `${fieldsOf('promt')}x\r\n${fileHead}`;

  it('is told which file is bad, and keeps the others', async () => {
    const before = await count();
    const files = [small, Buffer.from('no image'), pngOf({ width: 4, height: 4 }), small.subarray(0, 100)];
    const outcomes = [];
    for (const file of files) {
      const headers = { 'Idempotency-Key': crypto.randomUUID(), 'Sec-Fetch-Site': 'same-origin' };
      const { status, json } = await post(formOf({ prompt: 'dropped', size: `${file.length}` }, file), headers);
      outcomes.push([status, json.reason]);
    }
    expect(outcomes).toEqual([
      [201, undefined],
      [400, 'TYPE_NOT_ALLOWED'],
      [201, undefined],
      [400, 'IMAGE_TRUNCATED'],
    ]);
    expect(await count()).toBe(before + 2);
  });

  it('of too many bytes is told so before they are sent', async () => {
    const size = 300 * 1024 * 1024;
    const head = `POST /images HTTP/1.1\r\nHost: localhost\r\nContent-Type: multipart/form-data; boundary=b\r\nContent-Length: ${size}\r\n\r\n`;
    const begin = `${fieldsOf('size')}${size}\r\n${fileHead}${small.toString('latin1')}`;
    const { status, body } = answerOf(await talk(daemon.address, head + begin, 400));
    expect([status, JSON.parse(body).reason]).toEqual([400, 'IMAGE_TOO_LARGE']);
  });

  it('over HTTP/1.1 can send on, and is not reset before it has read why not', async () => {
    const bytes = 12 * 1024 * 1024;
    const [host, port] = daemon.address.split(':');
    const socket = connectSocket({ host, port: Number(port), allowHalfOpen: true });
    const sent = new Promise((resolve) => {
      socket.write(
        `POST /images HTTP/1.1\r\nHost: localhost\r\nContent-Type: multipart/form-data; boundary=b\r\nContent-Length: ${2 * bytes}\r\n\r\n`,
      );
      socket.write(refused);
      socket.write(Buffer.alloc(bytes), resolve);
    });
    const answer = socket.setEncoding('latin1').toArray();
    expect(await sent).toBeNull();
    expect((await answer).join('')).toMatch(/^HTTP\/1.1 400 .*FIELD_INVALID/s);
    socket.destroy();
  });

  it('over HTTP/2 is told that nothing more is wanted', async () => {
    const session = connectHttp2(`http://${daemon.address}`);
    const head = { ':method': 'POST', ':path': '/images', 'content-type': 'multipart/form-data; boundary=b' };
    const call = session.request(head, { endStream: false });
    call.write(refused + 'x'.repeat(100_000));
    const closed = once(call, 'close');
    expect(JSON.parse(await text(call))).toMatchObject({ reason: 'FIELD_INVALID', field: 'promt' });
    await closed;
    expect(call.rstCode).toBe(constants.NGHTTP2_NO_ERROR);
    session.destroy();
  });
});

describe('GET /images', () => {
  beforeAll(async () => {
    for (let saved = 0; saved < 5; saved += 1) {
      const day = `2020-01-0${saved + 1}T12:00:00Z`;
      await post(
        formOf(
          { model: 'lister', timestamp: day, category: `c${saved % 2}`, tags: ['t', `t${saved}`] },
          pngOf({ width: 8, height: 8, seed: saved }),
        ),
      );
    }
  });

  const days = async (query: string) => {
    const { status, json } = await call('GET', `/images?${query}`);
    expect(status).toBe(200);
    return json.images.map((image: { metadata: { timestamp: string } }) =>
      Number(image.metadata.timestamp.slice(8, 10)),
    );
  };

  it('lists the newest first, page by page', async () => {
    const first = await call('GET', '/images?model=lister&limit=2');
    expect(first.json.images).toHaveLength(2);
    const rest = await call(
      'GET',
      `/images?model=lister&limit=9&pageToken=${encodeURIComponent(first.json.nextPageToken)}`,
    );
    expect(rest.json.images).toHaveLength(3);
    expect(rest.json.nextPageToken).toBe('');
    const { json } = await call('GET', '/images?model=nothing');
    expect(json.images).toEqual([]);
  });

  it.each([
    ['model=lister&order=ORDER_OLDEST_FIRST', [1, 2, 3, 4, 5]],
    ['model=lister&order=OLDEST_FIRST&view=ROW', [1, 2, 3, 4, 5]],
    ['model=lister&category=c1', [4, 2]],
    ['tags=t&tags=t2', [3]],
    ['model=lister&dateRange.start=2020-01-02&dateRange.end=2020-01-03', [3, 2]],
    ['model=lister&dateRange.end=2020-01-02T12:00:00Z', [1]],
    ['query=model:lister%20tag:t4&provider=*', [5]],
    ['model=lister&pinned=false&limit=1&batchSize=1', [5]],
    ['model=lister&batchSize=2', [5, 4, 3, 2, 1]],
    ['model=lister&pinned=true', []],
  ])('?%s lists what matches', async (query, expected) => {
    expect(await days(query)).toEqual(expected);
  });

  it.each([
    ['limit=1001', 'limit'],
    ['limit=-1', 'limit'],
    ['limit=1&limit=2', 'limit'],
    ['modell=x', 'modell'],
    ['pinned=maybe', 'pinned'],
    ['order=newest', 'order'],
    ['view=CELL', 'view'],
    ['view=7', 'view'],
    ['dateRange.start=tomorrow', 'dateRange.start'],
    ['batchSize=1001', 'batch_size'],
    ['provider=none', 'provider'],
  ])('?%s is refused', async (query, field) => {
    const { status, json } = await call('GET', `/images?${query}`);
    expect([status, json.field]).toEqual([field === 'provider' ? 404 : 400, field]);
  });
});

it('lists rows without parameters', async () => {
  await post(formOf({ model: 'rows', prompt: 'x'.repeat(400), parametersJson: '{"seed":42}' }));
  for (const view of ['ROW', 'VIEW_ROW', 'UNSPECIFIED']) {
    const { json } = await call('GET', `/images?model=rows&view=${view}`);
    const { metadata, generation } = json.images[0];
    const isRow = view !== 'UNSPECIFIED';
    expect([metadata.prompt.length, metadata.parametersJson]).toEqual(isRow ? [300, ''] : [400, '{"seed":42}']);
    expect(generation.seed).toBe('42');
  }
});

describe('an image by its name', () => {
  it('is described, and deleted until it is restored', async () => {
    const { json } = await post(formOf({ prompt: 'soon gone' }));
    const { filename } = json.image;
    const described = await call('GET', `/images/${filename}`);
    expect([described.status, described.json]).toEqual([200, json.image]);
    const deleted = await call('DELETE', `/images/${filename}`);
    expect([deleted.status, deleted.json]).toMatchObject([200, { filename, deleted: true }]);
    expect(Date.parse(deleted.json.restorableUntil)).toBeGreaterThan(Date.now() + 6 * 86_400_000);
    for (const method of ['GET', 'DELETE']) {
      const gone = await call(method, `/images/${filename}`);
      expect([gone.status, gone.json.reason]).toEqual([404, 'IMAGE_NOT_FOUND']);
    }
    await storageAt(daemon.address).restore({ filenames: [filename] });
    const forGood = await call('DELETE', `/images/${filename}?permanent=1`);
    expect([forGood.status, forGood.json.restorableUntil]).toEqual([200, undefined]);
  });

  it.each([
    ['GET', '/images/nothing.png', 404],
    ['GET', '/images/..%2f..%2fcatalog.db', 404],
    ['GET', '/images/%', 404],
    ['GET', '/images/a?wrong=1', 400],
    ['DELETE', '/images/a?permanent=maybe', 400],
    ['DELETE', '/images/a?provider=*', 400],
    ['DELETE', '/images', 405],
    ['PUT', '/images/a', 405],
  ])('%s %s is answered %i', async (method, path, status) => {
    const answer = await call(method, path);
    expect([answer.status, answer.headers.get('cache-control')]).toEqual([status, 'no-store']);
    expect(Object.keys(answer.json)).toEqual(expect.arrayContaining(['code', 'reason', 'message']));
  });
});

async function count(): Promise<number> {
  const { providers } = await storageAt(daemon.address).stats({});
  return Number(providers[0]!.count);
}
