/** A runner while it runs: asked one command at a time over its stdin and stdout. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

export interface RunnerProcess {
  ask(command: object): Promise<Record<string, unknown>>;
  /** Answers its exit code. */
  close(): Promise<number | null>;
}

const root = fileURLToPath(new URL('../..', import.meta.url));

export function startRunner([program, ...args]: string[], env: Record<string, string> = {}): RunnerProcess {
  const stdio = ['pipe', 'pipe', 'inherit'] as const;
  const child = spawn(program!, args, { cwd: root, env: { ...process.env, ...env }, stdio: [...stdio] });
  const exit = once(child, 'exit') as Promise<[number | null]>;
  const lines = createInterface({ input: child.stdout! })[Symbol.asyncIterator]();
  // What it would have answered is missed by the one who asks.
  child.stdin!.on('error', () => {});
  return {
    async ask(command) {
      child.stdin!.write(`${JSON.stringify(command)}\n`);
      const { value, done } = await lines.next();
      if (done) throw new Error(`the runner has ended with ${(await exit)[0]}`);
      return JSON.parse(value);
    },
    async close() {
      child.stdin!.end();
      return (await exit)[0];
    },
  };
}
