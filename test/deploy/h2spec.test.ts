/** h2spec against the daemon and against plain node:http2: the daemon fails nowhere that Node does not. */
import { execFile, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createSecureServer, createServer, type Http2Server } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type Certificate, createCa, createCertificate } from '../access/certificates.ts';
import { goToolOf } from '../support/go-tools.ts';
import { requires } from '../support/requires.ts';
import { type RunningDaemon, runDaemon } from '../support/running-daemon.ts';
import { full } from '../support/scale.ts';

const run = promisify(execFile);
const h2spec = goToolOf('test/deploy/h2spec', 'github.com/summerwind/h2spec/cmd/h2spec');
const hasOpenssl = spawnSync('openssl', ['version']).status === 0;
const CASES = 145;
/** How long an answer may take; some cases wait for one that never comes. */
const WAIT_SECONDS = full ? 2 : 1;
/** The same where a case that failed is tried again. */
const AGAIN_WAIT_SECONDS = 5;
/** On cleartext, what does not begin with the preface of HTTP/2 is HTTP/1.1, and is answered as such: 400, and closed. */
const ONE_PORT = 'http2/3.5 Sends invalid connection preface';

const folder = mkdtempSync(join(tmpdir(), 'image-storage-h2spec-'));

requires('Go, which builds h2spec, and openssl', h2spec.available && hasOpenssl)('h2spec', () => {
  let program: string;
  let server: Certificate;
  let daemon: RunningDaemon;

  beforeAll(async () => {
    program = await h2spec.build();
    server = createCertificate(folder, 'server', createCa(folder, 'ca'));
    daemon = await runDaemon({
      IMAGE_STORAGE_TLS_CERT: server.cert,
      IMAGE_STORAGE_TLS_KEY: server.key,
      // So much that windows stay as they are: h2spec takes settings that change them for a wrong answer to its own.
      IMAGE_STORAGE_LIMITS_RECEIVE_BUFFER_BYTES: '4GiB',
    });
  }, 600_000);
  afterAll(async () => {
    await daemon?.close();
    rmSync(folder, { recursive: true });
  });

  let reports = 0;
  /** Returns the cases that fail, each as its section and title. */
  async function failuresOf(port: number, flags: string[], sections: string[] = [], waitSeconds = WAIT_SECONDS) {
    reports += 1;
    const report = join(folder, `${reports}.xml`);
    const where = ['-h', '127.0.0.1', '-p', String(port), '-o', String(waitSeconds), '-j', report];
    // Ends with 1 where a case fails.
    await run(program, [...where, ...flags, ...sections], { maxBuffer: 64 << 20 }).catch(() => undefined);
    const text = readFileSync(report, 'utf8');
    const cases = [...text.matchAll(/<testcase package="(.*?)" classname="(.*?)" time=".*?">(.*?)<\/testcase>/gs)];
    if (sections.length === 0) expect(cases.length).toBe(CASES);
    const failed = cases.filter(([, , , outcome]) => /^\s*<(failure|error)>/.test(outcome!));
    return new Set(failed.map(([, section, title]) => `${section} ${title}`));
  }

  async function failsMore(plain: Http2Server, flags: string[]): Promise<string[]> {
    plain.listen(0, '127.0.0.1');
    await once(plain, 'listening');
    const ports = [Number(daemon.address.split(':')[1]), (plain.address() as AddressInfo).port] as const;
    const [ours, nodes] = await Promise.all(ports.map((port) => failuresOf(port, flags)));
    expect(nodes!.size).toBeGreaterThan(0);
    const more = [...ours!].filter((name) => !nodes!.has(name));
    // On a busy machine an answer may come later than h2spec waited.
    const sections = [...new Set(more.map((name) => name.slice(0, name.indexOf(' '))))];
    const again = more.length === 0 ? ours! : await failuresOf(ports[0], flags, sections, AGAIN_WAIT_SECONDS);
    plain.close();
    return more.filter((name) => again.has(name));
  }

  const answer = (_request: unknown, response: { end(text: string): void }) => response.end('hello');

  it('fails nowhere that node:http2 does not', async () => {
    expect(await failsMore(createServer(answer), [])).toEqual([ONE_PORT]);
  });

  it('fails nowhere that node:http2 with TLS does not', async () => {
    const identity = { cert: readFileSync(server.cert), key: readFileSync(server.key) };
    expect(await failsMore(createSecureServer(identity, answer), ['-t', '-k'])).toEqual([]);
  });
});
