/** Reads what an S3 service said of a request that it refused: status, Code and Message, and nothing else of the body. */
import type { ServiceAnswer } from '../bucket/object-store.ts';

const MAX_MESSAGE_CHARS = 300;
const CODE = /^[\w.-]{1,64}$/;
/** Names of the SDK for an error without a Code in its body. */
const NO_CODE = /^(\d+|UnknownError|RefusedRequest)$/;
const OMITTED = '[omitted]';

/** Text that grants or identifies something, and which some services repeat in a Message. */
const CONFIDENTIAL: readonly RegExp[] = [
  // A canonical request or a string to sign, to its end.
  /AWS4-HMAC-SHA256[\s\S]*$/g,
  /\b(Credential|Signature|SignedHeaders|X-Amz-[\w-]+)=\S+/gi,
  // Key ids of AWS: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html
  /\bA(KIA|SIA|ROA|IDA|GPA)[A-Z0-9]{8,}\b/g,
  // Signatures and hashes; session tokens.
  /\b[0-9a-f]{32,}\b/gi,
  /[A-Za-z0-9+/=]{64,}/g,
];

/** The fields of an error of the SDK, or of our own requests. */
export interface AnsweredError {
  name?: string;
  message?: string;
  $fault?: string;
  $metadata?: { httpStatusCode?: number };
}

/** Returns undefined when no answer arrived. `hidden` are values that must not be repeated, such as the access key. */
export function serviceAnswerOf(error: AnsweredError, hidden: readonly string[] = []): ServiceAnswer | undefined {
  const status = error.$metadata?.httpStatusCode;
  if (status === undefined) return undefined;
  const { name = '', message = '', $fault } = error;
  // Any other error with a status is of an answer that is none of S3, and its words are the SDK's.
  if ($fault === undefined || NO_CODE.test(name)) return { status };
  const told = withoutSecrets(message, hidden);
  return { status, ...(CODE.test(name) && { code: name }), ...(told !== '' && told !== name && { message: told }) };
}

function withoutSecrets(message: string, hidden: readonly string[]): string {
  const plain = CONFIDENTIAL.reduce((text, pattern) => text.replace(pattern, OMITTED), message);
  const safe = hidden.filter((value) => value !== '').reduce((text, value) => text.replaceAll(value, OMITTED), plain);
  const line = safe.replace(/[\p{C}\p{Z}]+/gu, ' ').trim();
  return line.length > MAX_MESSAGE_CHARS ? `${line.slice(0, MAX_MESSAGE_CHARS).trimEnd()}…` : line;
}
