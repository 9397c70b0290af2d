/** One suite for every language: cases.json, played by each client's runner against one real daemon. */
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type DaemonProcess, startDaemonProcess } from '../support/daemon-process.ts';
import { untilNothingIsStaged } from '../support/files.ts';
import { requires } from '../support/requires.ts';
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
/** What every case may name. */
let values: Values;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'image-storage-interop-'));
  const seeded = seededImages(join(folder, 'outputs'));
  const unix = `unix:${join(folder, 'socket')}`;
  daemon = await startDaemonProcess(join(folder, 'outputs'), { flags: ['--listen', unix] });
  values = { tcp: daemon.address, unix, seeded, ...(await interopFiles(folder)) };
});
afterAll(async () => {
  await daemon.stop('SIGTERM');
  await rm(folder, { recursive: true });
});

for (const [index, { name, kind, needs, env }] of interopLanguages.entries()) {
  const command = commands[index];
  requires(needs, command !== undefined)(name, () => {
    let runner: RunnerProcess;
    beforeAll(() => {
      runner = startRunner(command!, env);
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
