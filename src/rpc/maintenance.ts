/** The service Maintenance on top of the storage library. */
import type { MessageInitShape } from '@bufbuild/protobuf';
import type { ServiceImpl } from '@connectrpc/connect';
import {
  type CopyRequest,
  type CopyResponseSchema,
  type FindingSchema,
  type Maintenance,
  type MaintenanceProgressSchema,
  Problem as ProblemMessage,
  Remedy as RemedyMessage,
  type VerifyRequest,
  type VerifyResponseSchema,
} from '../../gen/imagestorage/v1/maintenance_pb.ts';
import { Budget } from '../storage/async/budget.ts';
import type {
  CopyEvent,
  CopyOptions,
  Finding,
  MaintenanceProgress,
  Problem,
  Remedy,
  VerifyEvent,
} from '../storage/domain/maintenance.ts';
import type { Storage } from '../storage/types.ts';
import { withHold } from './answers.ts';
import { callerKey } from './caller-key.ts';
import { dateOf } from './convert.ts';

/** Progress that comes more often is of no use to a reader. */
const PROGRESS_EVERY_MS = 200;

const PROBLEMS: Record<Problem, ProblemMessage> = {
  bytes_missing: ProblemMessage.BYTES_MISSING,
  size_differs: ProblemMessage.SIZE_DIFFERS,
  checksum_differs: ProblemMessage.CHECKSUM_DIFFERS,
  record_damaged: ProblemMessage.RECORD_DAMAGED,
  not_committed: ProblemMessage.NOT_COMMITTED,
  deleted_before: ProblemMessage.DELETED_BEFORE,
  record_alone: ProblemMessage.RECORD_ALONE,
  foreign: ProblemMessage.FOREIGN,
  index_blind: ProblemMessage.INDEX_BLIND,
};

/** Each run reads pages of records and several files at once. */
const RUNS_OF_A_PEER = 2;
const RUN_WAIT_MS = 5_000;

const REMEDIES: Record<Remedy, RemedyMessage> = {
  none: RemedyMessage.UNSPECIFIED,
  restored: RemedyMessage.RESTORED,
  adopted: RemedyMessage.ADOPTED,
  quarantined: RemedyMessage.QUARANTINED,
  forgotten: RemedyMessage.FORGOTTEN,
};

export function createMaintenance(storage: Storage): ServiceImpl<typeof Maintenance> {
  const runs = new Budget(2 * RUNS_OF_A_PEER, { waitMs: RUN_WAIT_MS });
  return {
    async *verify({ provider, deep, repair, forgetMissing }: VerifyRequest, { signal, values }) {
      const events = storage.verify({ provider, deep, repair, forgetMissing, signal });
      const receiver = { budget: runs, caller: values.get(callerKey), signal };
      for await (const event of thinned(withHold(events, 1, receiver))) yield verifyResponse(event);
    },

    async *copy(request: CopyRequest, { signal, values }) {
      const events = storage.copy({ ...copyOptionsOf(request), signal });
      const receiver = { budget: runs, caller: values.get(callerKey), signal };
      for await (const event of thinned(withHold(events, 1, receiver))) yield copyResponse(event);
    },
  };
}

/** Drops progress that follows the last within PROGRESS_EVERY_MS. */
async function* thinned<T extends { kind: string }>(events: AsyncIterable<T>): AsyncGenerator<T> {
  let shownAt = 0;
  for await (const event of events) {
    if (event.kind === 'progress') {
      if (performance.now() - shownAt < PROGRESS_EVERY_MS) continue;
      shownAt = performance.now();
    }
    yield event;
  }
}

function copyOptionsOf(request: CopyRequest): CopyOptions & { from: string; to: string } {
  return {
    from: request.from,
    to: request.to,
    model: request.model || undefined,
    category: request.category || undefined,
    before: dateOf('before', request.before),
    dryRun: request.dryRun,
    deleteSource: request.deleteSource,
    bringBack: request.bringBack,
    permanent: request.permanent,
    concurrency: request.concurrency || undefined,
  };
}

function verifyResponse(event: VerifyEvent): MessageInitShape<typeof VerifyResponseSchema> {
  if (event.kind === 'progress') return { payload: { case: 'progress', value: progressFrom(event.progress) } };
  if (event.kind === 'finding') return { payload: { case: 'finding', value: findingFrom(event) } };
  const { images, bytes, findings, remedied, undecided } = event.summary;
  const value = {
    images: BigInt(images),
    bytes: BigInt(bytes),
    findings: BigInt(findings),
    remedied: BigInt(remedied),
    undecided: BigInt(undecided),
  };
  return { payload: { case: 'summary', value } };
}

function findingFrom({
  provider,
  finding,
}: {
  provider: string;
  finding: Finding;
}): MessageInitShape<typeof FindingSchema> {
  const { problem, remedy, ...rest } = finding;
  return { ...rest, provider, problem: PROBLEMS[problem], remedy: REMEDIES[remedy] };
}

function copyResponse(event: CopyEvent): MessageInitShape<typeof CopyResponseSchema> {
  if (event.kind === 'progress') return { payload: { case: 'progress', value: progressFrom(event.progress) } };
  if (event.kind === 'failed') return { payload: { case: 'failure', value: event.failure } };
  const { copied, copiedBytes, present, failed, deleted, dryRun } = event.summary;
  const value = {
    copied: BigInt(copied),
    copiedBytes: BigInt(copiedBytes),
    present: BigInt(present),
    failed: BigInt(failed),
    deleted: BigInt(deleted),
    dryRun,
  };
  return { payload: { case: 'summary', value } };
}

function progressFrom(progress: MaintenanceProgress): MessageInitShape<typeof MaintenanceProgressSchema> {
  return {
    images: BigInt(progress.images),
    totalImages: BigInt(progress.totalImages),
    bytes: BigInt(progress.bytes),
    totalBytes: BigInt(progress.totalBytes),
  };
}
