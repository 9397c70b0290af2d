/** The command with tokens: it makes one, sends it, and says what is wrong with it. */
import { execFile } from 'node:child_process';
import { expect, it } from 'vitest';
import { EXIT } from '../../src/exit-codes.ts';
import { COMMAND } from '../support/command.ts';
import { runDaemon } from '../support/running-daemon.ts';

interface Ended {
  exitCode: number;
  stdout: string;
  stderr: string;
}

function run(args: string[], env: NodeJS.ProcessEnv = {}): Promise<Ended> {
  return new Promise((resolve) => {
    const options = { env: { ...process.env, ...env } };
    const child = execFile(process.execPath, [COMMAND, ...args], options, (_, stdout, stderr) =>
      resolve({ exitCode: child.exitCode!, stdout, stderr }),
    );
  });
}

it('prints a token once, with the line by which a daemon knows it', async () => {
  const made = await run([
    'token',
    'new',
    'worker',
    '--scope',
    'read,write',
    '--scope',
    'read',
    '--expires',
    '2090-01-31',
  ]);
  const [token, again] = made.stdout.match(/is_[\w-]{43}/g)!;
  expect(again).toBeUndefined();
  const [line] = /^worker [\da-f]{64} read,write 2090-02-01T00:00:00.000Z$/m.exec(made.stdout)!;
  await using daemon = await runDaemon({ IMAGE_STORAGE_AUTH_TOKENS: line });
  const [letIn, lacking, stranger, none] = await Promise.all([
    run(['stats', '--address', daemon.address], { IMAGE_STORAGE_TOKEN: token }),
    run(['delete', 'a.png', '--address', daemon.address], { IMAGE_STORAGE_TOKEN: token }),
    run(['stats', '--address', `unix:${daemon.socket}`], { IMAGE_STORAGE_TOKEN: 'is_other' }),
    run(['stats', '--address', daemon.address]),
  ]);
  expect(letIn).toMatchObject({ exitCode: EXIT.OK, stderr: '' });
  expect(lacking.exitCode).toBe(EXIT.PERMISSION);
  expect(lacking.stderr).toContain('the token worker lacks the scope delete');
  expect(stranger).toMatchObject({ exitCode: EXIT.PERMISSION, stdout: '' });
  expect(none.stderr).toContain('this daemon asks for a token');
  for (const { stdout, stderr } of [letIn, lacking, stranger, none]) expect(stdout + stderr).not.toContain('is_');
});

it('refuses what makes no token, and to send one where all can read it', async () => {
  const ended = await Promise.all([
    run(['token', 'new', 'worker']),
    run(['token', 'new', 'worker', '--scope', 'root']),
    run(['token', 'new', 'worker', '--scope', 'read', '--expires', '2020-01-01']),
    run(['token', 'new', 'a b', '--scope', 'read']),
    run(['stats', '--address', '192.0.2.7:50051'], { IMAGE_STORAGE_TOKEN: 'is_sesame' }),
  ]);
  expect(ended.map(({ exitCode }) => exitCode)).toEqual([...Array(4).fill(EXIT.USAGE), EXIT.CONFIG]);
  expect(ended[4]!.stderr).toContain('use https://192.0.2.7:50051');
  for (const { stdout, stderr } of ended) expect(stdout + stderr).not.toContain('is_');
});
