/** A proxy that answers in place of the daemon: its HTTP status is told in words, by the client, the command and MCP. */
import { spawn } from 'node:child_process';
import { status } from '@grpc/grpc-js';
import { expect, it } from 'vitest';
import { connect, type ImageStorageError } from '../../src/client.ts';
import { EXIT } from '../../src/exit-codes.ts';
import { explain } from '../../src/mcp/errors.ts';
import { COMMAND } from '../support/command.ts';
import { pngOf } from '../support/images.ts';
import { proxyWords } from '../support/proxy-words.ts';
import { startRefusing } from '../support/refusing-proxy.ts';

const words = await proxyWords();
const PNG = pngOf({ width: 4, height: 4 });
const TOO_LARGE = /^HTTP 413 instead .* client_max_body_size$/;

async function failureAt(httpStatus: number): Promise<ImageStorageError> {
  await using proxy = await startRefusing(httpStatus);
  const client = connect(proxy.address, { retries: 0 });
  try {
    return await client.save(PNG).then(
      () => expect.unreachable(),
      (error) => error,
    );
  } finally {
    client.close();
  }
}

it('the table names the limits of nginx that images meet', () => {
  expect(words.map((each) => each.status)).toEqual(expect.arrayContaining([404, 413, 502, 503, 504]));
});

it.each(words)('HTTP $status is $code, in the words of the table', async ({ status: httpStatus, code, message }) => {
  const error = await failureAt(httpStatus);
  expect(error).toMatchObject({ code: status[code as keyof typeof status], message, httpStatus, reason: undefined });
});

it('a status that the table does not have refers to the log of the proxy', async () => {
  const error = await failureAt(418);
  expect(error.message).toBe('HTTP 418 instead of a gRPC answer, likely from a proxy: its log says why');
});

it('only an image that was too large for the proxy is known not to be stored', async () => {
  expect((await failureAt(413)).outcomeUnknown).toBe(false);
  expect((await failureAt(502)).outcomeUnknown).toBe(true);
});

it.each([
  [413, EXIT.UNAVAILABLE, TOO_LARGE],
  [502, EXIT.UNAVAILABLE, /^HTTP 502 instead .* grpc_pass, and that the daemon runs$/],
])('the command says what HTTP %i means', async (httpStatus, exitCode, message) => {
  await using proxy = await startRefusing(httpStatus);
  const child = spawn(process.execPath, [COMMAND, 'stats', '--address', proxy.address]);
  let stderr = '';
  child.stderr.setEncoding('utf8').on('data', (text) => (stderr += text));
  expect(await new Promise((resolve) => child.once('close', resolve))).toBe(exitCode);
  expect(stderr.trimEnd().split('\n').at(-1)!.replace('image-storage: ', '')).toMatch(message);
});

it('an assistant is told it, too', async () => {
  expect(explain(await failureAt(413), 'localhost:50051')).toMatch(/answered with HTTP 413 .* client_max_body_size\./);
  expect(explain(await failureAt(502), 'localhost:50051')).toMatch(/answered with HTTP 502 .* may be changed/);
});
