/** One call, whatever protocol carries it: its status, and its line in the log, which has nothing of its content. */
import { StorageError } from '../storage/domain/errors.ts';
import type { Logger } from '../storage/domain/logger.ts';
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
const OF_THE_CALLER: readonly (string | undefined)[] = ['MESSAGE_TOO_LARGE', 'DELETED_BEFORE'];

export interface CallOptions {
  log: Logger;
  method: string;
  /** Fires when the caller no longer waits; its reason has the status DeadlineExceeded after a deadline. */
  signal: AbortSignal;
  /** Returns the status of any error, including those of the protocol's library. */
  statusOf(error: unknown): Status;
}

/** A call under way; ends with exactly one of the two. */
export interface Call {
  succeeded(): void;
  /** Returns the status for the caller. */
  failed(error: unknown): Status;
}

export function startCall({ log, method, signal, statusOf }: CallOptions): Call {
  const started = performance.now();
  const elapsedMs = () => Math.round(performance.now() - started);

  /** Once the signal has fired, the deadline or a cancellation ended the call, unless the storage reports an error of its own. */
  const endOf = (error: unknown): Status => {
    const isStorages = error instanceof StorageError && error.reason !== 'CANCELLED';
    if (isStorages || !signal.aborted) return statusOf(error);
    const status = statusOf(signal.reason);
    return status.code === 'DeadlineExceeded' ? status : statusOf(cancelled(error));
  };

  return {
    succeeded: () => log.debug({ method, code: 'OK', ms: elapsedMs() }, 'call'),
    failed(error) {
      const status = endOf(error);
      const { code, message, cause } = status;
      const reason = cause instanceof StorageError ? cause.reason : undefined;
      const level = (!OF_THE_CALLER.includes(reason) && LEVEL_OF_CODE[code]) || 'info';
      const why = level === 'info' ? { problem: message } : { err: cause };
      log[level]({ method, code, reason, ms: elapsedMs(), ...why }, 'call failed');
      return status;
    },
  };
}

export function cancelled(cause: unknown): StorageError {
  return new StorageError('CANCELLED', 'the call was cancelled', { cause });
}
