/** The lock of a running daemon: read again when its files change, before a byte of an upload, and told to nobody. */
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, openSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { type ClientHttp2Session, connect as connectHttp2 } from 'node:http2';
import { request } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Duplex } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import { createClient } from '@connectrpc/connect';
import { createConnectTransport, createGrpcTransport, createGrpcWebTransport } from '@connectrpc/connect-node';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ImageStorage } from '../../gen/imagestorage/v1/image_storage_pb.ts';
import { newToken, tokenLine } from '../../src/auth/tokens.ts';
import { loadConfig } from '../../src/config.ts';
import { type Daemon, startDaemon } from '../../src/daemon.ts';
import { createLogger } from '../../src/logging.ts';
import { ask, socketTo, talk } from '../http/raw-http.ts';
import { chunk, header, outcomeOf, upload } from '../support/grpc.ts';
import { pngOf } from '../support/images.ts';
import { requires } from '../support/requires.ts';
import { type Certificate, createCa, createCertificate } from './certificates.ts';
import { outcomeOfRpc } from './links.ts';

const folder = mkdtempSync(join(tmpdir(), 'image-storage-'));
const tokensFile = join(folder, 'tokens');
const [token, stranger, later] = [newToken(), newToken(), newToken()];
const line = tokenLine('worker', token, ['read', 'write']);
const png = pngOf({ width: 64, height: 64, sizeBytes: 300_000 });
const hasOpenssl = spawnSync('openssl', ['version']).status === 0;
const logFile = join(folder, 'log');
const logged = () => readFileSync(logFile, 'utf8');

afterAll(() => rmSync(folder, { recursive: true, force: true }));

async function start(env: Record<string, string>, listen = ['127.0.0.1:0'], raw?: boolean): Promise<Daemon> {
  const basePath = mkdtempSync(join(folder, 'store-'));
  const config = loadConfig({ flags: { listen, basePath, logLevel: 'trace', logFormat: 'json' }, env });
  return startDaemon(config, createLogger(config.log, { fd: openSync(logFile, 'a') }), { raw });
}

describe('tokens', () => {
  let daemon: Daemon;
  let address: string;
  beforeAll(async () => {
    writeFileSync(tokensFile, line);
    daemon = await start({ IMAGE_STORAGE_AUTH_TOKENS_FILE: tokensFile });
    address = daemon.addresses[0]!;
  });
  afterAll(() => daemon.close());

  const transports = {
    'gRPC over HTTP/2': (baseUrl: string) => createGrpcTransport({ baseUrl }),
    'gRPC-Web over HTTP/1.1': (baseUrl: string) => createGrpcWebTransport({ baseUrl, httpVersion: '1.1' }),
    'Connect over HTTP/1.1': (baseUrl: string) => createConnectTransport({ baseUrl, httpVersion: '1.1' }),
    'Connect over HTTP/2': (baseUrl: string) => createConnectTransport({ baseUrl, httpVersion: '2' }),
    'Connect with GET': (baseUrl: string) => createConnectTransport({ baseUrl, httpVersion: '1.1', useHttpGet: true }),
  };
  it.each(Object.entries(transports))('count over %s', async (_name, transportTo) => {
    const images = createClient(ImageStorage, transportTo(`http://${address}`));
    const withToken = (value: string) => ({ headers: { authorization: `Bearer ${value}` } });
    const before = logged().length;
    expect(await outcomeOf(images.stats({}))).toBe('Unauthenticated TOKEN_MISSING');
    // The log is written a turn later.
    const line = '"method":"Stats","code":"Unauthenticated","reason":"TOKEN_MISSING"';
    await expect.poll(() => logged().slice(before)).toContain(line);
    expect(await outcomeOf(images.stats({}, withToken(stranger)))).toBe('Unauthenticated TOKEN_UNKNOWN');
    expect(await outcomeOf(images.stats({}, withToken(token)))).toBe('OK');
    expect(await outcomeOf(images.list({}, withToken(stranger)))).toBe('Unauthenticated TOKEN_UNKNOWN');
    expect(await outcomeOf(images.delete({ filenames: ['a.png'] }, withToken(token)))).toBe(
      'PermissionDenied SCOPE_MISSING',
    );
    expect(await outcomeOf(images.save(upload(png), withToken(stranger)))).toBe('Unauthenticated TOKEN_UNKNOWN');
    expect(await outcomeOf(images.save(upload(png), withToken(token)))).toBe('OK');
  });

  it.each([true, false])('are asked for before a byte of an upload is read, on the raw stream: %s', async (raw) => {
    const own = await start({ IMAGE_STORAGE_AUTH_TOKENS: line }, ['127.0.0.1:0'], raw);
    try {
      const images = createClient(ImageStorage, createGrpcTransport({ baseUrl: `http://${own.addresses[0]}` }));
      const endless = (async function* () {
        yield header();
        for (;;) {
          yield chunk(png);
          await sleep(5);
        }
      })();
      expect(await outcomeOf(images.save(endless))).toBe('Unauthenticated TOKEN_MISSING');
    } finally {
      await own.close();
    }
  });

  it('open the door under any name, and none closes it for another name', async () => {
    const stats = (...headers: string[]) => ask(address, 'GET /outputs/nothing', 'Host: evil.example', ...headers);
    expect((await stats()).body).toContain('HOST_NOT_ALLOWED');
    expect((await stats(`Authorization: Bearer ${stranger}`)).body).toContain('HOST_NOT_ALLOWED');
    expect((await stats(`authorization: bearer ${token}`)).body).toContain('ROUTE_NOT_FOUND');
  });

  it('are read again when their file changes, and a bad file leaves them as they are', async () => {
    const images = createClient(ImageStorage, createGrpcTransport({ baseUrl: `http://${address}` }));
    const statsWith = (value: string) => outcomeOf(images.stats({}, { headers: { authorization: `Bearer ${value}` } }));
    writeFileSync(tokensFile, `worker ${later} read`);
    await untilLogged('auth.tokensFile cannot be used: the tokens before stay');
    expect(await statsWith(token)).toBe('OK');
    writeFileSync(join(folder, 'next'), tokenLine('later', later, ['read']));
    renameSync(join(folder, 'next'), tokensFile);
    await untilLogged('auth.tokensFile was read again');
    expect(await statsWith(later)).toBe('OK');
    expect(await statsWith(token)).toBe('Unauthenticated TOKEN_UNKNOWN');
  });
});

