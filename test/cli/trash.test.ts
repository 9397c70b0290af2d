/** The commands that delete and take back: what they say of daemons with a trash and with policies, and of older ones. */
import { spawn } from 'node:child_process';
import { text } from 'node:stream/consumers';
import { timestampFromDate } from '@bufbuild/protobuf/wkt';
import { type handleServerStreamingCall, type handleUnaryCall, type ServiceError, status } from '@grpc/grpc-js';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type {
  CleanupRequest,
  DeleteRequest,
  ListTrashRequest,
  PurgeRequest,
  RestoreRequest,
  StatsRequest,
} from '../../gen/imagestorage/v1/image_storage_pb.ts';
import { EXIT } from '../../src/exit-codes.ts';
import { refusal, type ScriptedDaemon, startScripted } from '../client/scripted-daemon.ts';
import { COMMAND } from '../support/command.ts';

const until = timestampFromDate(new Date('2026-12-07T01:02:03Z'));
const shown = '2026-12-07 01:02:03';
const trashed = { filename: 'a.png', size: 2048n, metadata: { model: 'flux', prompt: 'a fox' } };
const policy = { name: 'drafts', lastRun: until, nextRun: until, announced: true, lastCount: 2n, lastBytes: 3000n };
const reasons = [
  { text: 'older than 30d', count: 1n, bytes: 1000n },
  { text: 'not among the last 1,000 of flux', count: 2n, bytes: 3000n },
];

let daemon: ScriptedDaemon;
const purged: PurgeRequest[] = [];

beforeAll(async () => {
  const remove: handleUnaryCall<DeleteRequest, object> = ({ request: { filenames, permanent } }, answer) => {
    const kept = !permanent && { restorableUntil: until };
    answer(null, { results: filenames.map((filename) => ({ filename, deleted: true, ...kept })) });
  };
  const restore: handleUnaryCall<RestoreRequest, object> = ({ request: { filenames } }, answer) => {
    const reasonOf = (name: string) => ({ restored: name === 'a.png', reason: name === 'a.png' ? '' : name });
    answer(null, { results: filenames.map((filename) => ({ filename, ...reasonOf(filename) })) });
  };
  const listTrash: handleServerStreamingCall<ListTrashRequest, object> = (call) => {
    const images = call.request.query === 'nothing' ? [] : [{ ...trashed, deleteTime: until, purgeTime: until }];
    if (images.length > 0) call.write({ images, nextPageToken: '' });
    call.end();
  };
  const purge: handleUnaryCall<PurgeRequest, object> = ({ request }, answer) => {
    purged.push(request);
    answer(null, { count: 1n, bytes: 2048n });
  };
  const cleanup: handleUnaryCall<CleanupRequest, object> = ({ request }, answer) => {
    const { dryRun, permanent } = request;
    if (request.policy === 'fresh') return answer(null, { dryRun });
    if (request.policy !== 'drafts') return answer(refusal(status.NOT_FOUND, 'POLICY_NOT_FOUND') as ServiceError);
    const went = { deletedCount: 3n, freedBytes: 4000n, filenames: ['a.png', 'b.png', 'c.png'] };
    answer(null, { ...went, dryRun, reasons, ...(!permanent && { restorableUntil: until }) });
  };
  const stats: handleUnaryCall<StatsRequest, object> = (_, answer) => {
    const counted = { provider: 'local', storageType: 'local', count: 1n, bytes: 1000n };
    answer(null, { providers: [{ ...counted, trashCount: 2n, trashBytes: 3000n, policies: [policy] }] });
  };
  daemon = await startScripted({ delete: remove, restore, listTrash, purge, cleanup, stats });
});

afterAll(() => daemon[Symbol.asyncDispose]());

