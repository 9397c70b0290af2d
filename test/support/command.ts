/** The command as tests start it in processes of their own: from the bundle, which starts in half the time of a checkout. */
import { type SpawnOptionsWithoutStdio, spawn } from 'node:child_process';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { inject } from 'vitest';

/** Path of its script. */
export const COMMAND: string = join(inject('bundle'), 'bin/image-storage.js');

const COMMAND_LINES = fileURLToPath(new URL('./command-lines.ts', import.meta.url));

/** The words that run several command lines in one process, which costs one start; its exit code is that of the last. */
export function wordsOf(commands: string[][]): string[] {
  return [process.execPath, COMMAND_LINES, join(inject('bundle'), 'dist/main.js'), JSON.stringify(commands)];
}

export interface CommandRun {
  exitCode: number | null;
  stdout: string;
  stderr: string;
}

/** Runs command lines one after the other, without a terminal. */
export async function runCommands(commands: string[][], options: SpawnOptionsWithoutStdio = {}): Promise<CommandRun> {
  const [program, ...words] = wordsOf(commands);
  const child = spawn(program!, words, options);
  child.stdin.end();
  const exited = new Promise<number | null>((resolve) => child.on('close', resolve));
  const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr)]);
  return { stdout, stderr, exitCode: await exited };
}