describe('a start', () => {
  it.each([
    ['is not there', undefined, 'ENOENT'],
    ['has a mistake', `${line}\nci ${stranger} read`, 'auth.tokensFile: line 2: behind the name'],
    ['is empty', '', 'auth.tokensFile: has no line'],
  ])('is refused with a file of tokens that %s', async (_what, text, problem) => {
    const file = join(folder, 'tokens-at-start');
    rmSync(file, { force: true });
    if (text !== undefined) writeFileSync(file, text);
    const starting = start({ IMAGE_STORAGE_AUTH_TOKENS_FILE: file });
    await expect(starting).rejects.toThrow(problem);
    await expect(starting).rejects.toMatchObject({ kind: 'config' });
    await expect(starting).rejects.not.toThrow(stranger);
  });
});

requires('openssl', hasOpenssl)('TLS', () => {
  let daemon: Daemon;
  let server: Certificate;
  let roots: Buffer;
  let [local, exposed, socket] = ['', '', ''];
  beforeAll(async () => {
    const ca = createCa(folder, 'ca');
    roots = readFileSync(ca.cert);
    server = createCertificate(folder, 'server', ca);
    createCertificate(folder, 'renewed', ca);
    const files = { IMAGE_STORAGE_TLS_CERT: server.cert, IMAGE_STORAGE_TLS_KEY: server.key };
    const listen = ['127.0.0.1:0', '0.0.0.0:0', `unix:${join(folder, 'socket')}`];
    daemon = await start({ ...files, IMAGE_STORAGE_AUTH_TOKENS: line }, listen);
    [local, exposed, socket] = daemon.addresses.map((name) => name.replace('0.0.0.0', '127.0.0.1')) as [
      string,
      string,
      string,
    ];
  });
  afterAll(() => daemon.close());

  const shake = (address: string, ALPNProtocols?: string[]): Promise<TLSSocket> =>
    new Promise((resolve, reject) => {
      const [host, port] = address.split(':') as [string, string];
      const connection = connectTls({ host, port: Number(port), ca: roots, ALPNProtocols });
      connection.once('secureConnect', () => resolve(connection)).once('error', reject);
    });

  it.each([['h2'], ['http/1.1']])('is there with %s', async (protocol) => {
    for (const address of [local, exposed]) {
      const connection = await shake(address, [protocol]);
      expect(connection.alpnProtocol).toBe(protocol);
      connection.destroy();
    }
  });

  it('serves requests of clients that name no protocol', async () => {
    const status = await new Promise((resolve, reject) => {
      const options = { ca: roots, ALPNProtocols: [] as string[] };
      request(`https://${exposed}/readyz`, options, (answer) => resolve(answer.resume().statusCode))
        .on('error', reject)
        .end();
    });
    expect(status).toBe(200);
  });

  it('is all that an address takes which other machines reach', async () => {
    const plain = 'GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n';
    expect(await talk(exposed, plain)).toBe('');
    expect(await talk(exposed, 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n')).toBe('');
    expect(await talk(local, plain)).toContain('HTTP/1.1 200');
    expect(await talk(socket, plain)).toContain('HTTP/1.1 200');
  });

  it('waits for a hello that comes in pieces', async () => {
    const socket = socketTo(exposed);
    let sent = 0;
    const inPieces = new Duplex({
      read() {},
      write(bytes: Buffer, _encoding, done) {
        const cuts = sent === 0 ? [3, 7, 100] : [];
        sent += bytes.length;
        const pieces = [0, ...cuts].map((cut, at) => bytes.subarray(cut, cuts[at]));
        void (async () => {
          for (const piece of pieces) {
            socket.write(piece);
            await sleep(20);
          }
        })().then(() => done());
      },
    });
    socket.on('data', (bytes) => inPieces.push(bytes));
    const connection = connectTls({ socket: inPieces, ca: roots, ALPNProtocols: ['h2'], servername: 'localhost' });
    await once(connection, 'secureConnect');
    expect(connection.alpnProtocol).toBe('h2');
    socket.destroy();
  });

  it('survives handshakes that are none, and clients that leave within', async () => {
    expect(await talk(exposed, '\x16\x03\x01\x00\x05hello', 500)).not.toContain('HTTP');
    const half = socketTo(exposed);
    half.write(Buffer.from('160301020001', 'hex'), () => half.destroy());
    (await shake(exposed, ['h2'])).destroy();
  });

  it('takes a certificate that is renewed, and keeps its own while the pair does not match', async () => {
    const serial = async () => {
      const connection = await shake(exposed);
      const { subject } = connection.getPeerCertificate();
      connection.destroy();
      return subject.CN;
    };
    expect(await serial()).toBe('server');
    const read = (suffix: string) => readFileSync(join(folder, `renewed.${suffix}`));
    writeFileSync(server.cert, read('crt'));
    await untilLogged('tls cannot be used: the certificate before stays');
    expect(await serial()).toBe('server');
    writeFileSync(server.key, read('key'));
    await untilLogged('the certificate was read again');
    expect(await serial()).toBe('renewed');
  });
});

requires('openssl', hasOpenssl)('a client CA alone', () => {
  let daemon: Daemon;
  let sessions: Record<'local' | 'exposed' | 'client' | 'foreign', ClientHttp2Session>;
  beforeAll(async () => {
    const own = mkdtempSync(join(folder, 'mtls-'));
    const ca = createCa(own, 'ca');
    const server = createCertificate(own, 'server', ca);
    const client = createCertificate(own, 'client', ca);
    const foreign = createCertificate(own, 'foreign', createCa(own, 'other'));
    const files = { IMAGE_STORAGE_TLS_CERT: server.cert, IMAGE_STORAGE_TLS_KEY: server.key };
    const quick = { IMAGE_STORAGE_LIMITS_FIRST_MESSAGE_SECONDS: '0.3' };
    const env = { ...files, ...quick, IMAGE_STORAGE_TLS_CLIENT_CA: ca.cert };
    daemon = await start(env, ['127.0.0.1:0', '0.0.0.0:0']);
    const [local, exposed] = daemon.addresses.map((name) => name.replace('0.0.0.0', '127.0.0.1'));
    const trust = { ca: readFileSync(ca.cert) };
    const withCertificate = ({ cert, key }: Certificate) =>
      connectHttp2(`https://${exposed}`, { ...trust, cert: readFileSync(cert), key: readFileSync(key) });
    sessions = {
      local: connectHttp2(`http://${local}`),
      exposed: connectHttp2(`https://${exposed}`, trust),
      client: withCertificate(client),
      foreign: withCertificate(foreign),
    };
  });
  afterAll(async () => {
    for (const session of Object.values(sessions)) session.destroy();
    await daemon.close();
  });

  it.each([
    ['local', 'let in', 'let in'],
    ['exposed', 'TOKEN_MISSING', 'TOKEN_MISSING'],
    ['client', 'let in', 'SCOPE_MISSING write client'],
    ['foreign', 'TOKEN_MISSING', 'TOKEN_MISSING'],
  ] as const)('asks beyond loopback, and takes its own certificates only: %s', async (link, stats, save) => {
    const outcome = (method: string, value?: string) =>
      outcomeOfRpc(sessions[link], `/${ImageStorage.typeName}/${method}`, value);
    expect([await outcome('Stats'), await outcome('Save')]).toEqual([stats, save]);
    // No token is configured: one that comes says nothing.
    expect(await outcome('Stats', stranger)).toBe(stats);
  });

  it('cuts who is silent within a handshake, or behind it', async () => {
    const address = daemon.addresses[1]!.replace('0.0.0.0', '127.0.0.1');
    const half = socketTo(address);
    half.write(Buffer.from('16030102000100', 'hex'));
    const [host, port] = address.split(':') as [string, string];
    const silent = ['h2', 'http/1.1'].map((protocol) =>
      connectTls({ host, port: Number(port), rejectUnauthorized: false, ALPNProtocols: [protocol] }),
    );
    const closed = [half, ...silent].map((socket) => {
      socket.on('error', () => {}).resume();
      return once(socket, 'close', { signal: AbortSignal.timeout(5_000) });
    });
    expect(await Promise.all(closed)).toHaveLength(3);
  });
});

describe('the log', () => {
  it('has no token, whatever came of it', () => {
    const log = logged();
    expect(log.length).toBeGreaterThan(1_000);
    for (const secret of [token, stranger, later]) expect(log).not.toContain(secret);
    expect(log).not.toMatch(/is_[\w-]{20}/);
  });
});

async function untilLogged(message: string): Promise<void> {
  for (const deadline = Date.now() + 5_000; !logged().includes(message); await sleep(20)) {
    if (Date.now() > deadline) throw new Error(`never logged: ${message}`);
  }
}
