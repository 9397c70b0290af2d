/** Whether there was a connection, how long a client looks for its first one, and why there is none. */
import { status } from '@grpc/grpc-js';
import { ImageStorageError } from './errors.ts';

export const DEFAULT_CONNECT_TIMEOUT_MS = 2_500;

/** Of one client. */
export interface Reach {
  /** `host:port` or `unix:PATH` */
  readonly address: string;
  /** True once there was a connection. */
  was: boolean;
}

/** How grpc-js begins what it says of a call that had no connection; it says so nowhere else. */
const UNCONNECTED = /^(No connection established|Name resolution failed)/;

/** The end of a call that found no connection in time. */
export const NO_ANSWER = 'No connection established. Last error: no answer';

const MEANINGS: [RegExp, string][] = [
  [/ECONNREFUSED/, 'connection refused'],
  [/ENOENT/, 'no such file or directory'],
  [/EACCES/, 'permission denied'],
  [/ENETUNREACH/, 'network is unreachable'],
  [/EHOSTUNREACH/, 'no route to host'],
  [/ETIMEDOUT|no answer/, 'it does not answer'],
  [/^Name resolution failed|ENOTFOUND|EAI_AGAIN/, 'its name is not known'],
  [/wrong version number/, 'it does not speak TLS'],
  [/self-signed|unable to (verify|get)|certificate has expired/i, 'its certificate is not trusted'],
  [/altnames/, 'its certificate is that of another name'],
  [/Protocol error/, 'what answers there does not speak gRPC'],
  [/disconnected before secure TLS/, 'no TLS connection could be made'],
  [/ECONNRESET|Failed to connect/, 'it closes the connection, as a daemon with TLS does (https://…)'],
];

/** Returns DAEMON_UNREACHABLE for an error without a connection, with address and cause; any other as it is. */
export function explainUnreachable(error: ImageStorageError, { address }: Reach): ImageStorageError {
  if (error.code !== status.UNAVAILABLE || error.reason !== undefined || !UNCONNECTED.test(error.message)) return error;
  const cause = MEANINGS.find(([text]) => text.test(error.message))?.[1] ?? error.message;
  const message = `no daemon at ${address}: ${cause}`;
  return new ImageStorageError(error.code, message, { reason: 'DAEMON_UNREACHABLE', cause: error });
}
