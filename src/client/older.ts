/** Says what a daemon of before a call cannot do. */
import { status } from '@grpc/grpc-js';
import { ImageStorageError } from './errors.ts';

/** Returns what throws the error; that of an unknown method says what the daemon is too old for. */
export function explainOlder(lacks: string): (error: unknown) => never {
  return (error) => {
    if (!(error instanceof ImageStorageError) || error.code !== status.UNIMPLEMENTED) throw error;
    throw older(lacks, error);
  };
}

/** An older daemon knows neither the policy nor the selection of a cleanup, sees no criterion, and deletes nothing. */
export function explainCleanup(lacks: 'policies' | 'selections'): (error: unknown) => never {
  return (error) => {
    if (!(error instanceof ImageStorageError) || error.reason !== 'CLEANUP_WITHOUT_CRITERION') throw error;
    throw older(`it knows no ${lacks}; update it, or give criteria`, error);
  };
}

function older(lacks: string, cause: ImageStorageError): ImageStorageError {
  return new ImageStorageError(status.UNIMPLEMENTED, `this daemon is older: ${lacks}`, { cause });
}
