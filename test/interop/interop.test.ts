/** One suite for every language: cases.json, played by each client's runner against one real daemon. */
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { newToken, tokenLine } from '../../src/auth/tokens.ts';
import { createCa, createCertificate } from '../access/certificates.ts';
import { type DaemonProcess, startDaemonProcess } from '../support/daemon-process.ts';
import { untilNothingIsStaged } from '../support/files.ts';
import { proxyWords } from '../support/proxy-words.ts';
import { startRefusing } from '../support/refusing-proxy.ts';
import { requires } from '../support/requires.ts';
import { type RunningDaemon, runDaemon } from '../support/running-daemon.ts';
import { type Case, play, type Values } from './case.ts';
import { interopFiles, seededImages } from './files.ts';
import { interopLanguages } from './languages.ts';
import { type RunnerProcess, startRunner } from './runner.ts';

const cases: Case[] = JSON.parse(await readFile(new URL('./cases.json', import.meta.url), 'utf8'));
// One after another: each compiler takes all processors.
const commands: (string[] | undefined)[] = [];
for (const { runner } of interopLanguages) commands.push(await runner());

let folder: string;
let daemon: DaemonProcess;
/** One that asks for tokens. */
let locked: RunningDaemon;
let roots: string;
/** What every case may name. */
let values: Values;
const proxies = new AsyncDisposableStack();

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'image-storage-interop-'));
  const seeded = seededImages(join(folder, 'outputs'));
  const unix = `unix:${join(folder, 'socket')}`;
  daemon = await startDaemonProcess(join(folder, 'outputs'), { flags: ['--listen', unix] });
  const refusing: Values[] = [];
  for (const words of await proxyWords()) {
    refusing.push({ ...words, address: proxies.use(await startRefusing(words.status)).address });
  }
  const [read, write] = [newToken(), newToken()];
  const ca = createCa(folder, 'ca');
  const { cert, key } = createCertificate(folder, 'server', ca);
  roots = ca.cert;
  locked = await runDaemon({
    IMAGE_STORAGE_AUTH_TOKENS: [tokenLine('reader', read, ['read']), tokenLine('writer', write, ['write'])].join('\n'),
    IMAGE_STORAGE_TLS_CERT: cert,
    IMAGE_STORAGE_TLS_KEY: key,
  });
  const addresses = [`https://${locked.address}`, `unix:${locked.socket}`];
  values = {
    locked: { addresses, read, write },
    tcp: daemon.address,
    unix,
    seeded,
    proxies: refusing,
    ...(await interopFiles(folder)),
  };
});
afterAll(async () => {
  await daemon.stop('SIGTERM');
  await locked.close();
  await proxies.disposeAsync();
  await rm(folder, { recursive: true });
});

for (const [index, { name, kind, needs, env }] of interopLanguages.entries()) {
  const command = commands[index];
  requires(needs, command !== undefined)(name, () => {
    let runner: RunnerProcess;
    beforeAll(() => {
      runner = startRunner(command!, { IMAGE_STORAGE_CA_FILE: roots, ...env });
    });
    afterAll(async () => {
      expect(await runner.close()).toBe(0);
      await untilNothingIsStaged(join(folder, 'outputs'));
    });

    for (const played of cases.filter(({ runs }) => runs.includes(kind))) {
      const cell = `${name}: ${played.name}`;
      it(played.name, async () => {
        // A model and a key of its own keep it apart from all others.
        await play(played, runner, { ...values, model: cell, key: cell });
      });
    }
  });
}
