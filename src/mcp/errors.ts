/** Explains errors so that an assistant can act on them. */
import { ImageStorageError } from '../client.ts';

/** A refusal by this server; its message says how to go on. */
export class ToolError extends Error {
  override readonly name = 'ToolError';
}

/** gRPC status codes. */
const INVALID_ARGUMENT = 3;
const DEADLINE_EXCEEDED = 4;
const UNIMPLEMENTED = 12;
const UNAVAILABLE = 14;
/** The client's reason where there is no daemon. */
const UNREACHABLE = 'DAEMON_UNREACHABLE';

const ADVICE: Record<string, string> = {
  IMAGE_NOT_FOUND: 'list_images finds filenames; it may be in another provider, or in the trash (list_trash).',
  PROVIDER_NOT_FOUND: 'storage_stats with provider "*" names the providers.',
  CLEANUP_WITHOUT_CRITERION: 'Give older_than, keep_count or keep_bytes, or query, tags, since or until.',
  PLAN_EXPIRED: 'Nothing was deleted. Call again without confirm_token to see the plan as it is now.',
  MESSAGE_TOO_LARGE: 'Call again with less text.',
  DISK_FULL: 'Room must be made first: cleanup_images shows what could go.',
  STORE_READ_ONLY: 'Only the operator of the daemon can change that.',
  BYTES_CORRUPT: 'The stored bytes are damaged; tell the user.',
  BYTES_MISSING: 'The stored bytes are gone; tell the user.',
};

/**
 * Returns the text for an assistant. Other errors are bugs or broken files: they go to stderr, which hosts keep as a
 * log, and are not named in the text.
 */
export function explain(error: unknown, address: string): string {
  if (error instanceof ToolError) return error.message;
  if (isOlder(error)) return `${error.message[0]?.toUpperCase()}${error.message.slice(1)}.`;
  if (error instanceof ImageStorageError) return `${messageOf(error, address)} ${adviceFor(error)}`;
  console.error(error);
  return 'Internal error of the MCP server; its log says more. Trying again may help, otherwise tell the user.';
}

/** Returns whether the daemon is older than the call; the client says so in the message. */
function isOlder(error: unknown): error is ImageStorageError {
  return error instanceof ImageStorageError && error.code === UNIMPLEMENTED && error.httpStatus === undefined;
}

/** Returns the message, without gRPC's texts about connections, which mean little to users. */
function messageOf({ code, reason, httpStatus, message }: ImageStorageError, address: string): string {
  if (reason !== undefined && reason !== UNREACHABLE) return message.endsWith('.') ? message : `${message}.`;
  if (httpStatus !== undefined) return `${address} answered with ${message}.`;
  if (code === UNAVAILABLE) return `The ImageStorage daemon at ${address} cannot be reached.`;
  if (code === DEADLINE_EXCEEDED) return `The ImageStorage daemon at ${address} did not answer in time.`;
  return `The ImageStorage daemon at ${address} did not do it: ${message}.`;
}

function adviceFor(error: ImageStorageError): string {
  if (error.outcomeUnknown)
    return 'Whatever it was to change may be changed all the same: look with list_images before you try again.';
  if (error.httpStatus !== undefined) return 'Tell the user, who can change that.';
  if (error.reason === undefined || error.reason === UNREACHABLE) return adviceWithoutAnswer(error.code);
  const advice = ADVICE[error.reason];
  if (advice !== undefined) return advice;
  if (error.retryable) return `Try again in ${Math.ceil((error.retryAfterMs ?? 5_000) / 1000)} s.`;
  return error.code === INVALID_ARGUMENT ? 'Correct the argument and call again.' : `Tell the user: ${error.reason}.`;
}

function adviceWithoutAnswer(code: number): string {
  return code === UNAVAILABLE || code === DEADLINE_EXCEEDED
    ? 'Ask the user to check that it is running (image-storage serve), then try again.'
    : 'Try again; tell the user when it stays so.';
}
