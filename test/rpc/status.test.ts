/** Which status and details the caller of a failed call gets, whatever protocol carries it. */
import { Code } from '@connectrpc/connect';
import { expect, it } from 'vitest';
import { STATUS_CODES, statusOf } from '../../src/rpc/status.ts';
import { StorageError } from '../../src/storage/domain/errors.ts';

it('has the codes of gRPC under the names of connect', () => {
  const names = Object.keys(Code).filter((name) => Number.isNaN(Number(name)));
  expect(STATUS_CODES).toEqual(Object.fromEntries(names.map((name) => [name, Code[name as keyof typeof Code]])));
});

it('names the reason, the field, when to try again, and an outcome that is unknown', () => {
  const options = { field: 'size', retryAfterMs: 1250, outcomeUnknown: true };
  const { code, message, details } = statusOf(new StorageError('DISK_FULL', 'no room', options));
  expect([code, message]).toEqual(['ResourceExhausted', 'no room']);
  expect(details.map(({ desc, value }) => [desc.typeName, value])).toMatchObject([
    ['google.rpc.ErrorInfo', { reason: 'DISK_FULL', domain: 'imagestorage.dev', metadata: { outcome: 'unknown' } }],
    ['google.rpc.BadRequest', { fieldViolations: [{ field: 'size', description: 'no room', reason: 'DISK_FULL' }] }],
    ['google.rpc.RetryInfo', { retryDelay: { seconds: 1n, nanos: 250_000_000 } }],
  ]);
});

it('gives generic text for what is not an error of the storage, and keeps it as the cause', () => {
  const cause = new TypeError('/home/someone is not a function');
  const status = statusOf(cause);
  expect(status).toMatchObject({ code: 'Internal', message: 'the storage failed; see the log of the daemon', cause });
  expect(status.details).toMatchObject([{ value: { reason: 'STORAGE_IO', metadata: {} } }]);
});
