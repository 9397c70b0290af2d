/** Runs `doctor`, as the command and in process, and what must still hold of a daemon beside it. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { expect, onTestFinished } from 'vitest';
import { connect } from '../../src/client.ts';
import type { ProviderCheck } from '../../src/storage/doctor/doctor.ts';
import { createStorage, type ProviderSettings } from '../../src/storage/index.ts';
import { examineStorage } from '../../src/storage/storage.ts';
import { COMMAND } from '../support/command.ts';
import { pngOf } from '../support/images.ts';

/** What can be saved. */
export const PNG: Buffer = pngOf({ width: 8, height: 8 });
export const FOX = { prompt: 'a red fox', model: 'flux-schnell' };

export type Providers = Record<string, ProviderSettings>;

/** A folder that goes with the test. */
export async function newFolder(): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'image-storage-doctor-'));
  onTestFinished(() => rm(path, { recursive: true }));
  return path;
}

/** Writes a configuration file; gives its path. */
export async function configFile(providers: Providers): Promise<string> {
  const path = join(await newFolder(), 'config.yaml');
  await writeFile(path, JSON.stringify({ providers }));
  return path;
}

/** Runs the command over these providers. */
export async function doctor(providers: Providers, ...flags: string[]) {
  // What else runs on this machine is none of its business.
  const listen = flags.includes('--listen') ? [] : ['--listen', `unix:${join(await newFolder(), 'socket')}`];
  const words = ['doctor', '--config', await configFile(providers), ...listen, ...flags];
  const child = spawn(process.execPath, [COMMAND, ...words]);
  const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')]);
  return { stdout, stderr, exitCode: child.exitCode };
}

/** Each check by its name, as `verdict: message`. */
export type Checks = Record<string, string>;

/** Examines one provider in this process. */
export function diagnose(main: ProviderSettings): Promise<Checks> {
  return byName(examineStorage({ defaultProvider: 'main', providers: { main } }));
}

export async function byName(checks: AsyncIterable<Omit<ProviderCheck, 'provider'>>): Promise<Checks> {
  const found: Checks = {};
  for await (const { name, verdict, message } of checks) found[name] = `${verdict}: ${message}`;
  return found;
}

/** The names of the checks that ended like that. */
export function thoseThat(verdict: 'ok' | 'note' | 'skipped' | 'failed', checks: Checks): string[] {
  return Object.keys(checks).filter((name) => checks[name]!.startsWith(`${verdict}:`));
}

export async function expectToServe(address: string): Promise<void> {
  const client = connect(address);
  const { filename } = await client.save(PNG, FOX);
  const listed: string[] = [];
  for await (const image of client.list()) listed.push(image.filename);
  expect(listed).toEqual([filename]);
  client.close();
}

/** Nobody else can open it, and so take its lock. */
export async function expectToBeLocked(main: ProviderSettings): Promise<void> {
  const second = createStorage({ defaultProvider: 'main', providers: { main } });
  await expect(second).rejects.toMatchObject({ kind: 'locked' });
}
