/** Converts a failure of a client command to one line and an exit code. */
import type { ImageStorageError } from '../../client.ts';
import { EXIT } from '../../exit-codes.ts';
import { inWords } from '../../storage/disk/in-words.ts';
import type { Answer } from '../terminal/ask.ts';

export interface Failure {
  message: string;
  exitCode: number;
}

/** gRPC status codes; grpc-js is not loaded for two numbers. */
const DEADLINE_EXCEEDED = 4;
const UNAVAILABLE = 14;

/** Returns the line and the exit code of a failed call or file operation; undefined for a bug. */
export function failureOf(error: unknown, address: string): Failure | undefined {
  if (isClientError(error)) return { message: clientMessage(error, address), exitCode: clientExitCode(error) };
  const { code, syscall } = error as NodeJS.ErrnoException;
  if (syscall === undefined) return undefined;
  return {
    message: systemMessage(error as Error),
    exitCode: code === 'EACCES' || code === 'EPERM' ? EXIT.PERMISSION : EXIT.IO,
  };
}

/** Returns what the operating system refuses, and of which file, in words: `fox.png: no such file or folder`. */
export function systemMessage(error: Error): string {
  const { path, message } = error as NodeJS.ErrnoException;
  const words = inWords(error);
  return path === undefined || words === undefined ? message : `${path}: ${words}`;
}

/** Returns what the operating system refuses, of a file that the caller names. */
export function systemWords(error: Error): string {
  return inWords(error) ?? error.message;
}

function isClientError(error: unknown): error is ImageStorageError {
  return error instanceof Error && error.name === 'ImageStorageError';
}

/** Returns the exit code of a command whose question was not answered by yes. */
export function refusalOf(answer: Exclude<Answer, 'yes'>): number {
  return answer === 'cancelled' ? EXIT.INTERRUPTED : EXIT.NEGATIVE;
}

/** Returns whether no daemon answered. */
export function isUnreachable(error: unknown): boolean {
  const { code, reason } = error as Partial<ImageStorageError>;
  return code === UNAVAILABLE && (reason === undefined || reason === 'DAEMON_UNREACHABLE');
}

/** Returns how to learn whether a failed save was stored; undefined where the failure is definite. */
export function outcomeHint(error: unknown): string | undefined {
  if (!isClientError(error) || !error.outcomeUnknown || !error.retryWith) return undefined;
  const { idempotencyKey, timestamp } = error.retryWith;
  const flags = `--idempotency-key ${idempotencyKey} --timestamp ${timestamp.toISOString()}`;
  return `it may be stored all the same; to learn it, save it again with ${flags}`;
}

/** Returns the message, without gRPC's texts about connections, which mean little to users. */
function clientMessage(error: ImageStorageError, address: string): string {
  if (error.httpStatus !== undefined) return error.message;
  if (isUnreachable(error)) return `cannot reach ${address}: is the daemon running?`;
  if (error.code === DEADLINE_EXCEEDED && error.reason === undefined) return `no answer from ${address} in time`;
  return error.message;
}

/** By gRPC status code; EXIT_OF_REASON takes precedence. */
const EXIT_OF_CODE: Record<number, number> = {
  1: EXIT.UNAVAILABLE, // CANCELLED
  3: EXIT.USAGE, // INVALID_ARGUMENT
  [DEADLINE_EXCEEDED]: EXIT.UNAVAILABLE,
  5: EXIT.NEGATIVE, // NOT_FOUND
  6: EXIT.USAGE, // ALREADY_EXISTS
  7: EXIT.PERMISSION, // PERMISSION_DENIED
  8: EXIT.UNAVAILABLE, // RESOURCE_EXHAUSTED
  9: EXIT.IO, // FAILED_PRECONDITION
  10: EXIT.UNAVAILABLE, // ABORTED
  11: EXIT.USAGE, // OUT_OF_RANGE
  12: EXIT.NEGATIVE, // UNIMPLEMENTED, by an older daemon
  [UNAVAILABLE]: EXIT.UNAVAILABLE,
  15: EXIT.IO, // DATA_LOSS
  16: EXIT.PERMISSION, // UNAUTHENTICATED
};

const EXIT_OF_REASON: Record<string, number> = {
  PROVIDER_NOT_FOUND: EXIT.USAGE,
  PLAN_EXPIRED: EXIT.NEGATIVE,
  DISK_FULL: EXIT.IO,
  MESSAGE_TOO_LARGE: EXIT.USAGE,
  STORAGE_IO: EXIT.IO,
  BACKEND_AUTH: EXIT.PERMISSION,
  TOKEN_IN_PLAINTEXT: EXIT.CONFIG,
};

function clientExitCode({ code, reason = '', httpStatus }: ImageStorageError): number {
  const ofOthers = httpStatus === undefined ? EXIT.BUG : EXIT.UNAVAILABLE;
  return EXIT_OF_REASON[reason] ?? EXIT_OF_CODE[code] ?? ofOthers;
}
