/** One call, whatever protocol carries it: its status, how it is counted, and its line in the log, which has no content. */
import type { Caller } from '../storage/domain/caller.ts';
import { StorageError } from '../storage/domain/errors.ts';
import type { Logger } from '../storage/domain/logger.ts';
import { requestIdOf } from './request-id.ts';
import type { Status, StatusCode } from './status.ts';

type Level = 'info' | 'warn' | 'error';

/** Failures that an operator should look at; all others concern only the caller. */
const LEVEL_OF_CODE: Partial<Record<StatusCode, Level>> = {
  Internal: 'error',
  Unknown: 'error',
  DataLoss: 'error',
  FailedPrecondition: 'warn',
  ResourceExhausted: 'warn',
  Unavailable: 'warn',
};

/** Those of these codes that concern only the caller. */
const OF_THE_CALLER: readonly (string | undefined)[] = ['MESSAGE_TOO_LARGE', 'DELETED_BEFORE', 'PLAN_EXPIRED'];

/** Messages both ways. */
export interface Messages {
  received: number;
  sent: number;
}

/** What the line of a save, get or delete names; nothing that a prompt could be in. */
export interface Subject {
  filename?: string;
  /** Of several in one call, how many. */
  images?: number;
  /** Of an archive, how many more it should have. */
  missing?: number;
  bytes?: number;
  provider?: string;
}

/** What becomes known of a call while it is served. */
export interface CallNotes {
  readonly messages: Messages;
  /** Set: the call has a line at info once it has succeeded. */
  subject?: Subject;
}

export interface EndedCall {
  code: StatusCode | 'OK';
  ms: number;
  messages: Messages;
}

/** Counts the calls of one method, or of one route. */
export interface CallMeter {
  started(): void;
  ended(call: EndedCall): void;
}

/** Where a call comes from; whoever admits the caller may put it under its name. */
export interface CallOrigin {
  caller: Caller;
  /** As the client sent it, in `x-request-id`. */
  requestId?: string | readonly string[] | null;
}

export interface CallOptions {
  log: Logger;
  method: string;
  meter?: CallMeter;
  origin?: CallOrigin;
  /** Whether saves, gets and deletes have lines at info; default: true. */
  logsAccess?: boolean;
  /** Fires when the caller no longer waits; its reason has the status DeadlineExceeded after a deadline. */
  signal: AbortSignal;
  /** Returns the status of any error, including those of the protocol's library. */
  statusOf(error: unknown): Status;
}

/** A call under way; ends with exactly one of the two. */
export interface Call {
  readonly notes: CallNotes;
  succeeded(): void;
  /** Returns the status for the caller. */
  failed(error: unknown): Status;
}

export function startCall({ log, method, meter, origin, logsAccess = true, signal, statusOf }: CallOptions): Call {
  const started = performance.now();
  const notes: CallNotes = { messages: { received: 0, sent: 0 } };
  meter?.started();

  const end = (code: EndedCall['code']): number => {
    const ms = performance.now() - started;
    meter?.ended({ code, ms, messages: notes.messages });
    return Math.round(ms);
  };

  /** Once the signal has fired, the deadline or a cancellation ended the call, unless the storage reports an error of its own. */
  const endOf = (error: unknown): Status => {
    const isStorages = error instanceof StorageError && error.reason !== 'CANCELLED';
    if (isStorages || !signal.aborted) return statusOf(error);
    const status = statusOf(signal.reason);
    return status.code === 'DeadlineExceeded' ? status : statusOf(cancelled(error));
  };

  return {
    notes,
    succeeded() {
      const ms = end('OK');
      const { subject } = notes;
      if (subject === undefined || !logsAccess) return log.debug({ method, code: 'OK', ms }, 'call');
      log.info({ method, ...subject, ms, ...(origin && namesOf(origin)) }, 'call');
    },
    failed(error) {
      const status = endOf(error);
      const { code, message, cause } = status;
      const reason = cause instanceof StorageError ? cause.reason : undefined;
      const level = (!OF_THE_CALLER.includes(reason) && LEVEL_OF_CODE[code]) || 'info';
      const why = level === 'info' ? { problem: message } : { err: cause };
      log[level]({ method, code, reason, ms: end(code), ...why }, 'call failed');
      return status;
    },
  };
}

function namesOf({ caller, requestId }: CallOrigin) {
  const { peer, address = peer, token } = caller;
  return { peer: address, token, requestId: requestIdOf(requestId) };
}

export function cancelled(cause: unknown): StorageError {
  return new StorageError('CANCELLED', 'the call was cancelled', { cause });
}
