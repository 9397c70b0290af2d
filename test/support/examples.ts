/** What the tests of the examples share: how one is run, and what the daemon has of it afterwards. */
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { connect, type Image } from '../../src/client.ts';
import type { RunningDaemon } from './running-daemon.ts';

export const examples: string = fileURLToPath(new URL('../../examples/', import.meta.url));

/** The largest seed of 64 bits. */
export const MAX_SEED = '18446744073709551615';

export interface RunOptions {
  cwd: string;
  /** Besides the environment of this process. */
  env?: NodeJS.ProcessEnv;
  /** What comes on its stdin. */
  input?: string;
}

/** What it prints; rejects when its exit code is not 0. */
export async function run(command: string, args: string[], { cwd, env = {}, input = '' }: RunOptions): Promise<string> {
  const running = promisify(execFile)(command, args, { cwd, env: { ...process.env, ...env }, maxBuffer: 64 << 20 });
  // A program may end without reading it.
  running.child.stdin!.on('error', () => {});
  running.child.stdin!.end(input);
  return (await running).stdout;
}

/** All images, oldest first. */
export async function imagesIn({ address }: RunningDaemon): Promise<Image[]> {
  const client = connect(address);
  const images: Image[] = [];
  for await (const image of client.list({ order: 'oldest' })) images.push(image);
  client.close();
  return images;
}

export function jsonLines(values: readonly object[]): string {
  return values.map((value) => `${JSON.stringify(value)}\n`).join('');
}

export function parseJsonLines(text: string) {
  return text
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line));
}
