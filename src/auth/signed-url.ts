/** Signs what comes back: the keys, the code over its parts, and URLs that open an image until they end. */
import { createHash, createHmac, randomBytes, timingSafeEqual } from 'node:crypto';

/** What is signed with; whoever has it may make signatures. */
export interface UrlKey {
  /** Names it in what it signs. */
  readonly id: string;
  readonly secret: string;
}

/** The text of a URL, which has neither scheme nor host: a daemon has several names. */
export interface SignedTarget {
  path: string;
  /** As it was sent. */
  query: string;
}

/** Who asked for a link, and until when it holds. */
export interface LinkClaim {
  /** Who lets its holder in: a token's name, or what else the daemon knows callers by; empty: nobody was asked. */
  by: string;
  /** Seconds since 1970. */
  expires: number;
}

/** A link as it came: its signature is not checked. */
export interface Link extends LinkClaim {
  keyId: string;
  signature: string;
  /** All that the signature is over, but the secret of who lets in. */
  covered: readonly string[];
}

const KEY_BYTES = 32;
const KEY = /^[\w+/=.~-]{32,512}$/;
const ID_CHARACTERS = 8;
const SECONDS = /^\d{1,11}$/;

/** Says what is wrong with the text, by the number of its line; quotes nothing of it. */
export class UrlKeysError extends Error {
  override readonly name = 'UrlKeysError';
}

export function newUrlKey(): string {
  return randomBytes(KEY_BYTES).toString('base64url');
}

/**
 * Reads one key a line: the first signs, and what any of them signed holds. Empty lines, and those that begin with `#`, say
 * nothing. Throws a UrlKeysError.
 */
export function parseUrlKeys(text: string): UrlKey[] {
  const keys: UrlKey[] = [];
  for (const [at, each] of text.split(/\r?\n/).entries()) {
    const secret = each.trim();
    if (secret === '' || secret.startsWith('#')) continue;
    const fail = (problem: string): never => {
      throw new UrlKeysError(`line ${at + 1}: ${problem}`);
    };
    if (!KEY.test(secret)) fail('a key has at least 32 characters, as openssl rand -base64 32 makes them');
    if (keys.some((key) => key.secret === secret)) fail('another line has this key');
    keys.push({ id: idOf(secret), secret });
  }
  if (keys.length === 0) throw new UrlKeysError('has no key');
  return keys;
}

/** The same on each daemon that has the key. */
function idOf(secret: string): string {
  return createHash('sha256').update('url key ').update(secret).digest('base64url').slice(0, ID_CHARACTERS);
}

/** Returns the code over the parts, which no other parts have. The first says what is signed. */
export function codeOf({ secret }: UrlKey, parts: readonly string[]): string {
  return createHmac('sha256', secret).update(JSON.stringify(parts)).digest('base64url');
}

/** Whether the code is that of the key with this id over the parts. */
export function isSigned(keys: readonly UrlKey[], keyId: string, parts: readonly string[], code: string): boolean {
  const key = keys.find(({ id }) => id === keyId);
  if (key === undefined) return false;
  const [expected, given] = [Buffer.from(codeOf(key, parts)), Buffer.from(code)];
  return expected.length === given.length && timingSafeEqual(expected, given);
}

/** Returns the query with claim and signature. `secret` is that of who lets in: with another, the link ends. */
export function signQuery(key: UrlKey, { path, query }: SignedTarget, claim: LinkClaim, secret: string): string {
  const fields = new URLSearchParams(query);
  if (claim.by !== '') fields.append('by', claim.by);
  fields.append('expires', `${claim.expires}`);
  fields.append('key', key.id);
  fields.append('signature', codeOf(key, [...coveredOf(path, fields), secret]));
  return fields.toString();
}

/** Returns the link that a URL is; undefined where it has no signature, or one that cannot be right. */
export function linkIn({ path, query }: SignedTarget): Link | undefined {
  if (!query.includes('signature=')) return undefined;
  const fields = new URLSearchParams(query);
  const [signature, expires = '', keyId, by = ''] = ['signature', 'expires', 'key', 'by'].map((name) => {
    const [first, ...more] = fields.getAll(name);
    return more.length === 0 ? first : undefined;
  });
  if (signature === undefined || keyId === undefined || !SECONDS.test(expires)) return undefined;
  fields.delete('signature');
  return { by, expires: Number(expires), keyId, signature, covered: coveredOf(path, fields) };
}

/** Decoded, so that a link holds whose `@` came back as `%40`; in order, so that whoever reads a name first sees the same. */
function coveredOf(path: string, fields: URLSearchParams): string[] {
  return ['url', path, ...[...fields].flat()];
}
