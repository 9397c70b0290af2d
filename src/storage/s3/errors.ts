/**
 * Converts the errors of S3 requests and names the setting to check; recognizes the SDK's errors by their shape only.
 */
import { HELP } from '../bucket/help.ts';
import { isFinal, type ObjectFailure, ObjectStoreError } from '../bucket/object-store.ts';
import { type AnsweredError, serviceAnswerOf } from './service-answer.ts';

/** The common fields of the errors of the SDK, its credential chain and Node. */
interface S3Failure extends AnsweredError {
  /** Node's code of a system error. */
  code?: string;
}

/** The service holds objects against their removal and overwriting. */
const LOCKED: [ObjectFailure, string] = ['misconfigured', `the object is locked (${HELP.objectLock})`];
const NO_CONDITIONS: [ObjectFailure, string] = [
  'misconfigured',
  `the service does not implement conditional writes (${HELP.conditionalWrites})`,
];
const TOO_FAST: [ObjectFailure, string] = ['unavailable', 'the service asks for fewer requests'];

const NEVER_SENT = ['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'EHOSTUNREACH', 'ENETUNREACH', 'ERR_INVALID_URL'];

/** By the S3 error code, when the status alone does not say what to change. */
const BY_NAME: Record<string, [ObjectFailure, string]> = {
  NoSuchKey: ['not_found', 'no such object'],
  InvalidAccessKeyId: ['auth', 'the service does not know this access key (accessKey)'],
  // The code of versitygw for the same error.
  XAdminUserNotFound: ['auth', 'the service does not know this access key (accessKey)'],
  SignatureDoesNotMatch: ['auth', 'the secret key does not fit the access key (secretKey)'],
  RequestTimeTooSkewed: [
    'auth',
    `the clock of this machine is wrong: the service refuses its signatures (${HELP.clock})`,
  ],
  ExpiredToken: ['auth', 'the credentials have expired'],
  CredentialsProviderError: [
    'auth',
    'no credentials were found: set accessKey and secretKey, or what the AWS SDK looks for',
  ],
  NoSuchBucket: ['misconfigured', 'there is no such bucket (bucket)'],
  InvalidBucketName: ['misconfigured', 'this is no valid name of a bucket (bucket)'],
  PermanentRedirect: ['misconfigured', 'the bucket is elsewhere (region, endpoint)'],
  AuthorizationHeaderMalformed: ['misconfigured', 'the bucket is in another region (region)'],
  IllegalLocationConstraintException: ['misconfigured', 'the bucket is in another region (region)'],
  NotImplemented: NO_CONDITIONS,
  // MinIO and R2; AWS says AccessDenied.
  ObjectLocked: LOCKED,
  ObjectLockedByBucketPolicy: LOCKED,
  InvalidObjectState: ['misconfigured', 'the object is in an archive and must be restored first (storage class)'],
  QuotaExceeded: ['misconfigured', 'the quota of the bucket is used up'],
  SlowDown: TOO_FAST,
  // The service stores nothing when the body does not arrive as it was sent.
  BadDigest: ['unavailable', 'the bytes arrived damaged'],
  XAmzContentSHA256Mismatch: ['unavailable', 'the bytes arrived damaged'],
  IncompleteBody: ['unavailable', 'the bytes did not arrive'],
  RequestTimeout: ['unavailable', 'the service waited too long for the bytes'],
};

const BY_STATUS: Record<number, [ObjectFailure, string]> = {
  301: ['misconfigured', 'the bucket is elsewhere (region, endpoint)'],
  401: ['auth', 'the service refuses the credentials (accessKey, secretKey)'],
  403: ['auth', 'the credentials do not permit this (accessKey, or the policy of the bucket)'],
  // Not a missing object, but for example an address that is not an S3 service.
  404: ['misconfigured', 'the service does not know what it was asked for (endpoint, bucket)'],
  // Another write to the same key was faster; this one was not applied.
  409: ['unavailable', 'another write to the object is under way'],
  412: ['precondition', 'the object is another'],
  429: TOO_FAST,
  501: NO_CONDITIONS,
};

/** These concern one object or one kind of request only. */
const OF_ONE_REQUEST: readonly string[] = [
  'ObjectLocked',
  'ObjectLockedByBucketPolicy',
  'InvalidObjectState',
  'QuotaExceeded',
];

/** Returns whether the service accepts the credentials but does not permit them this request. */
export function lacksPermission({ answer }: ObjectStoreError): boolean {
  return answer?.code === 'AccessDenied';
}

/** Returns whether the service refused the request because of the time that it was signed with. */
export function isTooSkewed(error: unknown): boolean {
  return (error as S3Failure | undefined)?.name === 'RequestTimeTooSkewed';
}

function scopeOf({ name = '', $metadata }: S3Failure): 'request' | 'store' {
  const isUnknownRefusal = $metadata?.httpStatusCode === 403 && BY_NAME[name] === undefined;
  return isUnknownRefusal || OF_ONE_REQUEST.includes(name) ? 'request' : 'store';
}

/**
 * Converts any error of a request to an ObjectStoreError, without the error itself where the service answered: the SDK
 * adds all fields of the answer to it, such as the key id. `hidden` are values that no message may repeat.
 */
export function foldS3Error(error: unknown, kind: 'read' | 'write', hidden: readonly string[] = []): ObjectStoreError {
  if (error instanceof ObjectStoreError) return error;
  const failure = (error ?? {}) as S3Failure;
  const { name = '', code = '' } = failure;
  const answer = serviceAnswerOf(failure, hidden);
  const source = answer === undefined ? { cause: error } : { answer };
  const known = BY_NAME[name] ?? (answer && BY_STATUS[answer.status]);
  if (known !== undefined) {
    // A service that was too busy may have begun the write.
    const maybeApplied = kind === 'write' && (answer?.status ?? 0) >= 500 && known[0] === 'unavailable';
    return new ObjectStoreError(...known, { scope: scopeOf(failure), maybeApplied, ...source });
  }
  if (answer !== undefined && isFinal(answer.status)) {
    return new ObjectStoreError('misconfigured', 'the service refuses the request', { scope: 'request', ...source });
  }
  const maybeApplied = kind === 'write' && !NEVER_SENT.includes(code);
  return new ObjectStoreError('unavailable', whyUnavailable(failure), { maybeApplied, ...source });
}

function whyUnavailable({ name, $metadata }: S3Failure): string {
  if ($metadata?.httpStatusCode !== undefined) return 'the service failed';
  return name === 'TimeoutError'
    ? 'the service does not answer (endpoint)'
    : 'the service cannot be reached (endpoint)';
}
