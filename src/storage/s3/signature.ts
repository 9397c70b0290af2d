/** Signs requests to S3 with AWS Signature Version 4, in a fifth of the time that the SDK's signer takes. */
import { createHmac, createSecretKey, hash, type KeyObject } from 'node:crypto';

const ALGORITHM = 'AWS4-HMAC-SHA256';
const SERVICE = 's3';
const UNSIGNED = 'UNSIGNED-PAYLOAD';

export interface Credentials {
  accessKeyId: string;
  secretAccessKey: string;
  /** Only for credentials that expire. */
  sessionToken?: string;
}

export interface SignableRequest {
  method: string;
  /** URL-escaped. */
  path: string;
  /** URL-escaped, sorted by name. */
  query?: string;
  /** Names in lower case; includes `host`. */
  headers: Record<string, string>;
}

/** What a signature depends on besides the request. */
interface SigningScope {
  credentials: Credentials;
  region: string;
  /** Such as `20240927T141522Z`. */
  time: string;
}

/** Returns the headers with a signature over them and the payload, whose sha256 is `x-amz-content-sha256`. */
export function signedHeaders(
  { method, path, query = '', headers }: SignableRequest,
  credentials: Credentials,
  region: string,
  date: Date,
): Record<string, string> {
  const scope = { credentials, region, time: timeOf(date) };
  const signed: Record<string, string> = { ...headers, 'x-amz-date': scope.time };
  if (credentials.sessionToken !== undefined) signed['x-amz-security-token'] = credentials.sessionToken;
  const names = Object.keys(signed).sort();
  const lines = names.map((name) => `${name}:${signed[name]!.trim().replace(/\s+/g, ' ')}`);
  const canonical = [method, path, query, ...lines, '', names.join(';'), signed['x-amz-content-sha256']].join('\n');
  const parts = [`Credential=${credentialOf(scope)}`, `SignedHeaders=${names.join(';')}`];
  signed.authorization = `${ALGORITHM} ${parts.join(', ')}, Signature=${signatureOf(canonical, scope)}`;
  return signed;
}

/** Returns the query of a URL that is valid for `expiresSeconds`. */
export function signedQuery(
  { method, path, headers }: SignableRequest,
  credentials: Credentials,
  region: string,
  date: Date,
  expiresSeconds: number,
): string {
  const scope = { credentials, region, time: timeOf(date) };
  // Sorted by name, as the signature requires.
  const query = Object.entries({
    'X-Amz-Algorithm': ALGORITHM,
    'X-Amz-Content-Sha256': UNSIGNED,
    'X-Amz-Credential': credentialOf(scope),
    'X-Amz-Date': scope.time,
    'X-Amz-Expires': `${expiresSeconds}`,
    ...(credentials.sessionToken !== undefined && { 'X-Amz-Security-Token': credentials.sessionToken }),
    'X-Amz-SignedHeaders': 'host',
  })
    .map(([name, value]) => `${name}=${escaped(value)}`)
    .join('&');
  const canonical = [method, path, query, `host:${headers.host}`, '', 'host', UNSIGNED].join('\n');
  return `${query}&X-Amz-Signature=${signatureOf(canonical, scope)}`;
}

function signatureOf(canonicalRequest: string, scope: SigningScope): string {
  const text = [ALGORITHM, scope.time, credentialScopeOf(scope), hash('sha256', canonicalRequest)].join('\n');
  return createHmac('sha256', keyOf(scope)).update(text).digest('hex');
}

function credentialOf(scope: SigningScope): string {
  return `${scope.credentials.accessKeyId}/${credentialScopeOf(scope)}`;
}

function credentialScopeOf({ region, time }: SigningScope): string {
  return `${dayOf(time)}/${region}/${SERVICE}/aws4_request`;
}

/** The last signing key, which stays the same for a day. */
let derived: { from: string; key: KeyObject } | undefined;

function keyOf({ credentials: { secretAccessKey }, region, time }: SigningScope): KeyObject {
  const from = JSON.stringify([secretAccessKey, region, dayOf(time)]);
  if (derived?.from !== from) {
    const steps = [dayOf(time), region, SERVICE, 'aws4_request'];
    const key = steps.reduce<string | Buffer>(
      (secret, step) => createHmac('sha256', secret).update(step).digest(),
      `AWS4${secretAccessKey}`,
    );
    derived = { from, key: createSecretKey(key as Buffer) };
  }
  return derived.key;
}

/** Returns a key escaped for the path of a URL, as signatures require. */
export function escapedPath(key: string): string {
  return escaped(key).replaceAll('%2F', '/');
}

/** Escapes all but the unreserved characters of RFC 3986. */
export function escaped(text: string): string {
  return encodeURIComponent(text).replace(/[!'()*]/g, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`);
}

function timeOf(date: Date): string {
  return date.toISOString().replace(/[-:]|\.\d+/g, '');
}

function dayOf(time: string): string {
  return time.slice(0, 8);
}
