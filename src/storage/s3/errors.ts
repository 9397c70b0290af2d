/**
 * Converts the errors of S3 requests and names the setting to check; recognizes the SDK's errors by their shape only.
 */
import { type ObjectFailure, ObjectStoreError } from '../bucket/object-store.ts';

/** The common fields of the errors of the SDK, its credential chain and Node. */
interface S3Failure {
  name?: string;
  /** Node's code of a system error. */
  code?: string;
  $metadata?: { httpStatusCode?: number };
}

const NEVER_SENT = ['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'EHOSTUNREACH', 'ENETUNREACH', 'ERR_INVALID_URL'];

/** By the S3 error code, when the status alone does not say what to change. */
const BY_NAME: Record<string, [ObjectFailure, string]> = {
  NoSuchKey: ['not_found', 'no such object'],
  InvalidAccessKeyId: ['auth', 'the service does not know this access key (accessKey)'],
  // The code of versitygw for the same error.
  XAdminUserNotFound: ['auth', 'the service does not know this access key (accessKey)'],
  SignatureDoesNotMatch: ['auth', 'the secret key does not fit the access key (secretKey)'],
  RequestTimeTooSkewed: ['auth', 'the clock of this machine is wrong: the service refuses its signatures'],
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
  NotImplemented: ['misconfigured', 'the service does not implement conditional writes'],
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
  501: ['misconfigured', 'the service does not implement conditional writes'],
};

/** Returns whether the service accepts the credentials but does not permit them this request. */
export function lacksPermission({ cause }: ObjectStoreError): boolean {
  return isWithoutPermission((cause ?? {}) as S3Failure);
}

function isWithoutPermission({ name = '', $metadata }: S3Failure): boolean {
  return $metadata?.httpStatusCode === 403 && BY_NAME[name] === undefined;
}

function isRefusal(status: number): boolean {
  return status >= 400 && status < 500 && status !== 408 && status !== 429;
}

/** Converts any error of a request to an ObjectStoreError. */
export function foldS3Error(error: unknown, kind: 'read' | 'write'): ObjectStoreError {
  if (error instanceof ObjectStoreError) return error;
  const failure = (error ?? {}) as S3Failure;
  const { name = '', code = '', $metadata } = failure;
  const status = $metadata?.httpStatusCode;
  const known = BY_NAME[name] ?? (status === undefined ? undefined : BY_STATUS[status]);
  if (known !== undefined) {
    return new ObjectStoreError(...known, { scope: isWithoutPermission(failure) ? 'request' : 'store', cause: error });
  }
  if (status !== undefined && isRefusal(status)) {
    const message = `the service refuses the request (${name}, status ${status})`;
    return new ObjectStoreError('misconfigured', message, { scope: 'request', cause: error });
  }
  const maybeApplied = kind === 'write' && !NEVER_SENT.includes(code);
  const message = status === undefined ? 'the service cannot be reached (endpoint)' : 'the service failed';
  return new ObjectStoreError('unavailable', message, { maybeApplied, cause: error });
}
