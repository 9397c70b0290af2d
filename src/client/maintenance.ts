/** Calls the service Maintenance: streams of events, never retried, since a person watches each run. */
import type { MessageInitShape } from '@bufbuild/protobuf';
import { status } from '@grpc/grpc-js';
import {
  type CopyRequestSchema,
  type CopyResponse,
  type Finding as FindingMessage,
  Maintenance,
  ProblemSchema,
  type MaintenanceProgress as ProgressMessage,
  Remedy as RemedyMessage,
  RemedySchema,
  type VerifyResponse,
} from '../../gen/imagestorage/v1/maintenance_pb.ts';
import { timestampOf } from './convert.ts';
import { ImageStorageError } from './errors.ts';
import type {
  CopyEvent,
  CopyOptions,
  CopySummary,
  Finding,
  MaintenanceProgress,
  VerifyEvent,
  VerifyOptions,
} from './maintenance-types.ts';
import type { CallLimits, Transport } from './transport.ts';

export async function* verify(
  transport: Transport,
  { signal: _, ...request }: VerifyOptions,
  limits: CallLimits,
): AsyncGenerator<VerifyEvent> {
  for await (const message of transport.download(Maintenance.method.verify, request, limits)) {
    const event = verifyEvent(message);
    if (event !== undefined) yield event;
    if (event?.kind === 'summary') return;
  }
  throw cut();
}

/** Yields the summary as `stopped` before it throws, where a store ended the copy. */
export async function* copy(transport: Transport, options: CopyOptions, limits: CallLimits): AsyncGenerator<CopyEvent> {
  const messages = transport.download(Maintenance.method.copy, copyRequest(options), limits);
  let summary: CopySummary | undefined;
  try {
    for await (const message of messages) {
      const event = copyEvent(message);
      if (event?.kind === 'summary') summary = event.summary;
      else if (event !== undefined) yield event;
    }
  } catch (error) {
    if (summary !== undefined) yield { kind: 'stopped', summary };
    throw error;
  }
  if (summary === undefined) throw cut();
  yield { kind: 'summary', summary };
}

/** Returns the error of a stream that ended without its summary. */
function cut(): ImageStorageError {
  return new ImageStorageError(status.UNAVAILABLE, 'the daemon ended before the work was done; run it again');
}

function copyRequest(options: CopyOptions): MessageInitShape<typeof CopyRequestSchema> {
  const { before, signal: _, ...same } = options;
  return { ...same, before: timestampOf(before) };
}

function verifyEvent({ payload }: VerifyResponse): VerifyEvent | undefined {
  switch (payload.case) {
    case 'progress':
      return { kind: 'progress', progress: progressFrom(payload.value) };
    case 'finding':
      return { kind: 'finding', finding: findingFrom(payload.value) };
    case 'summary': {
      const { images, bytes, findings, remedied, undecided } = payload.value;
      const counts = { images, bytes, findings, remedied, undecided };
      return { kind: 'summary', summary: numbersOf(counts) };
    }
    default:
      return undefined;
  }
}

function copyEvent({ payload }: CopyResponse): CopyEvent | undefined {
  switch (payload.case) {
    case 'progress':
      return { kind: 'progress', progress: progressFrom(payload.value) };
    case 'failure': {
      const { filename, reason, message } = payload.value;
      return { kind: 'failed', failure: { filename, reason, message } };
    }
    case 'summary': {
      const { copied, copiedBytes, present, failed, deleted, dryRun } = payload.value;
      return { kind: 'summary', summary: { ...numbersOf({ copied, copiedBytes, present, failed, deleted }), dryRun } };
    }
    default:
      return undefined;
  }
}

function findingFrom({ provider, key, filename, problem, remedy, detail }: FindingMessage): Finding {
  const isRemedied = remedy !== RemedyMessage.UNSPECIFIED;
  return {
    provider,
    key,
    filename,
    problem: nameOf(ProblemSchema, problem),
    remedy: isRemedied ? nameOf(RemedySchema, remedy) : 'none',
    detail,
  };
}

/** Returns the name in lower case, or the number of a value that only a newer daemon has. */
function nameOf({ value }: { value: Record<number, { localName: string }> }, number: number): string {
  return value[number]?.localName.toLowerCase() ?? String(number);
}

function progressFrom({ images, totalImages, bytes, totalBytes }: ProgressMessage): MaintenanceProgress {
  return numbersOf({ images, totalImages, bytes, totalBytes });
}

function numbersOf<K extends string>(counts: Record<K, bigint>): Record<K, number> {
  return Object.fromEntries(Object.entries<bigint>(counts).map(([key, count]) => [key, Number(count)])) as Record<
    K,
    number
  >;
}
