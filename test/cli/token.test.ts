/** The command with tokens: it makes one, sends it, and says what is wrong with it. */
import { execFile } from 'node:child_process';
import { hostname } from 'node:os';
import { expect, it } from 'vitest';
import { pageUrlOf } from '../../src/cli/shared/page-url.ts';
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

it('prints a token once, with the line by which a daemon knows it, and a link to its page', async () => {
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
  const [token, ...again] = made.stdout.match(/is_[\w-]{43}/g)!;
  expect(again).toEqual([token]);
  expect(made.stdout).toContain(`\n\nhttp://127.0.0.1:50051/#t=${token}\n`);
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

it('names the page as the daemon will be reached, also before it may start', async () => {
  const made = await Promise.all([
    run(['token', 'new', 'a', '--scope', 'read', '--json'], { IMAGE_STORAGE_LISTEN: '192.0.2.7:50051' }),
    run(['token', 'new', 'a', '--scope', 'read'], { IMAGE_STORAGE_LISTEN: 'nowhere' }),
  ]);
  const { token, link } = JSON.parse(made[0]!.stdout) as Record<string, string>;
  expect(link).toBe(`http://192.0.2.7:50051/#t=${token}`);
  expect(made[1]).toMatchObject({ exitCode: EXIT.OK, stderr: expect.stringContaining('no link') });
  expect(made[1]!.stdout).not.toContain('#t=');
});

const TLS = { cert: '/tls.crt', key: '/tls.key', clientCa: '', clientScopes: [] };
const NO_TLS = { ...TLS, cert: '', key: '' };

it.each([
  ['https://images.example/art', ['127.0.0.1:50051'], NO_TLS, 'https://images.example/art'],
  ['', ['unix:/socket', '127.0.0.1:50051'], NO_TLS, 'http://127.0.0.1:50051'],
  ['', ['127.0.0.1:50051', '192.0.2.7:50052'], TLS, 'https://192.0.2.7:50052'],
  ['', ['127.0.0.1:50051'], TLS, 'http://127.0.0.1:50051'],
  ['', ['[::]:50051'], TLS, `https://${hostname()}:50051`],
  ['', ['[2001:db8::1]:80'], NO_TLS, 'http://[2001:db8::1]:80'],
  ['', ['unix:/socket', '127.0.0.1:0'], NO_TLS, undefined],
])('finds the page: %j, %j', (publicUrl, listen, tls, url) => {
  expect(pageUrlOf({ publicUrl, listen, tls })).toBe(url);
});
