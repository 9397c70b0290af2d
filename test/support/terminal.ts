/** A pseudo-terminal of any width, by `script` of util-linux: what a command prints there is stdout and stderr in one. */
import { spawn, spawnSync } from 'node:child_process';
import { displayWidth } from '../../src/cli/terminal/text.ts';
import { wordsOf } from './command.ts';

export const hasScript: boolean = spawnSync('script', ['--version']).stdout?.includes('util-linux') ?? false;

export interface TerminalOptions {
  cwd: string;
  columns?: number;
  /** One for each question, typed when it is asked. */
  answers?: (() => Promise<string> | string)[];
  env?: NodeJS.ProcessEnv;
}

export interface TerminalRun {
  /** Lines end in `\n`. */
  output: string;
  exitCode: number | null;
}

/** Runs command lines of `image-storage` one after the other; the exit code is that of the last. */
export async function runInTerminal(
  commands: string[][],
  { cwd, columns = 80, answers = [], env = {} }: TerminalOptions,
): Promise<TerminalRun> {
  const line = `stty cols ${columns} rows 40; exec ${wordsOf(commands).map(quoted).join(' ')}`;
  const child = spawn('script', ['-qec', line, '/dev/null'], { cwd, env: { ...process.env, ...env } });
  const exited = new Promise<number | null>((resolve) => child.on('close', resolve));
  const left = [...answers];
  let output = '';
  for await (const chunk of child.stdout.setEncoding('utf8')) {
    output += chunk;
    if (chunk.includes('[y/N] ')) child.stdin.write((await left.shift()?.()) ?? '');
  }
  return { output: output.replaceAll('\r\n', '\n'), exitCode: await exited };
}

/** The columns of the longest line. */
export function widestOf(output: string): number {
  return Math.max(...output.split('\n').map(displayWidth));
}

function quoted(word: string): string {
  return `'${word.replaceAll("'", "'\\''")}'`;
}
