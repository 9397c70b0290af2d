/** What the log says of a call, and what ended one that nobody waits for any more. */
import { describe, expect, it } from 'vitest';
import { startCall } from '../../src/rpc/call.ts';
import { type Status, statusOf } from '../../src/rpc/status.ts';
import { StorageError } from '../../src/storage/domain/errors.ts';
import type { Logger } from '../../src/storage/domain/logger.ts';

const deadline = new Error('a deadline of the protocol');
const timedOut: Status = { code: 'DeadlineExceeded', message: 'the operation timed out', details: [], cause: deadline };

type Line = [level: string, fields: object, message: string];

/** Ends a call by this error, or well without one; the signal has fired for `abortedBy` before. */
function end({ error, abortedBy }: { error?: unknown; abortedBy?: unknown }): { line: Line; status?: Status } {
  const { lines, log } = recorded();
  const call = startCall({
    log,
    method: 'Save',
    signal: abortedBy === undefined ? new AbortController().signal : AbortSignal.abort(abortedBy),
    statusOf: (thrown) => (thrown === deadline ? timedOut : statusOf(thrown)),
  });
  let status: Status | undefined;
  if (error === undefined) call.succeeded();
  else status = call.failed(error);
  expect(lines).toHaveLength(1);
  return { line: lines[0]!, status };
}

const ms = expect.any(Number);

describe('the log', () => {
  it('has a line for a call that succeeds', () => {
    expect(end({}).line).toEqual(['debug', { method: 'Save', code: 'OK', ms }, 'call']);
  });

  it('has the problem, at info, of a call whose caller is at fault', () => {
    const { line } = end({ error: new StorageError('IMAGE_EMPTY', 'no bytes', { cause: new Error('inner') }) });
    const fields = { method: 'Save', code: 'InvalidArgument', reason: 'IMAGE_EMPTY', ms, problem: 'no bytes' };
    expect(line).toEqual(['info', fields, 'call failed']);
  });

  it.each([
    ['warn', new StorageError('DISK_FULL', 'full'), 'ResourceExhausted', 'DISK_FULL'],
    ['warn', new StorageError('STORE_READ_ONLY', 'read-only'), 'FailedPrecondition', 'STORE_READ_ONLY'],
    ['warn', new StorageError('BACKEND_UNAVAILABLE', 'down'), 'Unavailable', 'BACKEND_UNAVAILABLE'],
    ['error', new StorageError('BYTES_CORRUPT', 'other bytes'), 'DataLoss', 'BYTES_CORRUPT'],
    ['error', new TypeError('a bug'), 'Internal', undefined],
  ])('has, at %s, the error that an operator looks at: %s', (level, error, code, reason) => {
    expect(end({ error }).line).toEqual([level, { method: 'Save', code, reason, ms, err: error }, 'call failed']);
  });

  it.each(['MESSAGE_TOO_LARGE', 'DELETED_BEFORE'] as const)('leaves %s at info', (reason) => {
    expect(end({ error: new StorageError(reason, 'of the caller') }).line[0]).toBe('info');
  });
});

describe('a call that nobody waits for any more', () => {
  it.each([
    ['is cancelled when its caller left', new Error('reset'), new Error('reset'), 'Canceled'],
    ['is over its deadline when that has passed', new Error('reset'), deadline, 'DeadlineExceeded'],
    [
      'is over its deadline when the storage gave up on it',
      new StorageError('CANCELLED', ''),
      deadline,
      'DeadlineExceeded',
    ],
    ['keeps an error of the storage', new StorageError('DISK_FULL', 'full'), deadline, 'ResourceExhausted'],
  ])('%s', (_, error, abortedBy, code) => {
    expect(end({ error, abortedBy }).status?.code).toBe(code);
  });
});

describe('a call with a subject', () => {
  const origin = { caller: { peer: 'token:ci', address: '10.0.0.7', token: 'ci', connection: 1 }, requestId: 'job-7' };
  const subject = { filename: 'a.png', bytes: 3, provider: 'local' };

  it.each([
    [
      'has its line at info, with where it came from',
      true,
      'info',
      { ...subject, ms, peer: '10.0.0.7', token: 'ci', requestId: 'job-7' },
    ],
    ['has none where access is not logged', false, 'debug', { code: 'OK', ms }],
  ])('%s', (_, logsAccess, level, fields) => {
    const { lines, log } = recorded();
    const call = startCall({ log, method: 'Save', origin, logsAccess, signal: new AbortController().signal, statusOf });
    call.notes.subject = subject;
    call.succeeded();
    expect(lines).toEqual([[level, { method: 'Save', ...fields }, 'call']]);
  });
});

it('whatever becomes of a call, it is counted once, with its messages', () => {
  const counted: unknown[] = [];
  const meter = { started: () => counted.push('started'), ended: (call: object) => counted.push(call) };
  const options = { log: recorded().log, method: 'Get', meter, signal: new AbortController().signal, statusOf };
  startCall(options).succeeded();
  const call = startCall(options);
  call.notes.messages.sent = 2;
  call.failed(new StorageError('BYTES_CORRUPT', 'other bytes'));
  expect(counted).toEqual([
    'started',
    { code: 'OK', ms, messages: { received: 0, sent: 0 } },
    'started',
    { code: 'DataLoss', ms, messages: { received: 0, sent: 2 } },
  ]);
});

function recorded(): { lines: Line[]; log: Logger } {
  const lines: Line[] = [];
  const at = (level: string) => (fields: object, message: string) => void lines.push([level, fields, message]);
  return { lines, log: { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') } };
}
