/** The client: how it takes deletes back, and what it says where a daemon cannot. */
import { timestampFromDate } from '@bufbuild/protobuf/wkt';
import { type handleServerStreamingCall, type handleUnaryCall, type ServiceError, status } from '@grpc/grpc-js';
import { expect, it } from 'vitest';
import type {
  CleanupRequest,
  DeleteRequest,
  ListTrashRequest,
  PurgeRequest,
  RestoreRequest,
} from '../../gen/imagestorage/v1/image_storage_pb.ts';
import { connect } from '../../src/client.ts';
import { all } from '../support/grpc.ts';
import { refusal, startScripted } from './scripted-daemon.ts';

const until = new Date('2026-12-07T00:00:00Z');
const hasNone = 'this daemon is older: it has no trash and deletes for good; update it to take deletes back';
const busy = () => refusal(status.UNAVAILABLE, 'BACKEND_UNAVAILABLE') as ServiceError;

it('says until when a deleted image can be brought back, and promises nothing of an older daemon', async () => {
  const asked: DeleteRequest[] = [];
  const remove: handleUnaryCall<DeleteRequest, object> = ({ request }, answer) => {
    asked.push(request);
    const kept = !request.permanent && { restorableUntil: timestampFromDate(until) };
    answer(null, { results: request.filenames.map((filename) => ({ filename, deleted: true, ...kept })) });
  };
  await using daemon = await startScripted({ delete: remove });
  const images = connect(daemon.address);
  expect(await images.delete('a.png')).toEqual([
    { filename: 'a.png', deleted: true, reason: '', restorableUntil: until },
  ]);
  expect(await images.delete('a.png', { permanent: true })).toEqual([{ filename: 'a.png', deleted: true, reason: '' }]);
  expect(asked.map(({ permanent }) => permanent)).toEqual([false, true]);
  images.close();
});

it('restores in groups that fit into a call, and again after a busy answer', async () => {
  const asked: number[] = [];
  const restore: handleUnaryCall<RestoreRequest, object> = ({ request: { filenames } }, answer) => {
    asked.push(filenames.length);
    if (asked.length === 1) answer(busy());
    else answer(null, { results: filenames.map((filename) => ({ filename, restored: filename !== '3' })) });
  };
  await using daemon = await startScripted({ restore });
  const images = connect(daemon.address);
  const results = await images.restore(Array.from({ length: 1001 }, (_, number) => String(number)));
  expect(asked).toEqual([1000, 1000, 1]);
  expect(results.filter(({ restored }) => !restored)).toEqual([{ filename: '3', restored: false, reason: '' }]);
  images.close();
});

it('lists the trash over a stream that breaks', async () => {
  const asked: ListTrashRequest[] = [];
  const times = { deleteTime: timestampFromDate(new Date(0)), purgeTime: timestampFromDate(until) };
  const listTrash: handleServerStreamingCall<ListTrashRequest, object> = (call) => {
    asked.push(call.request);
    if (asked.length === 1) {
      call.write({ images: [{ filename: 'a', ...times }], nextPageToken: 'behind a' });
      call.emit('error', busy());
    } else {
      call.write({ images: [{ filename: 'b', ...times }], nextPageToken: '' });
      call.end();
    }
  };
  await using daemon = await startScripted({ listTrash });
  const images = connect(daemon.address);
  const listed = await all(images.listTrash({ query: 'fox', limit: 2, provider: '*' }));
  expect(listed).toMatchObject([
    { filename: 'a', deleteTime: new Date(0), purgeTime: until },
    { filename: 'b', purgeTime: until },
  ]);
  expect(asked).toMatchObject([
    { query: 'fox', limit: 2, provider: '*', pageToken: '' },
    { query: 'fox', limit: 1, provider: '*', pageToken: 'behind a' },
  ]);
  images.close();
});

it('purges all, however many calls it takes, and what is named', async () => {
  const asked: PurgeRequest[] = [];
  const purge: handleUnaryCall<PurgeRequest, object> = ({ request }, answer) => {
    asked.push(request);
    answer(null, { count: 2n, bytes: 10n, more: asked.length < 3 });
  };
  await using daemon = await startScripted({ purge });
  const images = connect(daemon.address);
  expect(await images.purge({ all: true })).toEqual({ count: 6, bytes: 30 });
  expect(await images.purge({ filenames: 'a.png', provider: 'local' })).toEqual({ count: 2, bytes: 10 });
  expect(asked.map(({ all, filenames, provider }) => [all, filenames, provider])).toEqual([
    ...Array(3).fill([true, [], '']),
    [false, ['a.png'], 'local'],
  ]);
  images.close();
});

it('runs a policy, and says why images go and until when they can be brought back', async () => {
  const asked: CleanupRequest[] = [];
  const reason = { text: 'older than 30d', count: 2n, bytes: 10n };
  const cleanup: handleUnaryCall<CleanupRequest, object> = ({ request }, answer) => {
    asked.push(request);
    answer(null, { deletedCount: 2n, reasons: [reason], restorableUntil: timestampFromDate(until) });
  };
  await using daemon = await startScripted({ cleanup });
  const images = connect(daemon.address);
  expect(await images.cleanup({ policy: 'drafts', permanent: true })).toMatchObject({
    reasons: [{ text: 'older than 30d', count: 2, bytes: 10 }],
    restorableUntil: until,
  });
  expect(asked).toMatchObject([{ policy: 'drafts', permanent: true, provider: '', model: '' }]);
  images.close();
});

it('says what an older daemon cannot do', async () => {
  const cleanup: handleUnaryCall<CleanupRequest, object> = (_, answer) =>
    answer(refusal(status.INVALID_ARGUMENT, 'CLEANUP_WITHOUT_CRITERION') as ServiceError);
  await using older = await startScripted({ cleanup });
  const images = connect(older.address);
  const told = { code: status.UNIMPLEMENTED, message: hasNone };
  await expect(images.restore('a.png')).rejects.toMatchObject(told);
  await expect(all(images.listTrash())).rejects.toMatchObject(told);
  await expect(images.purge({ all: true })).rejects.toMatchObject(told);
  const knowsNone = 'this daemon is older: it knows no policies; update it, or give criteria';
  await expect(images.cleanup({ policy: 'drafts' })).rejects.toMatchObject({ message: knowsNone });
  await expect(images.cleanup({ keepCount: 1 })).rejects.toMatchObject({ reason: 'CLEANUP_WITHOUT_CRITERION' });
  images.close();
});