async function run(command: string[], address = daemon.address) {
  const child = spawn(process.execPath, [COMMAND, ...command, '--address', address], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const exited = new Promise<number | null>((resolve) => child.on('close', resolve));
  const [stdout, stderr, exitCode] = await Promise.all([text(child.stdout), text(child.stderr), exited]);
  return { stdout, stderr, exitCode };
}

it('delete says until when and how it can be taken back', async () => {
  const [kept, gone] = await Promise.all([
    run(['delete', 'a.png', '--provider', 'archive']),
    run(['delete', 'a.png', '--permanent']),
  ]);
  const how = `in the trash until ${shown} UTC: image-storage restore --provider archive a.png`;
  expect(kept.stdout).toBe(`deleted a.png; ${how}\n`);
  expect(gone.stdout).toBe('deleted a.png for good\n');
});

it('restore goes on after what is not in the trash', async () => {
  const { stdout, stderr, exitCode } = await run(['restore', 'IMAGE_NOT_FOUND', 'a.png', 'NOT_DELETED']);
  expect(stdout).toBe('restored a.png\n');
  expect(stderr.match(/not in the trash/g)).toHaveLength(2);
  expect(exitCode).toBe(EXIT.NEGATIVE);
  expect((await run(['restore', 'BYTES_MISSING'])).exitCode).toBe(EXIT.IO);
});

it('trash lists for people and for programs', async () => {
  const [table, json, none] = await Promise.all([
    run(['trash']),
    run(['trash', '--json', '--query', 'fox']),
    run(['trash', '--query', 'nothing']),
  ]);
  expect(table.stdout).toContain(`${shown}  ${shown}  2.0 kB  flux   a.png     a fox`);
  expect(JSON.parse(json.stdout)).toMatchObject({
    filename: 'a.png',
    model: 'flux',
    purgeTime: '2026-12-07T01:02:03.000Z',
  });
  expect(none).toEqual({ stdout: '', stderr: 'no images\n', exitCode: EXIT.OK });
});

it('purge takes no filename for all, asks, and goes to the daemon of its flags', async () => {
  const [all, some, unasked, neither] = await Promise.all([
    run(['trash', 'purge', '--all', '--yes', '--provider', 'archive']),
    run(['trash', 'purge', 'a.png', 'b.png', '--yes', '--json']),
    run(['trash', 'purge', '--all']),
    run(['trash', 'purge', '--yes']),
  ]);
  expect(all.stdout).toBe('deleted 1 image, 2.0 kB, for good\n');
  expect(JSON.parse(some.stdout)).toEqual({ count: 1, bytes: 2048 });
  expect(some.stderr).toMatch(/not in the trash: 1 of 2 images\n$/);
  expect(some.exitCode).toBe(EXIT.NEGATIVE);
  for (const refused of [unasked, neither]) expect(refused.exitCode).toBe(EXIT.USAGE);
  const asked = purged.map(({ all, filenames, provider }) => ({ all, filenames, provider }));
  expect(asked).toHaveLength(2);
  expect(asked).toContainEqual({ all: true, filenames: [], provider: 'archive' });
  expect(asked).toContainEqual({ all: false, filenames: ['a.png', 'b.png'], provider: '' });
});

it('cleanup runs a policy, and says why images go and until when they can be taken back', async () => {
  const [plan, done, nothing, unknown] = await Promise.all([
    run(['cleanup', '--policy', 'drafts', '--dry-run']),
    run(['cleanup', '--policy', 'drafts', '--yes', '--permanent']),
    run(['cleanup', '--policy', 'fresh', '--dry-run']),
    run(['cleanup', '--policy', 'others', '--dry-run']),
  ]);
  const why = '  older than 30d: 1 image, 1.0 kB\n  not among the last 1,000 of flux: 2 images, 3.0 kB\n';
  const names = 'the oldest of them:\n  a.png\n  b.png\n  c.png\n';
  expect(plan.stdout).toBe(`would delete 3 images, 4.0 kB, in the trash until ${shown} UTC:\n${why}${names}`);
  expect(done.stdout).toMatch(new RegExp(`deleted 3 images, 4.0 kB, for good\n${why}$`));
  expect(nothing.stdout).toBe('nothing would go; a policy spares what came within the last 24 hours\n');
  expect(unknown.exitCode).toBe(EXIT.NEGATIVE);
});

it('stats counts the trash, and shows what policies did and would do', async () => {
  const [counted, table, json] = await Promise.all([
    run(['stats']),
    run(['stats', '--policies']),
    run(['stats', '--policies', '--json']),
  ]);
  expect(counted.stdout).toContain('\nin the trash: 2 images, 3.0 kB\n');
  expect(table.stdout).toContain(`drafts  local     ${shown}  none (would: 2 images, 3.0 kB)  ${shown}`);
  expect(table.stdout).toContain('drafts would delete now: 3 images, 4.0 kB\n  older than 30d: 1 image, 1.0 kB\n');
  expect(JSON.parse(json.stdout)).toMatchObject({ name: 'drafts', announced: true, wouldGo: { deletedCount: 3 } });
});

it('promises nothing of an older daemon, and says what to do', async () => {
  const remove: handleUnaryCall<DeleteRequest, object> = ({ request: { filenames } }, answer) =>
    answer(null, { results: filenames.map((filename) => ({ filename, deleted: true })) });
  const cleanup: handleUnaryCall<CleanupRequest, object> = (_, answer) =>
    answer(refusal(status.INVALID_ARGUMENT, 'CLEANUP_WITHOUT_CRITERION') as ServiceError);
  await using older = await startScripted({ delete: remove, cleanup });
  const [deleted, restored, trash, policies] = await Promise.all([
    run(['delete', 'a.png'], older.address),
    run(['restore', 'a.png'], older.address),
    run(['trash'], older.address),
    run(['cleanup', '--policy', 'drafts', '--yes'], older.address),
  ]);
  expect(deleted.stdout).toBe('deleted a.png\n');
  const told =
    'image-storage: this daemon is older: it has no trash and deletes for good; update it to take deletes back\n';
  for (const { stderr, exitCode } of [restored, trash]) expect([stderr, exitCode]).toEqual([told, EXIT.NEGATIVE]);
  expect(policies.stderr).toContain('this daemon is older: it knows no policies; update it, or give criteria');
});
